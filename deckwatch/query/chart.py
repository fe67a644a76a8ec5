"""A plot with its axes, as lines that fit the width."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import msgspec
from rich.text import Text

from deckwatch.query.answer import Series
from deckwatch.query.plot import MOST_SERIES, Canvas
from deckwatch.query.question import Question
from deckwatch.query.scale import Scale, short, time_label, value_scale
from deckwatch.runtime.times import SECOND

_ROWS_A_TICK = 4
_AXIS_STYLE = "dim"


class Room(msgspec.Struct, frozen=True):
    width: int
    height: int
    colours: bool
    zone: tzinfo | None = None  # of the times on the axis; None: this machine's


def chart(series: Sequence[Series], question: Question, room: Room) -> list[Text]:
    """The first MOST_SERIES of them; nothing where no value is a number."""
    shown = series[:MOST_SERIES]
    values = [value for one in shown for value in one.finite]
    if not values:
        return []
    y = value_scale(min(values), max(values))
    ticks = _ticks(y, room.height)
    margin = max(map(len, ticks.values()))
    width = max(8, room.width - margin - 2)
    x = Scale(question.start_ns / SECOND, question.end_ns / SECOND)
    canvas = Canvas(width, room.height, colours=room.colours)
    for place in reversed(range(len(shown))):  # the first one stands over the others
        canvas.draw(place, shown[place].points, x, y, 1.5 * question.step_ns / SECOND)
    lines = [_row(ticks.get(row, ""), margin, line) for row, line in enumerate(canvas.lines())]
    return [*lines, *_time_axis(x, margin, width, room.zone)]


def _row(tick: str, margin: int, line: Text) -> Text:
    edge = "┤" if tick else "│"
    return Text(f"{tick:>{margin}} {edge}", style=_AXIS_STYLE) + line


def _ticks(y: Scale, height: int) -> dict[int, str]:
    """Row -> the value at it; the top and the bottom always have one."""
    if height < 2:
        return {0: short(y.high)}
    spaces = max(1, (height - 1) // _ROWS_A_TICK)
    rows = [round(place * (height - 1) / spaces) for place in range(spaces + 1)]
    return {row: short(y.high - (y.high - y.low) * row / (height - 1)) for row in rows}


def _time_axis(x: Scale, margin: int, width: int, zone: tzinfo | None) -> list[Text]:
    span_s = x.high - x.low
    first, last = (time_label(at_s, span_s, zone) for at_s in (x.low, x.high))
    blank = " " * margin
    words = f"{first}{last:>{max(len(last) + 1, width - len(first))}}"
    if len(words) > width:
        words = last.rjust(width)
    middle = time_label((x.low + x.high) / 2, span_s, zone)
    at = (width - len(middle)) // 2
    if at > len(first) + 2 and at + len(middle) + 2 < width - len(last):
        words = words[:at] + middle + words[at + len(middle) :]
    return [Text(f"{blank} └{'─' * width}", style=_AXIS_STYLE), Text(f"{blank}  {words}", style=_AXIS_STYLE)]
