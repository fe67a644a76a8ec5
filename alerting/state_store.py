"""What alerting must not forget: states of rules, what receivers were told, and what they are still to be told.

All of it in one SQLite file, so that a change of state and the message about it become durable together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from alerting.database import Database
from alerting.notify.decide import Told
from alerting.notify.message import GroupAlert
from alerting.rules.state import Alert
from deckwatch.wire.model import Labels

_VERSION = 1
_SCHEMA = """
CREATE TABLE rule_state (rule TEXT PRIMARY KEY, alerts BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE told (
    receiver TEXT NOT NULL, group_key TEXT NOT NULL, told BLOB NOT NULL, PRIMARY KEY (receiver, group_key)
) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, group_key TEXT NOT NULL, message BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, tried_ns INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_by_receiver ON outbox (receiver, group_key, id);
CREATE TABLE receipts (id INTEGER PRIMARY KEY AUTOINCREMENT, receipt BLOB NOT NULL)
"""
RECEIPTS = 1000
"""So many of the newest are kept."""


class Message(msgspec.Struct, frozen=True):
    """A notification as it will be sent. `key` is the receiver's means to recognise a repeat (Idempotency-Key)."""

    key: str
    reason: str
    group_labels: Labels
    alerts: tuple[GroupAlert, ...]
    created_ns: int


class Queued(msgspec.Struct, frozen=True):
    id: int
    receiver: str
    group_key: str
    message: Message
    attempts: int


class Receipt(msgspec.Struct, frozen=True):
    """How a message ended. `code` is 0 where there was no HTTP answer."""

    key: str
    receiver: str
    group_key: str
    reason: str
    code: int
    attempts: int
    created_ns: int
    ended_ns: int
    delivered: bool
    error: str = ""


_alerts = msgspec.msgpack.Decoder(tuple[Alert, ...])
_told = msgspec.msgpack.Decoder(Told)
_message = msgspec.msgpack.Decoder(Message)
_receipt = msgspec.msgpack.Decoder(Receipt)
_encode = msgspec.msgpack.encode


class StateStore:
    """Each call is a transaction, or part of the one that `database.transaction()` has opened."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, _VERSION, _SCHEMA)

    def rules(self) -> dict[str, dict[Labels, Alert]]:
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT rule, alerts FROM rule_state").fetchall()
        return {rule: {alert.labels: alert for alert in _alerts.decode(blob)} for rule, blob in rows}

    def save_rules(self, states: Mapping[str, Iterable[Alert]]) -> None:
        """Rules without alerts take no room."""
        with self.database.transaction() as connection:
            for rule, alerts in states.items():
                kept = tuple(alerts)
                if kept:
                    connection.execute("INSERT OR REPLACE INTO rule_state VALUES (?, ?)", (rule, _encode(kept)))
                else:
                    connection.execute("DELETE FROM rule_state WHERE rule = ?", (rule,))

    def told(self, receiver: str, group_key: str) -> Told | None:
        with self.database.transaction() as connection:
            row = connection.execute(
                "SELECT told FROM told WHERE receiver = ? AND group_key = ?", (receiver, group_key)
            ).fetchone()
        return None if row is None else _told.decode(row[0])

    def save_told(self, receiver: str, group_key: str, told: Told) -> None:
        with self.database.transaction() as connection:
            if told.firing:
                values = (receiver, group_key, _encode(told))
                connection.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", values)
            else:
                connection.execute("DELETE FROM told WHERE receiver = ? AND group_key = ?", (receiver, group_key))

    def enqueue(self, receiver: str, group_key: str, message: Message) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO outbox (receiver, group_key, message) VALUES (?, ?, ?)",
                (receiver, group_key, _encode(message)),
            )

    def waiting(self, receiver: str, group_key: str) -> list[Queued]:
        """Oldest first."""
        return self._queued("WHERE receiver = ? AND group_key = ? ORDER BY id", (receiver, group_key))

    def next(self, receiver: str) -> Queued | None:
        """The oldest message of a group; of several groups the one that was tried least lately."""
        found = self._queued(
            "WHERE receiver = ? AND id IN (SELECT min(id) FROM outbox WHERE receiver = ? GROUP BY group_key)"
            " ORDER BY tried_ns, id LIMIT 1",
            (receiver, receiver),
        )
        return found[0] if found else None

    def replace(self, queued: Queued, message: Message) -> None:
        with self.database.transaction() as connection:
            connection.execute("UPDATE outbox SET message = ? WHERE id = ?", (_encode(message), queued.id))

    def tried(self, queued: Queued, at_ns: int) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, tried_ns = ? WHERE id = ?", (at_ns, queued.id)
            )

    def finish(self, queued: Queued, receipt: Receipt) -> None:
        """Out of the outbox, into the receipts."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (queued.id,))
            connection.execute("INSERT INTO receipts (receipt) VALUES (?)", (_encode(receipt),))
            connection.execute("DELETE FROM receipts WHERE id <= (SELECT max(id) FROM receipts) - ?", (RECEIPTS,))

    def receipts(self) -> list[Receipt]:
        """Oldest first."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT receipt FROM receipts ORDER BY id").fetchall()
        return [_receipt.decode(blob) for (blob,) in rows]

    def queue_lengths(self) -> dict[str, int]:
        with self.database.transaction() as connection:
            return dict(connection.execute("SELECT receiver, count(*) FROM outbox GROUP BY receiver").fetchall())

    def close(self) -> None:
        self.database.close()

    def _queued(self, where: str, values: tuple[str, ...]) -> list[Queued]:
        select = "SELECT id, receiver, group_key, message, attempts FROM outbox "
        with self.database.transaction() as connection:
            rows = connection.execute(select + where, values).fetchall()
        return [Queued(id_, to, key, _message.decode(blob), attempts) for id_, to, key, blob, attempts in rows]
