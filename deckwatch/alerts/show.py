"""Alerts, silences and reasons for people: tables on a terminal, tab-separated columns in a pipe. Names from the
outside are made harmless before they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from deckwatch.alerts.client import Alert, Integration, Reasons, Route, Silence, Why
from deckwatch.logs.show import local_time, one_word
from deckwatch.runtime.times import rfc3339

ALERT_HEADINGS = ("ALERT", "STATE", "SINCE", "LABELS", "SUMMARY", "RECEIVERS", "FINGERPRINT")
SILENCE_HEADINGS = ("ID", "STATE", "ENDS", "MATCHERS", "BY", "COMMENT")
_STYLES = {"firing": "bold red", "silenced": "yellow", "inhibited": "yellow", "active": "green", "pending": "cyan"}
_MUTED = {
    "mute_time_interval": "it is muted now by the time interval",
    "active_time_interval": "it is told only within the time interval",
}


def alert_row(alert: Alert) -> tuple[str, ...]:
    labels = " ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()) if name != "alertname")
    summary = alert.annotations.get("summary") or alert.annotations.get("description", "")
    receivers = ",".join(receiver.name for receiver in alert.receivers)
    cells = (alert.labels.get("alertname", "-"), _state(alert), local_time(alert.starts_at)[:19], labels, summary)
    return tuple(one_word(" ".join(cell.split())) or "-" for cell in (*cells, receivers, alert.fingerprint))


def _state(alert: Alert) -> str:
    if alert.status.silenced_by:
        return "silenced"
    return "inhibited" if alert.status.inhibited_by else "firing"


def silence_row(silence: Silence) -> tuple[str, ...]:
    matchers = " ".join(map(str, silence.matchers))
    ends = local_time(silence.ends_at)[:19]
    cells = (silence.id, silence.status.state, ends, matchers, silence.created_by, silence.comment)
    return tuple(one_word(" ".join(cell.split())) or "-" for cell in cells)


def table(headings: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    """The second column is a state."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading in ("ALERT", "STATE", "SINCE", "ID", "ENDS"))
    for row in rows:
        cells = [Text(cell) for cell in row]
        cells[1].stylize(_STYLES.get(row[1], "dim"))
        made.add_row(*cells)
    return made


def reasons(told: Reasons) -> Iterator[str]:
    """Line by line."""
    for place, why in enumerate(told.alerts):
        if place:
            yield ""
        yield from _why(why, told.now_ns)


def _why(why: Why, now_ns: int) -> Iterator[str]:
    labels = ", ".join(f'{one_word(name)}="{one_word(value)}"' for name, value in why.labels)
    since = f" since {_time(why.starts_ns)}" if why.state == "firing" else ""
    yield f"{{{labels}}}"
    yield f"  {why.fingerprint}: {why.state}{since}" + ("; this is what would become of it" if not since else "")
    if why.inhibited_by:
        yield f"  nobody is told: inhibited by the alert {why.inhibited_by} (deckwatch why {why.inhibited_by})"
    for silence in why.silenced_by:
        yield f"  nobody is told: silenced by {silence} (deckwatch silence list)"
    for route in why.routes:
        yield from _route(route, why, now_ns)


def _route(route: Route, why: Why, now_ns: int) -> Iterator[str]:
    yield f"  receiver {one_word(route.receiver)}, by the route {one_word(route.route)}"
    yield f"    group {one_word(route.group_key)}: {_count(route.alerts, 'alert')}"
    if route.muted:
        yield f"    {_MUTED[route.muted]} {', '.join(map(one_word, route.intervals))}"
    if route.held:
        yield f"    not repeated: {one_word(route.held)}"
    if route.next_ns:
        yield f"    the group's next turn: {_time(route.next_ns)} (in {_length(route.next_ns - now_ns)})"
    else:
        yield f"    its first message would come after {_length(route.group_wait_ns)}"
    if not route.integrations:
        yield "    nobody is behind this receiver: it has no integration"
    for integration in route.integrations:
        yield f"    {integration.integration}: {_integration(integration, route, why)}"


def _integration(one: Integration, route: Route, why: Why) -> str:
    waiting = ""
    if one.waiting:
        tries = f", tried {_count(one.attempts, 'time')}" if one.attempts else ""
        waiting = f"{_count(one.waiting, 'message')} on the way{tries}; "
    if one.reason:
        return f"{waiting}is told at the group's next turn: {one.reason}"
    if why.inhibited_by or why.silenced_by or route.muted:
        before = f"; it was told at {_time(one.told_ns)} that it fires" if one.told_ns and one.knows else ""
        return f"{waiting}not told{' now' if before else ''}{before}"
    if one.told_ns and one.knows:
        return (
            f"{waiting}deduplicated: told at {_time(one.told_ns)} that it fires; "
            f"again from {_time(one.repeat_ns)} on if nothing changes"
        )
    if one.told_ns:
        return f"{waiting}told of the group at {_time(one.told_ns)}, not of this alert"
    return f"{waiting}not told yet" if why.state == "firing" else f"{waiting}knows nothing of it"


def _time(ns: int) -> str:
    return local_time(rfc3339(ns))[:19]


def _length(ns: int) -> str:
    seconds = max(0, round(ns / 1e9))
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
