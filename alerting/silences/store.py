"""Silences on disk."""

from __future__ import annotations

import msgspec

from alerting.database import Database
from alerting.silences.model import Silence

_decoder = msgspec.msgpack.Decoder(Silence)


class SilenceStore:
    """Each call is a transaction, or part of the one that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, tenant: str) -> list[Silence]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT silence FROM silence WHERE tenant = ?", (tenant,)).fetchall()
        return [_decoder.decode(blob) for (blob,) in rows]

    def save(self, tenant: str, *silences: Silence) -> None:
        with self._database.transaction() as connection:
            for silence in silences:
                row = (tenant, silence.id, msgspec.msgpack.encode(silence))
                connection.execute("INSERT OR REPLACE INTO silence VALUES (?, ?, ?)", row)

    def drop(self, tenant: str, id_: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM silence WHERE tenant = ? AND id = ?", (tenant, id_))
