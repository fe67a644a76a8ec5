"""The short version of `make chaos`, second half: files, the network, disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import rows_disks, rows_files, rows_network
from tests.chaos.row import Row
from tests.chaos.short import check_row, short


@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", short(rows_files.ROWS, rows_network.ROWS, rows_disks.ROWS), ids=lambda row: row.name)
def test_each_number_is_stored_exactly_once(row: Row, tmp_path: Path) -> None:
    check_row(row, tmp_path)
