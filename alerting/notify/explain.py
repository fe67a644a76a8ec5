"""Why somebody is told of an alert, or isn't: its routes, what holds it back, and what each integration hears next.
Asks the very parts that decide."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerting.notify.alerts import AlertRecord
from alerting.notify.decide import NotifyReason, Told, reason_to_notify
from alerting.notify.dispatch import Dispatcher
from alerting.notify.groups import Group
from alerting.notify.message import fingerprint
from alerting.notify.routes import IntegrationInfo, Route
from deckwatch.wire.model import Labels


class IntegrationReason(msgspec.Struct, frozen=True):
    """`told_ns`: when it was last told of the group, 0: never, or that all is over. `reason`: why it is told at the
    group's next turn if nothing changes; empty: it isn't. `repeat_ns`: when an unchanged group is told again at the
    earliest."""

    integration: str
    told_ns: int
    knows: bool  # that this very alert fires
    waiting: int  # messages on their way
    attempts: int  # of the one that is tried
    reason: str
    repeat_ns: int


class RouteReason(msgspec.Struct, frozen=True):
    """`next_ns`: the group's next turn; 0: there is no group, since the alert isn't known."""

    receiver: str
    route: str
    group_key: str
    group_labels: Labels
    group_wait_ns: int
    group_interval_ns: int
    repeat_interval_ns: int
    next_ns: int
    alerts: int
    muted: str
    intervals: tuple[str, ...]
    held: str  # why an unchanged group is not repeated: somebody has its incidents
    integrations: tuple[IntegrationReason, ...]


class Why(msgspec.Struct, frozen=True):
    fingerprint: str
    labels: Labels
    state: str  # firing, resolved; not known: what would be if it fired
    starts_ns: int
    inhibited_by: str
    silenced_by: tuple[str, ...]
    routes: tuple[RouteReason, ...]


def explain(dispatcher: Dispatcher, labels: Labels, now_ns: int) -> Why:
    """Of an alert with these labels, whether it is known or not."""
    key = fingerprint(labels)
    known = dispatcher.alert(key)
    alert = known or AlertRecord(key, labels, (), now_ns, 0, now_ns)
    state = "not known" if known is None else "resolved" if known.resolved(now_ns) else "firing"
    verdict = dispatcher.muting.verdict(alert, now_ns)
    routes = dispatcher.routing.root.matching(dict(labels))
    return Why(
        key,
        labels,
        state,
        alert.starts_ns,
        verdict.inhibited_by,
        verdict.silenced_by,
        tuple(_route(dispatcher, route, alert, now_ns) for route in routes),
    )


def matching(dispatcher: Dispatcher, wanted: Mapping[str, str], now_ns: int) -> list[AlertRecord]:
    """Known alerts that have all of these labels, in the order of their labels."""
    found = [alert for alert in dispatcher.alerts(now_ns) if wanted.items() <= dict(alert.labels).items()]
    return sorted(found, key=lambda alert: alert.labels)


def _route(dispatcher: Dispatcher, route: Route, alert: AlertRecord, now_ns: int) -> RouteReason:
    group = dispatcher.group_of(route, alert.labels)
    muted = dispatcher.muting.route_verdict(route, now_ns)
    known = group or Group(route, dispatcher.group_labels(route, alert.labels))
    integrations = dispatcher.routing.receivers[route.receiver]
    return RouteReason(
        route.receiver,
        route.key,
        known.key,
        known.labels,
        route.group_wait_ns,
        route.group_interval_ns,
        route.repeat_interval_ns,
        known.next_ns,
        len(known.members),
        muted.muted.value if muted.muted else "",
        muted.intervals,
        dispatcher.held(dispatcher.members(known), now_ns) if group else "",
        tuple(_integration(dispatcher, known, one, alert, now_ns) for one in integrations),
    )


def _integration(
    dispatcher: Dispatcher, group: Group, integration: IntegrationInfo, alert: AlertRecord, now_ns: int
) -> IntegrationReason:
    waiting = dispatcher.teller.waiting(group, integration.name)
    told = dispatcher.teller.told(group, integration.name)
    reason = _next_reason(dispatcher, group, integration, told, now_ns)
    return IntegrationReason(
        integration.name,
        told.at_ns if told else 0,
        told is not None and alert.fingerprint in told.firing,
        len(waiting),
        waiting[0].attempts if waiting else 0,
        reason.value if reason else "",
        told.at_ns + group.route.repeat_interval_ns if told else 0,
    )


def _next_reason(
    dispatcher: Dispatcher, group: Group, integration: IntegrationInfo, told: Told | None, now_ns: int
) -> NotifyReason | None:
    at_ns = max(group.next_ns, now_ns)
    alerts, _ = dispatcher.muting.sorted_out(group.route, dispatcher.members(group), at_ns)
    if not alerts:
        return None
    reason = reason_to_notify(
        told,
        frozenset(one.fingerprint for one in alerts if not one.resolved(at_ns)),
        frozenset(one.fingerprint for one in alerts if one.resolved(at_ns)),
        at_ns,
        repeat_interval_ns=group.route.repeat_interval_ns,
        send_resolved=integration.send_resolved,
    )
    return None if reason is NotifyReason.REPEAT and dispatcher.held(alerts, at_ns) else reason
