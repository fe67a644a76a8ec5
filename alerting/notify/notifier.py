"""From alerts that changed to messages in the outbox. Runs inside the transaction that saves the alerts' states.

In this version every receiver gets every alert, grouped by `alertname`, at once (no group_wait), each change told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from urllib.parse import quote_plus

import msgspec

from alerting.notify.decide import NotifyReason, Told, reason_to_notify
from alerting.notify.message import GroupAlert, group_key
from alerting.notify.receivers import Receiver
from alerting.rules.state import ALERTNAME, Alert
from alerting.state_store import Message, StateStore
from deckwatch.wire.model import DEFAULT_TENANT, Labels

TENANT_LABEL = "tenant"


class Notifier:
    def __init__(
        self,
        store: StateStore,
        receivers: Iterable[Receiver],
        *,
        external_url: str,
        external_labels: Mapping[str, str],
        repeat_interval_ns: int,
    ) -> None:
        self._store = store
        self._receivers = tuple(receivers)
        self._external_url = external_url
        self._external_labels = dict(external_labels)
        self._repeat_interval_ns = repeat_interval_ns

    def group_labels(self, tenant: str, alertname: str) -> Labels:
        tenants = () if tenant == DEFAULT_TENANT else ((TENANT_LABEL, tenant),)
        return ((ALERTNAME, alertname), *tenants)

    def group_alert(self, tenant: str, alert: Alert, expression: str, ends_ns: int = 0) -> GroupAlert:
        """The alert as it is sent: external labels give way to its own."""
        outside = self._external_labels | ({} if tenant == DEFAULT_TENANT else {TENANT_LABEL: tenant})
        labels = tuple(sorted({**outside, **dict(alert.labels)}.items()))
        graph = f"{self._external_url}/graph?g0.expr={quote_plus(expression)}&g0.tab=1" if self._external_url else ""
        return GroupAlert(labels, alert.annotations, alert.fired_ns, ends_ns, graph)

    def tell(
        self, group_labels: Labels, firing: list[GroupAlert], resolved: list[GroupAlert], now_ns: int
    ) -> dict[str, NotifyReason]:
        """Enqueue what each receiver is to be told of a group now: receiver -> why."""
        reasons: dict[str, NotifyReason] = {}
        key = group_key(group_labels)
        for receiver in self._receivers:
            reason = self._tell_one(receiver, key, group_labels, firing, resolved, now_ns)
            if reason is not None:
                reasons[receiver.name] = reason
        return reasons

    def _tell_one(
        self,
        receiver: Receiver,
        key: str,
        group_labels: Labels,
        firing: list[GroupAlert],
        resolved: list[GroupAlert],
        now_ns: int,
    ) -> NotifyReason | None:
        told = self._store.told(receiver.name, key)
        known = [alert for alert in resolved if told is not None and alert.fingerprint in told.firing]
        now = Told(frozenset(a.fingerprint for a in firing), frozenset(a.fingerprint for a in known), now_ns)
        reason = reason_to_notify(
            told,
            now.firing,
            now.resolved,
            now_ns,
            repeat_interval_ns=self._repeat_interval_ns,
            send_resolved=receiver.send_resolved,
        )
        if reason is None:
            return None
        self._store.save_told(receiver.name, key, now)
        alerts = (*firing, *known) if receiver.send_resolved else tuple(firing)
        if not alerts:
            return None
        self._enqueue(receiver, key, Message("", reason.value, group_labels, tuple(alerts), now_ns))
        return reason

    def _enqueue(self, receiver: Receiver, key: str, message: Message) -> None:
        """While a receiver is away, one message of a group may be on its way; what comes behind it is kept as one."""
        waiting = self._store.waiting(receiver.name, key)
        if len(waiting) > 1:
            last = waiting[-1]
            merged = _merged(last.message, message)
            self._store.replace(last, _keyed(receiver, key, merged))
        else:
            self._store.enqueue(receiver.name, key, _keyed(receiver, key, message))


def _merged(older: Message, newer: Message) -> Message:
    """The newer state of each alert; nothing that the older one told is left untold."""
    alerts = {alert.labels: alert for alert in (*older.alerts, *newer.alerts)}
    return msgspec.structs.replace(newer, alerts=tuple(alerts.values()), created_ns=older.created_ns)


def _keyed(receiver: Receiver, group: str, message: Message) -> Message:
    """The same message always has the same key, whoever sends it."""
    content = msgspec.msgpack.encode((receiver.name, group, message.created_ns, message.reason, message.alerts))
    return msgspec.structs.replace(message, key=hashlib.blake2b(content, digest_size=16).hexdigest())
