"""SQLite files of this part: opened the same way, their version checked, used under one lock.

WAL with synchronous=FULL: a commit survives a power cut. A connection may be used from any thread, one at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deckwatch.runtime.faults import Unusable

Step = str | Callable[[sqlite3.Connection], None]
"""Statements with `;` between them, or what SQL alone can't do."""


class Database:
    def __init__(self, path: Path, steps: Sequence[Step]) -> None:
        """Creates the file where there is none. `steps` lead from each version of the format to the next, the first
        from nothing. Raises Unusable: a newer version, no database, no permission."""
        version = len(steps)
        self._path = path
        self._lock = threading.RLock()
        self._after_commit: list[Callable[[], None]] = []
        self._after_rollback: list[Callable[[], None]] = []
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
                for step in steps[found:]:
                    _take(step, connection)
                connection.execute(f"PRAGMA user_version = {version}")

    def add_part(self, name: str, version: int, schema: str) -> None:
        """Tables of another part that are to change in the same transactions; their version is kept by its name.
        Raises Unusable: a newer version."""
        with self.transaction() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, version INTEGER NOT NULL)")
            row = connection.execute("SELECT version FROM part WHERE name = ?", (name,)).fetchone()
            found = 0 if row is None else row[0]
            if found > version:
                raise Unusable(
                    f"{self._path}: {name} were written by a newer version (format {found}, this one knows {version})"
                )
            if found < version:
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT OR REPLACE INTO part VALUES (?, ?)", (name, version))

    def after_commit(self, act: Callable[[], None]) -> None:
        """Once what the running transaction changed is durable; never, where it is rolled back. For what can't be
        taken back, such as counting."""
        with self._lock:
            if self._in_transaction():
                self._after_commit.append(act)
                return
        act()

    def after_each_rollback(self, act: Callable[[], None]) -> None:
        """For those who hold in memory what is in the database: it is to be read again."""
        self._after_rollback.append(act)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; nested ones are part of the outermost."""
        with self._lock:
            if self._in_transaction():
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._after_commit.clear()
                if self._in_transaction():  # a commit that failed (full disk) may have ended it
                    self._connection.execute("ROLLBACK")
                for act in self._after_rollback:
                    act()
                raise
            due, self._after_commit = self._after_commit, []
            for act in due:
                act()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a commit that failed (full disk) may have ended it
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _in_transaction(self) -> bool:
        return self._connection.in_transaction


def _take(step: Step, connection: sqlite3.Connection) -> None:
    if callable(step):
        step(connection)
        return
    for statement in step.split(";"):
        connection.execute(statement)
