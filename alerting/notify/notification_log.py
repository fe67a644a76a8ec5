"""What each integration was last told of each group (Alertmanager's nflog): written when it took the message."""

from __future__ import annotations

import msgspec

from alerting.database import Database
from alerting.notify.decide import Told

_decoder = msgspec.msgpack.Decoder(Told)


class Telling(msgspec.Struct, frozen=True):
    """Who is told of what: one line of talk that goes on over messages."""

    tenant: str
    receiver: str
    integration: str
    group_key: str


class NotificationLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, telling: Telling) -> Told | None:
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT told FROM told WHERE tenant = ? AND receiver = ? AND integration = ? AND group_key = ?",
                msgspec.structs.astuple(telling),
            ).fetchone()
        return None if row is None else _decoder.decode(row[0])

    def save(self, telling: Telling, told: Told) -> None:
        """Nothing fires as far as the receiver knows: that needs no row."""
        key = msgspec.structs.astuple(telling)
        with self._database.transaction() as connection:
            if told.firing:
                row = (*key, msgspec.msgpack.encode(told), told.at_ns)
                connection.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?, ?)", row)
            else:
                connection.execute(
                    "DELETE FROM told WHERE tenant = ? AND receiver = ? AND integration = ? AND group_key = ?", key
                )

    def forget_before(self, at_ns: int) -> int:
        """How many were forgotten: of groups and receivers that are no more."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM told WHERE at_ns < ?", (at_ns,)).rowcount
