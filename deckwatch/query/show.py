"""What an answer looks like: a table, over a range a plot too. Plain lines where the output is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from deckwatch.logs.show import one_word
from deckwatch.query.answer import Answer, Data, Series, series_text, shared_labels
from deckwatch.query.chart import Room, chart
from deckwatch.query.plot import LETTERS, MOST_SERIES, STYLES
from deckwatch.query.question import Question
from deckwatch.query.scale import short

_STATISTICS = ("LAST", "MIN", "MAX", "AVG")
_NARROW, _MIDDLE = 50, 72
NOTHING = "no series has a sample there"


def ordered(series: Sequence[Series]) -> list[Series]:
    """Of a range: the one with the largest last value first; those without numbers last."""
    return sorted(series, key=lambda one: -one.finite[-1] if one.finite else float("inf"))


def plain_lines(data: Data, limit: int) -> list[str]:
    """`series value`, as an exposition has it, whole however long; of several times `series value time`."""
    if data.kind in ("scalar", "string"):
        return [_said(data)]
    lines = []
    for one in data.series()[: limit or None]:
        name = series_text(one.metric)
        if one.value is not None:
            lines.append(f"{name} {one.value[1]}")
        lines += [f"{name} {text} {_stamp(at_s)}" for at_s, text in one.values]
    return lines


def instant_table(data: Data, limit: int) -> Table | Text:
    if data.kind in ("scalar", "string"):
        return Text(_said(data))
    series = data.series()
    shared = shared_labels(series)
    table = _table(shared, "SERIES", "VALUE")
    for one in series[: limit or None]:
        values = [one.value[1]] if one.value else [f"{text} @ {_stamp(at_s)}" for at_s, text in one.values]
        table.add_row(Text(series_text(one.metric, shared)), Text("\n".join(values)))
    return table


def range_view(series: Sequence[Series], question: Question, room: Room, limit: int) -> list[Text | Table]:
    """`series` as `ordered` gives them."""
    shared = shared_labels(series)
    columns = _STATISTICS[: 1 if room.width < _NARROW else 3 if room.width < _MIDDLE else 4]
    table = _table(shared, "SERIES", *columns)
    for place, one in enumerate(series[: limit or None]):
        figures = _figures(one)
        table.add_row(_legend(place, one, shared, room), *(Text(figures[name]) for name in columns))
    return [*chart(series, question, room), table]


def plain_range(series: Sequence[Series], question: Question, room: Room, limit: int) -> list[str]:
    """The plot with a letter a series, and a line for each that is whole however long."""
    lines = [line.plain.rstrip() for line in chart(series, question, room)]
    for place, one in enumerate(series[: limit or None]):
        figures = _figures(one)
        told = " ".join(f"{name.lower()}={figures[name]}" for name in _STATISTICS)
        lines.append(f"{LETTERS[place] if place < MOST_SERIES else '-'} {series_text(one.metric)} {told}")
    return lines


def _legend(place: int, one: Series, shared: dict[str, str], room: Room) -> Text:
    mark = ("━" if room.colours else LETTERS[place]) if place < MOST_SERIES else " "
    style = STYLES[place] if room.colours and place < MOST_SERIES else ""
    return Text(f"{mark} ", style=style) + Text(series_text(one.metric, shared))


def _table(shared: dict[str, str], first: str, *others: str) -> Table:
    title = Text(f"all of {series_text(shared)}", style="dim") if shared else None
    table = Table(box=None, padding=(0, 1), header_style="bold", title=title, title_justify="left")
    table.add_column(first, overflow="fold", ratio=1 if len(others) > 1 else None)
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _figures(one: Series) -> dict[str, str]:
    values = one.finite
    if not values:
        return dict.fromkeys(_STATISTICS, "-") | ({"LAST": short(one.points[-1][1])} if one.values else {})
    figures = (one.points[-1][1], min(values), max(values), sum(values) / len(values))
    return dict(zip(_STATISTICS, map(short, figures), strict=True))


def _said(data: Data) -> str:
    return one_word(data.point()[1])


def _stamp(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def notes(answer: Answer) -> list[str]:
    """What stands beside the result."""
    warnings = [f"warning: {one_word(text)}" for text in answer.warnings]
    return warnings + [f"info: {one_word(text)}" for text in answer.infos]
