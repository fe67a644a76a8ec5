"""What happened, in a sentence: for the terminal, the page behind a link, and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from alerting.notify.message import rfc3339
from alerting.track.events import (
    Acknowledged,
    AcknowledgementEnded,
    AlertRef,
    AlertsJoined,
    AlertsResolved,
    AnyEvent,
    Assigned,
    Commented,
    Escalated,
    EscalationStarted,
    EscalationStopped,
    Notified,
    NotNotified,
    Opened,
    Reopened,
    Resolved,
    Responding,
    ResponseFailed,
    Reviewed,
    RolledBack,
    Snoozed,
    SnoozeEnded,
    Verified,
)
from collector.metrics.selector import quote
from deckwatch.wire.model import Labels

_NAMED = 3
"""So many alerts of an event are named."""


def describe(event: AnyEvent) -> str:
    """Without time and actor; the reason stands at its end."""
    said = _said(event)
    return f"{said}: {event.why}" if event.why and not isinstance(event, Notified | NotNotified) else said


def moment(ns: int) -> str:
    """To the second: people read it."""
    return rfc3339(ns // 1_000_000_000 * 1_000_000_000)


def labels_text(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels) + "}"


def _said(event: AnyEvent) -> str:
    match event:
        case Opened():
            return "opened"
        case AlertsJoined():
            return f"{_counted(len(event.alerts))} began: {_named(event.alerts)}"
        case AlertsResolved():
            return f"{_counted(len(event.alerts))} ended: {_named(event.alerts)}"
        case Notified():
            return f"{_to(event)} was told{_reason(event.why)}" + (
                f" after {event.attempts} tries" if event.attempts > 1 else ""
            )
        case NotNotified():
            return f"{_to(event)} was not told{_reason(event.why)}"
        case Acknowledged():
            return f"acknowledged by {event.owner} until {moment(event.until_ns)}"
        case AcknowledgementEnded():
            return f"the acknowledgement of {event.owner} " + ("ran out" if event.expired else "was taken back")
        case Assigned():
            return f"assigned to {event.to}" if event.to else "assigned to nobody"
        case Commented():
            return f"commented: {event.text}"
        case Snoozed():
            return f"snoozed until {moment(event.until_ns)}"
        case SnoozeEnded():
            return "the snooze " + ("ran out" if event.expired else "was ended")
        case EscalationStarted():
            return f"escalation policy {event.policy} began"
        case Escalated():
            again = f", time {event.turn + 1}" if event.turn else ""
            return f"escalated, step {event.step + 1} of {event.policy}{again}: {', '.join(event.targets)}"
        case EscalationStopped():
            return f"escalation policy {event.policy} stopped"
        case Responding():
            return f"response began: {event.action}"
        case Verified():
            return "the response was verified"
        case ResponseFailed():
            return "the response failed"
        case RolledBack():
            return "the response was rolled back"
        case Resolved():
            return "resolved"
        case Reopened():
            return "reopened"
        case Reviewed():
            return f"reviewed: {event.text}"
        case _:
            assert_never(event)


def _to(event: Notified | NotNotified) -> str:
    return f"{event.receiver} ({event.target})" if event.target else event.receiver


def _reason(why: str) -> str:
    return f" ({why})" if why else ""


def _counted(number: int) -> str:
    return f"{number} alert" if number == 1 else f"{number} alerts"


def _named(alerts: Sequence[AlertRef]) -> str:
    more = len(alerts) - _NAMED
    named = ", ".join(labels_text(one.labels) for one in alerts[:_NAMED])
    return named + (f" and {more} more" if more > 0 else "")
