"""Incidents for people: tables on a terminal, tab-separated columns in a pipe. Names from the outside are made harmless
before they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from deckwatch.incidents.client import Alert, Incident, Statistics, Whole
from deckwatch.logs.show import harmless, local_time, one_word

HEADINGS = ("ID", "STATE", "AGE", "ALERTS", "TEAM", "OWNER", "INCIDENT")
_STATISTICS = ("NAME", "INCIDENTS", "ACKED", "MTTA", "P90", "ENDED", "MTTR", "P90", "UNATTENDED", "NOISE", "FLAPS")
_STYLES = {
    "firing": "bold red",
    "notified": "red",
    "acknowledged": "yellow",
    "responding": "yellow",
    "verified": "green",
    "resolved": "green",
    "reviewed": "dim",
}
_MOST_ALERTS = 10


def columns(incident: Incident) -> tuple[str, ...]:
    owner = incident.owner or incident.assignee
    firing = f"{incident.alerts_firing}/{incident.alerts}"
    age = length(incident.duration_s)
    return (
        *(incident.id, incident.state, age, firing, one_word(incident.team) or "-", one_word(owner) or "-"),
        plain(incident.title),
    )


def table(incidents: Sequence[Incident]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        made.add_column(heading, no_wrap=heading != "INCIDENT", overflow="fold")
    for incident in incidents:
        cells = [Text(cell) for cell in columns(incident)]
        cells[1].stylize(_STYLES.get(incident.state, ""))
        made.add_row(*cells)
    return made


def detail(whole: Whole) -> Iterator[Text]:
    """Line by line."""
    incident = whole.incident
    yield Text.assemble((incident.state, _STYLES.get(incident.state, "")), "  ", (plain(incident.title), "bold"))
    ended = f", ended {local_time(incident.ended)[:19]}" if incident.ended else ""
    yield Text(f"{incident.id}: opened {local_time(incident.opened)[:19]}{ended}, {length(incident.duration_s)}")
    for name, value in _facts(incident):
        yield Text.assemble((f"{name}: ", "dim"), plain(value))
    yield Text("")
    for alert in whole.alerts[:_MOST_ALERTS]:
        yield _alert(alert)
    if len(whole.alerts) > _MOST_ALERTS:
        yield Text(f"and {len(whole.alerts) - _MOST_ALERTS} more alerts (--json has all)", style="dim")
    yield Text("")
    for entry in whole.timeline:
        yield Text.assemble((local_time(entry.at)[:19], "dim"), f"  {one_word(entry.by)}: {plain(entry.message)}")


def statistics_rows(rows: Sequence[Statistics]) -> list[tuple[str, ...]]:
    return [_STATISTICS, *(_statistics(row) for row in rows)]


def statistics_table(rows: Sequence[Statistics]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    heading, *body = statistics_rows(rows)
    for place, name in enumerate(heading):
        made.add_column(name, justify="right" if place else "left", overflow="fold")
    for row in body:
        made.add_row(*(Text(cell) for cell in row))
    return made


def length(seconds: float) -> str:
    """`2h 05m`, with the two largest units."""
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {left:02}s" if minutes else f"{left}s"


def plain(text: str) -> str:
    """On one line, and nothing in it steers a terminal."""
    return " ".join(harmless(text).split())


def _facts(incident: Incident) -> Iterator[tuple[str, str]]:
    known = {
        "team": incident.team,
        "held": incident.held,
        "assigned to": incident.assignee,
        "reopened": f"{incident.reopened} times" if incident.reopened else "",
        "flaps": f"{incident.flaps} times an alert fired again" if incident.flaps else "",
    }
    yield from ((name, value) for name, value in known.items() if value)
    for untold in incident.not_told:
        yield "not told", f"{untold.receiver}: {untold.why}"


def _alert(alert: Alert) -> Text:
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(alert.labels.items()) if name != "alertname")
    summary = alert.annotations.get("summary", "")
    fires = alert.state == "firing"
    state = ("fires ", "red") if fires else ("ended ", "green")
    again = f" ({alert.times} times)" if alert.times > 1 else ""
    return Text.assemble(state, plain(f"{{{labels}}} {summary}{again}"))


def _statistics(row: Statistics) -> tuple[str, ...]:
    ack, resolve = row.to_acknowledge, row.to_resolve
    noise = "-" if row.noise is None else f"{row.noise:.0%}"
    return (
        *(plain(row.name) or "-", str(row.periods), str(row.acknowledged)),
        *((length(ack.mean_s), length(ack.p90_s)) if ack else ("-", "-")),
        str(row.ended),
        *((length(resolve.mean_s), length(resolve.p90_s)) if resolve else ("-", "-")),
        *(str(row.unattended), noise, str(row.flaps)),
    )
