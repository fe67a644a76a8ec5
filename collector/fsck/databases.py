"""SQLite files: SQLite's own check of every page and index."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from collector.fsck.report import Findings

_MOST = 20
"""Complaints of one file."""


def check_database(path: Path, found: Findings) -> bool:
    """Is it sound?"""
    found.checked("databases")
    try:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            complaints = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({_MOST})")]
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        complaints = [str(error)]
    if complaints == ["ok"]:
        return True
    shown = "; ".join(complaints)
    found.wrong(path, f"the database is damaged: {shown}", "restore it from a backup, or move it away to start afresh")
    return False
