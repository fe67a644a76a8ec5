"""Overrides that were made over the API: who swaps a shift tonight doesn't edit a file. Durable, and gone a while after
they have ended."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from alerting.answer.model import Override
from alerting.database import Database

_VERSION = 1
_SCHEMA = """
CREATE TABLE oncall_override (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, schedule TEXT NOT NULL, user TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, made_ns INTEGER NOT NULL, by TEXT NOT NULL
) WITHOUT ROWID
"""
KEPT_NS = 90 * 86_400 * 1_000_000_000
"""After their end: who was on call last month can still be asked."""


class Overrides:
    """Each call is a transaction, or part of the one that `database.transaction()` has opened."""

    def __init__(self, database: Database) -> None:
        """Raises Unusable: written by a newer version."""
        self._database = database
        database.add_part("on-call overrides", _VERSION, _SCHEMA)

    def of(self, tenant: str, schedule: str) -> tuple[Override, ...]:
        """In the order in which they were made: a later one goes before an earlier one."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT user, start_ns, end_ns, id, by FROM oncall_override WHERE tenant = ? AND schedule = ?"
                " ORDER BY made_ns, id",
                (tenant, schedule),
            ).fetchall()
        return tuple(Override(*row) for row in rows)

    def add_all(self, tenant: str, schedule: str, overrides: Iterable[Override], now_ns: int) -> list[Override]:
        """All of them or none."""
        with self._database.transaction():
            return [self.add(tenant, schedule, override, now_ns) for override in overrides]

    def add(self, tenant: str, schedule: str, override: Override, now_ns: int) -> Override:
        """As it is kept, with its id."""
        id_ = secrets.token_hex(6)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM oncall_override WHERE end_ns < ?", (now_ns - KEPT_NS,))
            connection.execute(
                "INSERT INTO oncall_override VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (id_, tenant, schedule, override.user, override.start_ns, override.end_ns, now_ns, override.origin),
            )
        return Override(override.user, override.start_ns, override.end_ns, id_, override.origin)

    def remove(self, tenant: str, schedule: str, id_: str) -> bool:
        """Was it there?"""
        with self._database.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM oncall_override WHERE id = ? AND tenant = ? AND schedule = ?", (id_, tenant, schedule)
            )
            return gone.rowcount > 0
