"""Lines in a terminal: two by four dots of braille a cell where colours tell series apart, else a letter a series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.text import Text

from deckwatch.query.scale import Scale

STYLES = ("cyan", "yellow", "magenta", "green", "blue", "red", "bright_white", "bright_black")
LETTERS = "abcdefgh"
MOST_SERIES = len(STYLES)

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column], Unicode's braille patterns

Points = Sequence[tuple[float, float]]


class Canvas:
    """`width` by `height` cells; what is drawn later stands over what was drawn before."""

    def __init__(self, width: int, height: int, *, colours: bool) -> None:
        self._colours = colours
        self._across, self._down = (2, 4) if colours else (1, 1)
        self.columns, self.rows = width * self._across, height * self._down
        self._dots = [[0] * width for _ in range(height)]
        self._owner: list[list[int | None]] = [[None] * width for _ in range(height)]

    def draw(self, series: int, points: Points, x: Scale, y: Scale, longest_gap_s: float) -> None:
        """Neighbours are joined, where they aren't so far apart that something is missing between them."""
        before: tuple[float, int, int] | None = None
        for at_s, value in points:
            if not math.isfinite(value):
                before = None
                continue
            column = round(x.share(at_s) * (self.columns - 1))
            row = self.rows - 1 - round(y.share(value) * (self.rows - 1))
            if before is not None and at_s - before[0] <= longest_gap_s:
                for dot in _line(before[1], before[2], column, row):
                    self._set(series, *dot)
            else:
                self._set(series, column, row)
            before = (at_s, column, row)

    def lines(self) -> list[Text]:
        return [self._text(row) for row in range(len(self._dots))]

    def _set(self, series: int, column: int, row: int) -> None:
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return
        cell_row, cell = row // self._down, column // self._across
        self._dots[cell_row][cell] |= _DOTS[row % self._down][column % self._across]
        self._owner[cell_row][cell] = series

    def _text(self, row: int) -> Text:
        text = Text(no_wrap=True)
        for dots, owner in zip(self._dots[row], self._owner[row], strict=True):
            if owner is None:
                text.append(" ")
            elif self._colours:
                text.append(chr(_BRAILLE + dots), style=STYLES[owner])
            else:
                text.append(LETTERS[owner])
        return text


def _line(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int]]:
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
