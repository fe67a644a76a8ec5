"""The short version of a row, as a test: a few thousand lines, one seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.row import Row, run
from tests.chaos.table import line

LINES = 10_000
PER_S = 10_000.0


def short(*groups: Sequence[Row]) -> list[Row]:
    return [row for group in groups for row in group if row.in_short]


def check_row(row: Row, folder: Path) -> None:
    outcome = run(row, folder, lines=LINES, per_s=PER_S, seed=1)
    if outcome.skipped:
        pytest.skip(f"{row.name}: {outcome.skipped}")
    assert outcome.good, line(outcome)
