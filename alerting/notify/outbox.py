"""Notifications that are still to be delivered, in the database that holds the states from which they came.

A *scope* is a configuration: `""` the one of all tenants, else the tenant that has one of its own. Two configurations
may both name a receiver `ops`; each has workers of its own, which see their scope alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from alerting.database import Database
from alerting.notify.channels.model import Notification, Queued, Receipt
from alerting.notify.decide import Told
from alerting.notify.notification_log import NotificationLog, Telling

RECEIPTS = 1000
"""So many of the newest are kept of each tenant."""

FinishListener = Callable[[Notification, Sequence[Receipt]], None]
"""Called inside the transaction in which a notification leaves the outbox."""

_notification = msgspec.msgpack.Decoder(Notification)
_told = msgspec.msgpack.Decoder(Told)
_encode = msgspec.msgpack.encode
_ONE_GROUP = "scope = ? AND receiver = ? AND integration = ? AND tenant = ? AND group_key = ?"


class Waiting(msgspec.Struct, frozen=True):
    """A row as dispatching sees it. `told`: what the receiver knows once it has taken it; None: it changes nothing
    (sent to a fallback receiver)."""

    id: int
    told: Told | None
    attempts: int


class SqlOutbox:
    """Implements `channels.model.Outbox`. Each call is a transaction, or part of the one that is open."""

    def __init__(self, database: Database, log: NotificationLog, scope: str, listeners: list[FinishListener]) -> None:
        self._database = database
        self._log = log
        self._scope = scope
        self._listeners = listeners

    # For delivery ---------------------------------------------------------------------------------------------------

    def next(self, receiver: str, integration: str, but: Collection[int] = ()) -> Queued | None:
        key = (self._scope, receiver, integration)
        marks = ", ".join("?" * len(but))
        oldest = (
            "SELECT min(id) FROM outbox WHERE scope = ? AND receiver = ? AND integration = ? GROUP BY tenant, group_key"
        )
        with self._database.transaction() as connection:
            row = connection.execute(
                f"SELECT id, notification, attempts FROM outbox WHERE id IN ({oldest}) AND id NOT IN ({marks})"  # noqa: S608
                " ORDER BY tried_ns, id LIMIT 1",
                (*key, *but),
            ).fetchone()
        return None if row is None else Queued(row[0], _notification.decode(row[1]), row[2])

    def tried(self, queued: Queued, at_ns: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET attempts = attempts + 1, tried_ns = ? WHERE id = ?", (at_ns, queued.id)
            )

    def replace(
        self,
        queued: Queued,
        notification: Notification,
        receipts: Sequence[Receipt] = (),
        instead: Sequence[Notification] = (),
    ) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE outbox SET notification = ? WHERE id = ?", (_encode(notification), queued.id))
            for receipt in receipts:
                self._note(receipt)
            for other in instead:
                self.add(other, None)

    def finish(self, queued: Queued, receipts: Sequence[Receipt], instead: Sequence[Notification] = ()) -> None:
        """A message that reached one of several targets counts as told: a repeat of it would reach that one again."""
        notification = queued.notification
        with self._database.transaction() as connection:
            row = connection.execute("SELECT told FROM outbox WHERE id = ?", (queued.id,)).fetchone()
            connection.execute("DELETE FROM outbox WHERE id = ?", (queued.id,))
            reached = notification.reached or any(receipt.delivered for receipt in receipts)
            if row is not None and row[0] is not None and reached:
                self._log.save(telling_of(notification), _told.decode(row[0]))
            for receipt in receipts:
                self._note(receipt)
            for other in instead:
                self.add(other, None)
            for listener in self._listeners:
                listener(notification, receipts)

    def queue_lengths(self) -> dict[tuple[str, str], int]:
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT receiver, integration, count(*) FROM outbox WHERE scope = ? GROUP BY receiver, integration",
                (self._scope,),
            ).fetchall()
        return {(receiver, integration): count for receiver, integration, count in rows}

    # For dispatching ------------------------------------------------------------------------------------------------

    def add(self, notification: Notification, told: Told | None) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO outbox (scope, receiver, integration, tenant, group_key, notification, told)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *self._key(telling_of(notification)),
                    *(_encode(notification), None if told is None else _encode(told)),
                ),
            )

    def waiting(self, telling: Telling) -> list[Waiting]:
        """Oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT id, told, attempts FROM outbox WHERE {_ONE_GROUP} ORDER BY id",  # noqa: S608 - a constant
                self._key(telling),
            ).fetchall()
        return [Waiting(id_, None if blob is None else _told.decode(blob), attempts) for id_, blob, attempts in rows]

    def renew(self, waiting: Waiting, notification: Notification, told: Told) -> None:
        """Another content for a row that was not tried yet."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE outbox SET notification = ?, told = ? WHERE id = ?",
                (_encode(notification), _encode(told), waiting.id),
            )

    def counts_as(self, waiting: Waiting, told: Told) -> None:
        """Once it is taken, the receiver is to be held for knowing this."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE outbox SET told = ? WHERE id = ?", (_encode(told), waiting.id))

    def drop(self, waiting: Waiting) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (waiting.id,))

    def _key(self, telling: Telling) -> tuple[str, str, str, str, str]:
        return self._scope, telling.receiver, telling.integration, telling.tenant, telling.group_key

    def _note(self, receipt: Receipt) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO receipts (tenant, receipt) VALUES (?, ?)", (receipt.tenant, _encode(receipt))
            )
            connection.execute(
                "DELETE FROM receipts WHERE tenant = ? AND id <="
                " (SELECT id FROM receipts WHERE tenant = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (receipt.tenant, receipt.tenant, RECEIPTS),
            )


def telling_of(notification: Notification) -> Telling:
    return Telling(notification.tenant, notification.receiver, notification.integration, notification.group_key)
