"""A post-mortem in Markdown: what is known is filled in, what only people know has its place. GitHub's flavour
(https://github.github.com/gfm/). Labels, comments and answers of receivers come from anywhere: nothing in them can
change the document around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from alerting.track.describe import describe, labels_text, moment
from alerting.track.events import Acknowledged, AnyEvent, Escalated, Notified, Reviewed
from alerting.track.measures import acknowledge_s, resolve_s
from alerting.track.model import Incident, IncidentAlert

_MARKUP = re.compile(r"([\\`*_\[\]<>#!|~&@])")
_MOST_ALERTS = 100
_TO_FILL = "_To be written by those who were there._"


def markdown(incident: Incident, events: Sequence[AnyEvent], now_ns: int) -> str:
    """Of an incident as it is; it need not have ended."""
    parts = [
        f"# Incident {incident.id}: {escape(incident.title)}",
        _table(("", ""), _facts(incident, events, now_ns)),
        "## What happened",
        escape(_summary(incident)),
        "## Alerts",
        _table(("Alert", "Summary", "From", "To", "Times"), _alerts(incident)),
        *_left_out(len(incident.alerts) - _MOST_ALERTS),
        "## Timeline",
        _table(("Time (UTC)", "Who", "What"), _timeline(events)),
        *_people_write(incident, events),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """As plain text, on one line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _MARKUP.sub(r"\\\1", line)


def _facts(incident: Incident, events: Sequence[AnyEvent], now_ns: int) -> list[tuple[str, str]]:
    first = incident.periods[0]
    owners = {event.owner for event in events if isinstance(event, Acknowledged)}
    told = {event.receiver for event in events if isinstance(event, Notified)}
    told |= {receiver for event in events if isinstance(event, Escalated) for receiver in event.receivers}
    facts = [
        ("State", incident.state.value),
        ("Opened", moment(incident.opened_ns)),
        ("Ended", moment(incident.ended_ns) if incident.ended_ns else "it goes on"),
        ("Duration", _length((incident.ended_ns or now_ns) / 1e9 - incident.opened_ns / 1e9)),
        ("Time to acknowledge", _known(acknowledge_s(first), "nobody acknowledged it")),
        ("Time to resolve", _known(resolve_s(incident.periods[-1]), "not resolved")),
        ("Team", incident.team or "none"),
        ("Acknowledged by", ", ".join(sorted(owners)) or "nobody"),
        ("Assigned to", incident.assignee or "nobody"),
        ("Told", ", ".join(sorted(told)) or "nobody"),
        ("Not told", "; ".join(f"{receiver}: {why}" for receiver, why in sorted(incident.untold.items())) or "nobody"),
        ("Reopened", f"{len(incident.periods) - 1} times"),
    ]
    return [(name, escape(value)) for name, value in facts]


def _summary(incident: Incident) -> str:
    many = len(incident.alerts)
    how = f"{many} alert" if many == 1 else f"{many} alerts"
    summaries = [dict(alert.annotations).get("summary", "") for alert in incident.alerts.values()]
    first = next((text for text in summaries if text), "")
    return f"{how} of the rule {incident.rule} fired." + (f" The first: {first}" if first else "")


def _alerts(incident: Incident) -> list[tuple[str, ...]]:
    ordered = sorted(incident.alerts.values(), key=lambda alert: alert.joined_ns)
    return [_alert_row(alert) for alert in ordered[:_MOST_ALERTS]]


def _alert_row(alert: IncidentAlert) -> tuple[str, ...]:
    annotations = dict(alert.annotations)
    return (
        escape(labels_text(alert.labels)),
        escape(annotations.get("summary") or annotations.get("description", "")),
        escape(moment(alert.joined_ns)),
        escape(moment(alert.ended_ns)) if alert.ended_ns else "it fires",
        str(alert.times),
    )


def _left_out(more: int) -> list[str]:
    return [f"{more} more alerts are in the JSON export."] if more > 0 else []


def _timeline(events: Iterable[AnyEvent]) -> list[tuple[str, ...]]:
    return [(escape(moment(event.at_ns)), escape(event.by), escape(describe(event))) for event in events]


def _people_write(incident: Incident, events: Sequence[AnyEvent]) -> list[str]:
    reviews = [f"{escape(event.by)}: {_paragraphs(event.text)}" for event in events if isinstance(event, Reviewed)]
    return [
        *("## Review", "\n\n".join(reviews) if reviews else _TO_FILL),
        *("## Root cause", _TO_FILL),
        *("## What went well, what did not", _TO_FILL),
        *("## What is to be done", "- [ ] "),
    ]


def _paragraphs(text: str) -> str:
    return "\n\n".join(escape(part) for part in re.split(r"\n\s*\n", text) if part.strip())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _known(seconds: float | None, otherwise: str) -> str:
    return otherwise if seconds is None else _length(seconds)


def _length(seconds: float) -> str:
    """`1h 02m 03s`"""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h {minutes:02}m {left:02}s"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"
