"""The short version of `make chaos`: every row once, with few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.rows import ROWS, Row, run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_number_is_stored_exactly_once(row: Row, tmp_path: Path) -> None:
    result = run(row, tmp_path, lines=60_000, per_s=12_000, seed=1)
    assert result.balances, f"{result}: lost {result.lost[:10]}, repeated {result.repeated[:10]}"
