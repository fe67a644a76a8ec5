"""An incident as the API answers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from alerting.notify.message import rfc3339
from alerting.track.commands import holds_repeats
from alerting.track.describe import describe
from alerting.track.events import AlertsJoined, AlertsResolved, AnyEvent
from alerting.track.measures import acknowledge_s, resolve_s
from alerting.track.model import Incident, IncidentAlert, Period

_TIMES = {"at_ns": "at", "until_ns": "until"}


def shown(incident: Incident, now_ns: int) -> dict[str, Any]:
    """What is not there is left out."""
    held = incident.acknowledgement
    view: dict[str, Any] = {
        "id": incident.id,
        "title": incident.title,
        "state": incident.state.value,
        "rule": incident.rule,
        "team": incident.team,
        "key": dict(incident.key),
        "opened": rfc3339(incident.opened_ns),
        "ended": _time(incident.ended_ns),
        "updated": rfc3339(incident.updated_ns),
        "duration_s": ((incident.ended_ns or now_ns) - incident.opened_ns) / 1e9,
        "alerts_firing": len(incident.firing),
        "alerts": len(incident.alerts),
        "flaps": incident.flaps,
        "reopened": len(incident.periods) - 1,
        "events": incident.events,
        "notified": _time(incident.notified_ns),
        "owner": held.owner if held else "",
        "acknowledged_until": _time(held.until_ns if held else 0),
        "snoozed_until": _time(incident.snoozed_until_ns),
        "assignee": incident.assignee,
        "held": holds_repeats(incident, now_ns),
        "not_told": [{"receiver": receiver, "why": why} for receiver, why in sorted(incident.untold.items())],
        "escalation": _escalation(incident),
        "response": msgspec.to_builtins(incident.response) if incident.response else None,
        "periods": [_period(period) for period in incident.periods],
        "reviewed": _time(incident.reviewed_ns),
        "review": incident.review,
    }
    return {name: value for name, value in view.items() if value not in (None, "", [])}


def shown_alerts(incident: Incident) -> list[dict[str, Any]]:
    """Those that fire first, then in the order in which they came."""
    ordered = sorted(incident.alerts.items(), key=lambda pair: (pair[1].ended_ns > 0, pair[1].joined_ns))
    return [_alert(fingerprint, alert) for fingerprint, alert in ordered]


def shown_timeline(events: Iterable[AnyEvent]) -> list[dict[str, Any]]:
    return [shown_event(event) for event in events]


def shown_event(event: AnyEvent) -> dict[str, Any]:
    """Its fields, and what they say as `message`."""
    fields = msgspec.to_builtins(event)
    view = {"at": rfc3339(event.at_ns), "kind": fields.pop("kind"), "by": event.by, "message": describe(event)}
    for name, value in fields.items():
        if name in _TIMES:
            view[_TIMES[name]] = rfc3339(value)
        elif value not in ("", [], ()):
            view[name] = value
    if isinstance(event, AlertsJoined | AlertsResolved):
        view["alerts"] = [
            {"fingerprint": one.fingerprint, "labels": dict(one.labels), "annotations": dict(one.annotations)}
            for one in event.alerts
        ]
    return view


def _alert(fingerprint: str, alert: IncidentAlert) -> dict[str, Any]:
    ended = {"ended": rfc3339(alert.ended_ns)} if alert.ended_ns else {}
    return {
        "fingerprint": fingerprint,
        "state": "resolved" if alert.ended_ns else "firing",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "joined": rfc3339(alert.joined_ns),
        **ended,
        "times": alert.times,
    }


def _escalation(incident: Incident) -> dict[str, Any] | None:
    escalation = incident.escalation
    if escalation is None:
        return None
    return {
        "policy": escalation.policy,
        "since": rfc3339(escalation.since_ns),
        "steps_done": {str(step + 1): turn + 1 for step, turn in sorted(escalation.done.items())},
    }


def _period(period: Period) -> dict[str, Any]:
    view = {
        "since": rfc3339(period.since_ns),
        "acknowledged": _time(period.acknowledged_ns),
        "resolved": _time(period.resolved_ns),
        "to_acknowledge_s": acknowledge_s(period),
        "to_resolve_s": resolve_s(period),
        "attended": period.touched,
    }
    return {name: value for name, value in view.items() if value is not None}


def _time(ns: int) -> str | None:
    return rfc3339(ns) if ns else None
