"""SQLite files of this part: opened the same way, their version checked, used under one lock.

WAL with synchronous=FULL: a commit survives a power cut. A connection may be used from any thread, one at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deckwatch.runtime.faults import Unusable


class Database:
    def __init__(self, path: Path, version: int, schema: str) -> None:
        """Creates the file where there is none. Raises Unusable: a newer version, no database, no permission."""
        self._path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise Unusable(f"{path} can't be used: {error}; move it away to start afresh") from None
        if found > version:
            raise Unusable(f"{path} was written by a newer version (format {found}, this one knows {version})")
        if found < version:
            with self.transaction() as connection:
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nested ones are part of the outermost."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
