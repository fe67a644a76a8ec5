"""The alerts of one tenant: grouped, muted, told (Alertmanager's dispatcher, inhibitor and notification pipeline).

What is held in memory is what was committed: after a transaction that failed, everything is read again. Groups keep
their times over restarts and reloads. A resolved alert stays in its group until the receivers know, or need not know,
that it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from alerting.notify.alert_store import SavedGroup
from alerting.notify.alerts import AlertRecord, updated
from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.follower import Follower, Nobody
from alerting.notify.groups import Group, GroupId, Groups
from alerting.notify.inhibition import Inhibitor
from alerting.notify.message import GroupAlert
from alerting.notify.muting import Muted, Muting
from alerting.notify.routes import Route, Routing
from alerting.notify.telling import Teller
from alerting.silences.book import SilenceBook
from alerting.state_store import StateStore
from deckwatch.wire.model import DEFAULT_TENANT, Labels

TENANT_LABEL = "tenant"
"""Alerts of tenants other than the default one carry it, and their groups are always told apart by it."""


class Dispatcher:
    """Lives in one event loop. `wake` is called once something new in the outbox is durable; `held` counts what a flush
    held back."""

    def __init__(
        self,
        tenant: str,
        store: StateStore,
        routing: Routing,
        now_ns: int,
        *,
        external_url: str,
        wake: Callable[[], None],
        held: Callable[[Muted], None] = lambda reason: None,
    ) -> None:
        self.tenant = tenant
        self.routing = routing
        self._store = store
        self._external_url = external_url
        self._wake = wake
        self._held = held
        self._always = "" if tenant == DEFAULT_TENANT else TENANT_LABEL
        self._stale = False
        self._follower: Follower = Nobody()
        self._read(now_ns)

    def follow(self, follower: Follower, now_ns: int) -> None:
        """Of what fires already, and whatever comes."""
        self._follower = follower
        follower.observe(self.tenant, [alert.told(now_ns) for alert in self._alerts.values()], now_ns)

    # What is known ------------------------------------------------------------------------------------------------

    def alerts(self, now_ns: int) -> list[AlertRecord]:
        """Those that fire."""
        self.fresh(now_ns)
        return [alert for alert in self._alerts.values() if not alert.resolved(now_ns)]

    def alert(self, fingerprint: str) -> AlertRecord | None:
        return self._alerts.get(fingerprint)

    def members(self, group: Group) -> list[AlertRecord]:
        return [self._alerts[fingerprint] for fingerprint in sorted(group.members)]

    def held(self, alerts: Iterable[AlertRecord], now_ns: int) -> str:
        """Why an unchanged group of these is not repeated (somebody has them, or has them sleep); "" where it is."""
        return self._follower.held(self.tenant, [alert.told(now_ns) for alert in alerts], now_ns)

    def group_labels(self, route: Route, labels: Labels) -> Labels:
        return route.group_labels(labels, self._always)

    def group_of(self, route: Route, labels: Labels) -> Group | None:
        return self.groups.get((route.id, self.group_labels(route, labels)))

    # What changes it ----------------------------------------------------------------------------------------------

    def put(self, alerts: Iterable[AlertRecord], now_ns: int) -> list[AlertRecord]:
        """Alerts began, go on or ended; groups that are due are told of. What is known of each now; those that ended
        before anybody knew of them are left out."""
        self.fresh(now_ns)
        with self._store.database.transaction():
            taken = [known for alert in alerts if (known := self._take(alert, now_ns)) is not None]
            self._store.alerts.save_alerts(self.tenant, taken)
            self._follower.observe(self.tenant, [known.told(now_ns) for known in taken], now_ns)
            self._flush_due(now_ns)
        return taken

    def refresh(self, alert: AlertRecord) -> None:
        """Other annotations of an alert that goes on: for the next message, not worth one by itself."""
        known = self._alerts.get(alert.fingerprint)
        if known is not None and not known.ends_ns:
            self._alerts[alert.fingerprint] = msgspec.structs.replace(
                known, annotations=alert.annotations, generator_url=alert.generator_url
            )

    def reconcile(self, firing: Iterable[AlertRecord], now_ns: int) -> None:
        """These and no others are held firing by our own rules."""
        wanted = {alert.fingerprint: alert for alert in firing}
        self.fresh(now_ns)
        held = {known.fingerprint: known for known in self._alerts.values() if known.by_rule and not known.ends_ns}
        begun = [alert for key, alert in wanted.items() if key not in held]
        over = [ended(known, now_ns) for key, known in held.items() if key not in wanted]
        if begun or over:
            self.put([*begun, *over], now_ns)

    def flush_due(self, now_ns: int) -> None:
        self.fresh(now_ns)
        with self._store.database.transaction():
            self._flush_due(now_ns)

    def next_due_ns(self, now_ns: int) -> int | None:
        self.fresh(now_ns)
        return self.groups.next_due_ns()

    def configure(self, routing: Routing, now_ns: int) -> None:
        """Another routing from now on. Groups that are as before keep their times."""
        self.fresh(now_ns)
        self.routing = routing
        with self._store.database.transaction():
            self._regroup([group.saved() for group in self.groups], now_ns)

    def finished(self, notification: Notification, receipts: Sequence[Receipt]) -> None:
        """A message has left the outbox; part of that transaction."""
        if notification.undelivered is not None or self._stale:
            return
        group = self.groups.told_as(notification.receiver, notification.group_key)
        if group is None:
            return
        group.failed = group.failed or not any(receipt.delivered for receipt in receipts)
        if not group.failed and not self._waiting(group):
            self._let_go(group, group.flushed_ns or notification.created_ns)

    def went_stale(self) -> None:
        """A transaction was rolled back: what is in memory may not be what is on disk."""
        self._stale = True

    # Inside -------------------------------------------------------------------------------------------------------

    def fresh(self, now_ns: int) -> None:
        """In memory is what is on disk."""
        if self._stale:
            self._read(now_ns)

    def _read(self, now_ns: int) -> None:
        with self._store.database.transaction():
            self._alerts = {alert.fingerprint: alert for alert in self._store.alerts.alerts(self.tenant)}
            self.silences = SilenceBook(self.tenant, self._store.silences)
            self._stale = False
            self._regroup(self._store.alerts.groups(self.tenant), now_ns)

    def _regroup(self, before: Iterable[SavedGroup], now_ns: int) -> None:
        """All alerts are known to the inhibitor before any group is due."""
        self.groups = Groups()
        self._dirty: dict[GroupId, Group] = {}
        self._inhibitor = Inhibitor(self.routing.inhibit_rules)
        self.muting = Muting(self._inhibitor, self.silences, self.routing.intervals)
        outbox = self._store.outbox(self.routing.scope)
        self.teller = Teller(self.tenant, outbox, self._store.log, self._external_url, self.held)
        for alert in self._alerts.values():
            self._inhibitor.put(alert)
            self._join(alert, now_ns, changed=True)
        for saved in before:
            group = self.groups.get((saved.route, saved.labels))
            if group is None:
                self._store.alerts.drop_group(self.tenant, saved.route, saved.labels)
            else:
                group.flushed = saved.flushed
                self.groups.schedule(group, saved.next_ns)
                self._dirty.pop(group.id, None)
        self._save_groups()

    def _take(self, alert: AlertRecord, now_ns: int) -> AlertRecord | None:
        old = self._alerts.get(alert.fingerprint)
        known = updated(old, alert, now_ns)
        if old is None and known.resolved(now_ns):
            return None
        self._alerts[known.fingerprint] = known
        self._inhibitor.put(known)
        self._join(known, now_ns, changed=old is None or old.resolved(now_ns) != known.resolved(now_ns))
        return known

    def _join(self, alert: AlertRecord, now_ns: int, *, changed: bool) -> None:
        for route in self.routing.root.matching(dict(alert.labels)):
            group = self.group_of(route, alert.labels)
            if group is None:
                group = Group(route, self.group_labels(route, alert.labels))
                self.groups.add(group)
                self.groups.schedule(group, now_ns + route.group_wait_ns)
                self._dirty[group.id] = group
            self.groups.join(group, alert.fingerprint)
            waited = not group.flushed and alert.starts_ns + route.group_wait_ns < now_ns
            if waited or (route.at_once and changed):
                self.groups.schedule(group, now_ns)

    def _flush_due(self, now_ns: int) -> None:
        while (group := self.groups.take_due(now_ns)) is not None:
            self._flush(group, now_ns)
        self._save_groups()

    def _flush(self, group: Group, now_ns: int) -> None:
        told, held = self.muting.sorted_out(group.route, self.members(group), now_ns)
        self._tell_follower(group, held, now_ns)
        integrations = self.routing.receivers[group.route.receiver] if told else ()
        outcomes = [self.teller.tell(group, integration, told, now_ns) for integration in integrations]
        enqueued = any(outcome.enqueued for outcome in outcomes)
        if enqueued:
            self._store.database.after_commit(self._wake)
        if enqueued or not group.flushed:
            self._dirty[group.id] = group
        group.flushed, group.flushed_ns, group.failed = True, now_ns, False
        self.groups.schedule(group, self._next_look_ns(group, now_ns))
        if not any(outcome.waiting for outcome in outcomes):
            self._let_go(group, now_ns)

    def _tell_follower(self, group: Group, held: Sequence[tuple[AlertRecord, Muted]], now_ns: int) -> None:
        """What is held back, and what has timed out since the last look."""
        muted: dict[Muted, list[GroupAlert]] = {}
        for alert, reason in held:
            self._store.database.after_commit(partial(self._held, reason))
            if not alert.resolved(now_ns):
                muted.setdefault(reason, []).append(alert.told(now_ns))
        for reason, alerts in muted.items():
            self._follower.not_told(self.tenant, alerts, group.route.receiver, f"muted by {reason.value}", now_ns)
        over = [alert.told(now_ns) for alert in self.members(group) if alert.resolved(now_ns)]
        if over:
            self._follower.observe(self.tenant, over, now_ns)

    def _next_look_ns(self, group: Group, now_ns: int) -> int:
        """A group that is told at once is looked at when one of its alerts times out, too."""
        next_ns = now_ns + group.route.group_interval_ns
        if not group.route.at_once:
            return next_ns
        ends = (self._alerts[fingerprint].ends_ns for fingerprint in group.members)
        return min([next_ns, *(ends_ns for ends_ns in ends if ends_ns > now_ns)])

    def _waiting(self, group: Group) -> bool:
        integrations = self.routing.receivers.get(group.route.receiver, ())
        return any(self.teller.waiting(group, integration.name) for integration in integrations)

    def _let_go(self, group: Group, as_of_ns: int) -> None:
        """Of alerts that had ended when the group was flushed, and of the group when none is left."""
        for alert in self.members(group):
            if alert.resolved(as_of_ns) and alert.updated_ns <= as_of_ns:
                self._leave(group, alert)
        if not group.members:
            self.groups.remove(group)
            self._dirty.pop(group.id, None)
            self._store.alerts.drop_group(self.tenant, *group.id)

    def _leave(self, group: Group, alert: AlertRecord) -> None:
        if self.groups.leave(group, alert.fingerprint):
            del self._alerts[alert.fingerprint]
            self._inhibitor.drop(alert)
            self._store.alerts.drop_alert(self.tenant, alert.fingerprint)

    def _save_groups(self) -> None:
        for group in self._dirty.values():
            self._store.alerts.save_group(self.tenant, group.saved())
        self._dirty = {}


def ended(alert: AlertRecord, now_ns: int) -> AlertRecord:
    return msgspec.structs.replace(alert, ends_ns=now_ns, updated_ns=now_ns)
