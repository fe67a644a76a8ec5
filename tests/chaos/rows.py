"""All rows of the table, in its order."""

from __future__ import annotations

from tests.chaos import rows_disks, rows_files, rows_identity, rows_kill, rows_network
from tests.chaos.row import Row

ROWS: tuple[Row, ...] = (
    *rows_kill.ROWS,
    *rows_files.ROWS,
    *rows_network.ROWS,
    *rows_disks.ROWS,
    *rows_identity.ROWS,
)
