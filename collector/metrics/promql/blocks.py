"""Cuts work into pieces that take well under a second each, so that a query can be stopped between them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

MAX_VISITS = 200_000_000
"""Samples that a kernel looks at in one go: some tenths of a second."""


class Block(msgspec.Struct, frozen=True):
    """Series [first_row, end_row) at steps [first_step, end_step)."""

    first_row: int
    end_row: int
    first_step: int
    end_step: int


def blocks(rows: int, steps: int, visits_each: float, max_visits: int = MAX_VISITS) -> Iterator[Block]:
    """`visits_each`: samples looked at for one series at one step. Whole series where one is small enough."""
    per_row = max(1.0, visits_each) * steps
    rows_each = max(1, int(max_visits // per_row))
    steps_each = steps if per_row <= max_visits else max(1, int(max_visits // max(1.0, visits_each)))
    for row in range(0, rows, rows_each):
        for step in range(0, steps, steps_each):
            yield Block(row, min(rows, row + rows_each), step, min(steps, step + steps_each))
