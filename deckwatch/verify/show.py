"""Verdicts and gaps for people. Names from the outside are made harmless before they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from deckwatch.logs.show import local_time, one_word
from deckwatch.verify.compare import Problem, Result
from deckwatch.verify.model import Gap

NO_GAPS = "no gaps: every line accounted"
_UNKNOWN = "unknown"


def size(number: float) -> str:
    """Bytes as people read them, in powers of 1000."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def when(after: str | None, noticed: str | None) -> str:
    """`2026-01-31 12:00:00 to 12:05:00`, in the zone of this machine: when the lines were written."""
    if noticed is None:
        return _UNKNOWN if after is None else f"since {local_time(after)[:19]}"
    end = local_time(noticed)[:19]
    if after is None:
        return f"until {end}"
    start = local_time(after)[:19]
    return f"{start} to {end[11:] if start[:10] == end[:10] else end}"


def _table(caption: str) -> Table:
    table = Table(title=caption, title_justify="left", title_style="", box=None, pad_edge=False, header_style="bold")
    table.add_column("SOURCE", overflow="fold")
    table.add_column("FROM", justify="right")
    table.add_column("TO", justify="right")
    table.add_column("BYTES", justify="right")
    table.add_column("REASON", style="yellow", overflow="fold")
    table.add_column("WRITTEN", overflow="fold")
    table.add_column("DETAIL", style="dim", overflow="fold")
    return table


def _row(start: int, end: int | None) -> tuple[str, str, str]:
    if end is None:
        return f"{start:,}", _UNKNOWN, _UNKNOWN
    return f"{start:,}", f"{end:,}", size(end - start)


def gap_table(gaps: Sequence[Gap]) -> Table:
    table = _table(f"{counted(len(gaps), 'gap')}: bytes [FROM, TO) of these logs were never read")
    for gap in gaps:
        reason = f"{gap.reason} (as configured)" if gap.expected else gap.reason
        written = when(gap.after, gap.noticed)
        table.add_row(gap_source(gap), *_row(gap.start, gap.end), one_word(reason), written, one_word(gap.detail))
    return table


def gap_source(gap: Gap) -> str:
    if gap.kind == "samples":
        return f"samples of {one_word(gap.host)}"
    return _source(gap.container, gap.host, gap.path)


def _source(container: str, host: str, path: str) -> str:
    return f"{one_word(container or path or '-')} on {one_word(host or '-')}"


def problem_table(result: Result) -> Table:
    table = _table("")
    table.title = None
    for one in result.problems:
        missing = one.missing
        written = when(missing.after, missing.noticed)
        source = _source(one.container, one.host, one.path)
        table.add_row(
            source, *_row(missing.start, missing.end), one_word(missing.reason), written, one_word(missing.detail)
        )
    return table


def plain_problem(one: Problem) -> str:
    """One line, for pipes."""
    missing = one.missing
    start, end, length = _row(missing.start, missing.end)
    words = [f"{_source(one.container, one.host, one.path)}: [{start}, {end}) {length}, {missing.reason}"]
    words.append(f"written {when(missing.after, missing.noticed)}")
    words += [missing.detail] if missing.detail else []
    return one_word("; ".join(words))


def summary(result: Result) -> Iterator[str]:
    looked = (
        f"{counted(result.streams, 'stream')} of {counted(result.containers, 'log')}, "
        f"{counted(result.records, 'record')}, {size(result.stored_bytes)}; "
        f"{counted(result.segments, 'segment')} read"
    )
    if result.complete:
        yield f"complete: {looked}; every byte is accounted for"
    else:
        streams = len({one.stream for one in result.problems})
        yield f"INCOMPLETE: {counted(len(result.problems), 'gap')} in {counted(streams, 'stream')}; looked at {looked}"
    if result.agents:
        hosts = ", ".join(map(one_word, result.agents))
        yield f"sources: {counted(result.compared_logs, 'file')} on {hosts} compared"
    if result.on_their_way_bytes:
        yield (
            f"on their way: {size(result.on_their_way_bytes)} in {counted(result.on_their_way_logs, 'file')},"
            " not acknowledged yet"
        )
    if result.dropped_bytes:
        yield f"dropped by retention or on purpose: {size(result.dropped_bytes)}"
    if result.expected:
        yield f"left out as configured: {counted(len(result.expected), 'stretch')} before the agents' first start"
    yield from (f"note: {one_word(note)}" for note in result.notes)
