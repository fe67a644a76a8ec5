"""One integration and one group: what joins, changes or leaves the outbox. Runs inside the transaction of the flush."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from alerting.notify.alerts import AlertRecord
from alerting.notify.channels.model import Notification
from alerting.notify.decide import NotifyReason, Told, reason_to_notify
from alerting.notify.groups import Group
from alerting.notify.notification_log import NotificationLog, Telling
from alerting.notify.outbox import SqlOutbox, Waiting
from alerting.notify.routes import IntegrationInfo


class Outcome(msgspec.Struct, frozen=True):
    """`waiting`: a message about the group is on its way to the receiver, an older one or this one."""

    reason: NotifyReason | None
    waiting: bool
    enqueued: bool = False


class Teller:
    """`held`: why are these alerts not to be repeated now?"""

    def __init__(
        self,
        tenant: str,
        outbox: SqlOutbox,
        log: NotificationLog,
        external_url: str,
        held: Callable[[Sequence[AlertRecord], int], str],
    ) -> None:
        self._held = held
        self._tenant = tenant
        self._outbox = outbox
        self._log = log
        self._external_url = external_url

    def telling(self, group: Group, integration: str) -> Telling:
        return Telling(self._tenant, group.route.receiver, integration, group.key)

    def waiting(self, group: Group, integration: str) -> list[Waiting]:
        return [one for one in self._outbox.waiting(self.telling(group, integration)) if one.told is not None]

    def told(self, group: Group, integration: str) -> Told | None:
        """As the receiver will know it once it has taken what is on its way."""
        waiting = self.waiting(group, integration)
        return waiting[-1].told if waiting else self._log.told(self.telling(group, integration))

    def tell(self, group: Group, integration: IntegrationInfo, alerts: Sequence[AlertRecord], now_ns: int) -> Outcome:
        """The oldest message that waits may be on its way at this moment, so it stays as it is. One behind it is kept,
        which always says what is so now."""
        telling, waiting = self.telling(group, integration.name), self.waiting(group, integration.name)
        spare = waiting[-1] if len(waiting) > 1 else None
        ahead = waiting[:-1] if spare else waiting
        known = ahead[-1].told if ahead else self._log.told(telling)
        fire = [alert for alert in alerts if not alert.resolved(now_ns)]
        over = [alert for alert in alerts if alert.resolved(now_ns)]
        told = Told(_fingerprints(fire), _fingerprints(over), now_ns)
        reason = reason_to_notify(
            known,
            told.firing,
            told.resolved,
            now_ns,
            repeat_interval_ns=group.route.repeat_interval_ns,
            send_resolved=integration.send_resolved,
        )
        if reason is NotifyReason.REPEAT and self._held(fire, now_ns):
            reason = None
        shown = [*fire, *over] if integration.send_resolved else fire
        if reason is None or not shown:
            if spare:
                self._outbox.drop(spare)
            if reason is not None:  # all has resolved, and the receiver doesn't want to know: the log must
                self._note(telling, ahead, told)
            return Outcome(None, bool(ahead))
        notification = self._notification(group, integration.name, reason, shown, now_ns)
        if spare:
            self._outbox.renew(spare, notification, told)
        else:
            self._outbox.add(notification, told)
        return Outcome(reason, waiting=True, enqueued=True)

    def _note(self, telling: Telling, ahead: Sequence[Waiting], told: Told) -> None:
        if ahead:
            self._outbox.counts_as(ahead[-1], told)
        else:
            self._log.save(telling, told)

    def _notification(
        self, group: Group, integration: str, reason: NotifyReason, alerts: Sequence[AlertRecord], now_ns: int
    ) -> Notification:
        made = Notification(
            group.route.receiver,
            integration,
            "",
            reason.value,
            group.key,
            group.labels,
            tuple(alert.told(now_ns) for alert in alerts),
            now_ns,
            self._external_url,
            self._tenant,
        )
        return msgspec.structs.replace(made, key=idempotency_key(made))


def idempotency_key(notification: Notification) -> str:
    """The same message always has the same key, whoever sends it."""
    return hashlib.blake2b(msgspec.msgpack.encode(notification), digest_size=16).hexdigest()


def _fingerprints(alerts: Sequence[AlertRecord]) -> frozenset[str]:
    return frozenset(alert.fingerprint for alert in alerts)
