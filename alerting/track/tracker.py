"""Incidents are made, carried on and ended here. What alerts do arrives through `observe`, what became of messages
through `finished` and `not_told`, what people and responses do through `do`.

Each call is part of the transaction that the caller has open: an alert's state, its incident and the message about it
become durable together, or none of them does. Nothing is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.message import GroupAlert
from alerting.track.commands import AnyCommand, decide, expire, holds_repeats
from alerting.track.events import (
    DELIVERY,
    RULES,
    AlertRef,
    AlertsJoined,
    AlertsResolved,
    AnyEvent,
    Assigned,
    Notified,
    NotNotified,
    Opened,
    Reopened,
    Resolved,
)
from alerting.track.fold import opened, step
from alerting.track.grouping import Grouping, Key
from alerting.track.ids import new_id
from alerting.track.metrics import TrackMetrics
from alerting.track.model import Incident, State
from alerting.track.store import IncidentStore
from deckwatch.runtime.faults import Reject

ALERTNAME, TEAM = "alertname", "team"

NextStep = Callable[[Incident, int], int | None]
"""(incident, now) -> when its escalation is due next, were it not held."""
Over = Callable[[Incident, Incident, int], None]
"""(before, after, now): an incident has ended; within the transaction in which it did."""
Call = Callable[[Incident, Assigned, int], Iterable[AnyEvent]]
"""(incident, event, now): somebody is assigned and to be told; what came of it. Likewise."""


class NoIncident(Reject):
    """There is none with that id."""


class Tracker:
    def __init__(
        self, store: IncidentStore, grouping: Grouping, metrics: TrackMetrics, *, reopen_within_ns: int
    ) -> None:
        self.store = store
        self._grouping = grouping
        self._metrics = metrics
        self._reopen_within_ns = reopen_within_ns
        self._next_step: NextStep = lambda incident, now_ns: None
        self._over: Over = lambda before, after, now_ns: None
        self._call: Call = lambda incident, event, now_ns: ()

    def escalate_by(self, next_step: NextStep, over: Over, call: Call) -> None:
        self._next_step = next_step
        self._over = over
        self._call = call

    # What alerts do ---------------------------------------------------------------------------------------------

    def observe(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> tuple[str, ...]:
        """Alerts that fire, or have ended (`ends_ns`), as they are sent. One that is known to be so changes nothing:
        what is told twice counts once. Ids of the incidents that changed."""
        given = {alert.fingerprint: alert for alert in alerts}
        with self.store.database.transaction():
            work = _Work(self, tenant, now_ns)
            places = self.store.incidents_of(tenant, tuple(given))
            for fingerprint, alert in given.items():
                place = places.get(fingerprint, "")
                fires_already = bool(place) and work.fires(place, fingerprint)
                if alert.is_firing and not fires_already:
                    work.join(self._grouping.key(alert.labels), fingerprint, alert)
                elif not alert.is_firing and fires_already:
                    work.resolve(place, alert)
            return work.finish()

    # What receivers answer --------------------------------------------------------------------------------------

    def finished(self, notification: Notification, receipts: Sequence[Receipt], now_ns: int) -> None:
        """A message is out of the outbox: whom it reached, and whom not."""
        events = [_receipt_event(receipt, now_ns) for receipt in receipts]
        with self.store.database.transaction():
            for id_ in self._ids(notification.tenant, notification.alerts):
                self.append(self._loaded(notification.tenant, id_), events, now_ns)

    def not_told(self, tenant: str, alerts: Iterable[GroupAlert], receiver: str, why: str, now_ns: int) -> None:
        """A receiver is not told of alerts (muted, silenced, inhibited). Noted once as long as the reason stays."""
        with self.store.database.transaction():
            for id_ in self._ids(tenant, alerts):
                incident = self._loaded(tenant, id_)
                if not incident.ended_ns and incident.untold.get(receiver) != why:
                    self.append(incident, [NotNotified(at_ns=now_ns, by=DELIVERY, why=why, receiver=receiver)], now_ns)

    def held(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> str:
        """Why a group of alerts is not to be repeated now; "" where it is: one of them belongs to an incident that
        nobody has."""
        firing = {alert.fingerprint for alert in alerts if alert.is_firing}
        why = ""
        with self.store.database.transaction():
            known = self.store.incidents_of(tenant, tuple(firing))
            if known.keys() != firing:
                return ""
            for id_ in sorted(set(known.values())):
                why = holds_repeats(self._loaded(tenant, id_), now_ns)
                if not why:
                    return ""
        return why

    # What people and responses do -------------------------------------------------------------------------------

    def do(self, tenant: str, id_: str, command: AnyCommand, now_ns: int) -> Incident:
        """Raises NoIncident, NotApplicable."""
        with self.store.database.transaction():
            incident = self.settled(self._loaded(tenant, id_), now_ns)
            events = decide(incident, command, _not_before(incident, now_ns))
            incident = self.append(incident, events, now_ns)
            for event in events:
                if isinstance(event, Assigned) and event.to and not incident.ended_ns:
                    incident = self.append(incident, self._call(incident, event, now_ns), now_ns)
            return incident

    def get(self, tenant: str, id_: str) -> Incident:
        """Raises NoIncident."""
        return self._loaded(tenant, id_)

    def of_alert(self, tenant: str, fingerprint: str) -> Incident | None:
        """The incident that an alert is in, or was in last."""
        id_ = self.store.incidents_of(tenant, [fingerprint]).get(fingerprint)
        return None if id_ is None else self.store.get(tenant, id_)

    # What time does ---------------------------------------------------------------------------------------------

    def settled(self, incident: Incident, now_ns: int) -> Incident:
        """With what has run out by now."""
        return self.append(incident, expire(incident, now_ns), now_ns)

    def append(self, incident: Incident, events: Iterable[AnyEvent], now_ns: int) -> Incident:
        """The incident with these events on its timeline, saved. `incident` must be as it was loaded or returned in
        this transaction."""
        added: list[AnyEvent] = []
        after = incident
        for event in events:
            added.append(replace(event, at_ns=_not_before(after, event.at_ns)))
            after = step(after, added[-1])
        if added:
            self._save(after, "", added, now_ns)
            self._noted(incident, after, added)
        if after.ended_ns and not incident.ended_ns:
            self._over(incident, after, now_ns)
        return after

    def open(self, tenant: str, key: Key, alert: GroupAlert, joined: AlertsJoined, now_ns: int) -> Incident:
        """With its first alerts; `alert` is one of them."""
        labels = dict(alert.labels)
        rule = labels.get(ALERTNAME, "")
        event = Opened(at_ns=now_ns, by=RULES, why=_begins(alert), key=key.labels, rule=rule, team=labels.get(TEAM, ""))
        incident = step(opened(new_id(now_ns), tenant, event), joined)
        self._save(incident, str(key), [event, joined], now_ns)
        self._noted(None, incident, [event, joined])
        return incident

    def may_reopen(self, incident: Incident, now_ns: int) -> bool:
        """One that was reviewed is closed for good."""
        return incident.state is State.RESOLVED and now_ns - incident.ended_ns <= self._reopen_within_ns

    def due_ns(self, incident: Incident, now_ns: int) -> int | None:
        """When somebody has to look at it next: an acknowledgement or a snooze runs out, a step is due."""
        if incident.ended_ns:
            return None
        times = [incident.acknowledgement.until_ns] if incident.acknowledgement else []
        times += [incident.snoozed_until_ns] if incident.snoozed_until_ns else []
        if times:
            return min(times)
        return self._next_step(incident, now_ns)

    def plan_again(self, now_ns: int) -> None:
        """Policies are others: when is each open incident due?"""
        with self.store.database.transaction():
            for incident in self.store.open():
                self.store.set_due(incident.id, self.due_ns(incident, now_ns))

    # Inside -----------------------------------------------------------------------------------------------------

    def _save(self, incident: Incident, key: str, events: Sequence[AnyEvent], now_ns: int) -> None:
        self.store.save(incident, key, events, self.due_ns(incident, now_ns))

    def _noted(self, before: Incident | None, after: Incident, events: Sequence[AnyEvent]) -> None:
        self.store.database.after_commit(partial(self._metrics.changed, before, after, events))

    def _ids(self, tenant: str, alerts: Iterable[GroupAlert]) -> list[str]:
        found = self.store.incidents_of(tenant, [alert.fingerprint for alert in alerts])
        return sorted(set(found.values()))

    def _loaded(self, tenant: str, id_: str) -> Incident:
        incident = self.store.get(tenant, id_)
        if incident is None:
            raise NoIncident(f"there is no incident {id_[:40]}; `deckwatch incidents --all` lists them")
        return incident


class _Work:
    """One call of `observe`: joins and ends are gathered, so that each incident changes once, however many alerts."""

    def __init__(self, tracker: Tracker, tenant: str, now_ns: int) -> None:
        self._tracker = tracker
        self._tenant = tenant
        self._now_ns = now_ns
        self._loaded: dict[str, Incident] = {}
        self._joining: dict[Key, dict[str, GroupAlert]] = {}
        self._ending: dict[str, list[GroupAlert]] = {}

    def fires(self, id_: str, fingerprint: str) -> bool:
        alert = self._get(id_).alerts.get(fingerprint)
        return alert is not None and not alert.ended_ns

    def join(self, key: Key, fingerprint: str, alert: GroupAlert) -> None:
        self._joining.setdefault(key, {})[fingerprint] = alert

    def resolve(self, id_: str, alert: GroupAlert) -> None:
        self._ending.setdefault(id_, []).append(alert)

    def finish(self) -> tuple[str, ...]:
        """Those that begin come first: an incident whose only alert gives way to another one goes on."""
        changed = [self._join(key, alerts) for key, alerts in self._joining.items()]
        for id_, ended in self._ending.items():
            self._end(self._get(id_), ended)
            changed.append(id_)
        return tuple(dict.fromkeys(changed))

    def _get(self, id_: str) -> Incident:
        if id_ not in self._loaded:
            self._loaded[id_] = self._tracker.get(self._tenant, id_)
        return self._loaded[id_]

    def _join(self, key: Key, alerts: dict[str, GroupAlert]) -> str:
        tracker, now_ns = self._tracker, self._now_ns
        first = next(iter(alerts.values()))
        refs = tuple(AlertRef(fingerprint, one.labels, one.annotations) for fingerprint, one in alerts.items())
        joined = AlertsJoined(at_ns=now_ns, by=RULES, alerts=refs)
        known = tracker.store.newest(self._tenant, str(key))
        if known is None or (known.ended_ns and not tracker.may_reopen(known, now_ns)):
            incident = tracker.open(self._tenant, key, first, joined, now_ns)
        else:
            again = [Reopened(at_ns=now_ns, by=RULES, why=_begins(first))] if known.ended_ns else []
            incident = tracker.append(known, [*expire(known, now_ns), *again, joined], now_ns)
        self._loaded[incident.id] = incident
        tracker.store.note_alerts(self._tenant, alerts, incident.id)
        return incident.id

    def _end(self, incident: Incident, ended: Sequence[GroupAlert]) -> None:
        at_ns = min(self._now_ns, max(alert.ends_ns for alert in ended))  # noticed late, where one has timed out
        alerts = tuple(AlertRef(alert.fingerprint, alert.labels) for alert in ended)
        events: list[AnyEvent] = [
            *expire(incident, self._now_ns),
            AlertsResolved(at_ns=at_ns, by=RULES, alerts=alerts),
        ]
        if {*incident.firing} <= {alert.fingerprint for alert in ended}:
            events.append(Resolved(at_ns=at_ns, by=RULES, why="none of its alerts fires any more"))
        self._loaded[incident.id] = self._tracker.append(incident, events, self._now_ns)


def _receipt_event(receipt: Receipt, now_ns: int) -> AnyEvent:
    if receipt.delivered:
        return Notified(
            at_ns=now_ns,
            by=DELIVERY,
            why=receipt.reason,
            receiver=receipt.receiver,
            target=receipt.target,
            code=receipt.code,
            attempts=receipt.attempts,
            latency_s=receipt.latency_s,
            key=receipt.key,
        )
    instead = f"; {receipt.fallback} is told instead" if receipt.fallback else ""
    return NotNotified(
        at_ns=now_ns,
        by=DELIVERY,
        why=f"{receipt.outcome}: {receipt.error}{instead}",
        receiver=receipt.receiver,
        target=receipt.target,
        code=receipt.code,
        attempts=receipt.attempts,
        key=receipt.key,
    )


def _begins(alert: GroupAlert) -> str:
    return f"{dict(alert.labels).get(ALERTNAME, 'an alert')} fires"


def _not_before(incident: Incident, at_ns: int) -> int:
    """A wall clock may jump back; a timeline doesn't."""
    return max(at_ns, incident.updated_ns)
