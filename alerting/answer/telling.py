"""Messages of escalations join the outbox beside those of groups. They are a conversation of their own, one for each
incident: deduplication, repeats and mute times of groups don't concern them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from alerting.database import Database
from alerting.notify.channels.model import Notification
from alerting.notify.message import GroupAlert
from alerting.notify.outbox import SqlOutbox
from alerting.notify.routes import Routing
from alerting.notify.telling import idempotency_key
from alerting.track.model import Incident


class EscalationTeller:
    """`outbox` is that of a scope, `routing` what is in force for a tenant; `wake` is called once something new in the
    outbox is durable."""

    def __init__(
        self,
        database: Database,
        outbox: Callable[[str], SqlOutbox],
        routing: Callable[[str], Routing],
        wake: Callable[[], None],
        *,
        external_url: str,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._routing = routing
        self._wake = wake
        self._external_url = external_url

    def tell(self, incident: Incident, receiver: str, reason: str, now_ns: int) -> str:
        """Why it can't be told; "" where it is on its way."""
        routing = self._routing(incident.tenant)
        integrations = routing.receivers.get(receiver)
        if integrations is None:
            return "there is no such receiver in the notification configuration"
        alerts = told_alerts(incident)
        wanted = [one for one in integrations if one.send_resolved or any(alert.is_firing for alert in alerts)]
        if not integrations:
            return "the receiver has no integrations: nobody is behind it"
        outbox = self._outbox(routing.scope)
        for one in wanted:
            outbox.add(self._notification(incident, receiver, one.name, reason, alerts, now_ns), None)
        self._database.after_commit(self._wake)
        return ""

    def _notification(
        self,
        incident: Incident,
        receiver: str,
        integration: str,
        reason: str,
        alerts: tuple[GroupAlert, ...],
        now_ns: int,
    ) -> Notification:
        made = Notification(
            receiver,
            integration,
            "",
            reason,
            group_key=f"incident:{incident.id}",
            group_labels=incident.key,
            alerts=alerts,
            created_ns=now_ns,
            external_url=self._external_url,
            tenant=incident.tenant,
        )
        return replace(made, key=idempotency_key(made))


def told_alerts(incident: Incident) -> tuple[GroupAlert, ...]:
    """Those that fire; of an incident that has ended all of those that ended with it."""
    since_ns = incident.periods[-1].since_ns
    return tuple(
        GroupAlert(alert.labels, alert.annotations, alert.joined_ns, alert.ended_ns)
        for alert in incident.alerts.values()
        if not alert.ended_ns or (incident.ended_ns and alert.ended_ns >= since_ns)
    )
