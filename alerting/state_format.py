"""The format of the database of states and messages, and how older ones are brought to it."""

from __future__ import annotations

import sqlite3

import msgspec

from alerting.database import Step
from alerting.notify.channels.model import Notification
from alerting.notify.message import GroupAlert
from deckwatch.wire.model import DEFAULT_TENANT, Labels

_FIRST = """
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

_ROUTES_SILENCES_TENANTS = """
DROP INDEX outbox_by_receiver;
ALTER TABLE outbox RENAME TO outbox_1;
ALTER TABLE told RENAME TO told_1;
DROP TABLE receipts;
CREATE TABLE alert (
    tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, alert BLOB NOT NULL, PRIMARY KEY (tenant, fingerprint)
) WITHOUT ROWID;
CREATE TABLE alert_group (
    tenant TEXT NOT NULL, route TEXT NOT NULL, labels BLOB NOT NULL, next_ns INTEGER NOT NULL,
    flushed INTEGER NOT NULL, PRIMARY KEY (tenant, route, labels)
) WITHOUT ROWID;
CREATE TABLE silence (
    tenant TEXT NOT NULL, id TEXT NOT NULL, silence BLOB NOT NULL, PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE TABLE told (
    tenant TEXT NOT NULL, receiver TEXT NOT NULL, integration TEXT NOT NULL, group_key TEXT NOT NULL,
    told BLOB NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (tenant, receiver, integration, group_key)
) WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, tenant TEXT NOT NULL, receiver TEXT NOT NULL,
    integration TEXT NOT NULL, group_key TEXT NOT NULL, notification BLOB NOT NULL, told BLOB,
    attempts INTEGER NOT NULL DEFAULT 0, tried_ns INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_by_group ON outbox (scope, receiver, integration, tenant, group_key, id);
CREATE TABLE receipts (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, receipt BLOB NOT NULL);
CREATE INDEX receipts_by_tenant ON receipts (tenant, id)
"""
_OLD_INTEGRATION = "webhook[0]"
"""The first format knew webhooks alone, one to a receiver."""


class _OldMessage(msgspec.Struct):
    key: str
    reason: str
    group_labels: Labels
    alerts: tuple[GroupAlert, ...]
    created_ns: int


def _carry_over(connection: sqlite3.Connection) -> None:
    """What was told stays told, what waits goes on waiting."""
    for receiver, key, blob in connection.execute("SELECT receiver, group_key, told FROM told_1").fetchall():
        row = (_tenant_in(key), receiver, _OLD_INTEGRATION, key, blob, msgspec.msgpack.decode(blob)["at_ns"])
        connection.execute("INSERT INTO told VALUES (?, ?, ?, ?, ?, ?)", row)
    rows = connection.execute("SELECT receiver, group_key, message, attempts FROM outbox_1 ORDER BY id").fetchall()
    for receiver, key, blob, attempts in rows:
        old = msgspec.msgpack.decode(blob, type=_OldMessage)
        told = connection.execute(
            "SELECT told FROM told_1 WHERE receiver = ? AND group_key = ?", (receiver, key)
        ).fetchone()
        notification = Notification(
            receiver,
            _OLD_INTEGRATION,
            old.key,
            old.reason,
            key,
            old.group_labels,
            old.alerts,
            old.created_ns,
            tenant=_tenant_in(key),
        )
        connection.execute(
            "INSERT INTO outbox (scope, tenant, receiver, integration, group_key, notification, told, attempts)"
            " VALUES ('', ?, ?, ?, ?, ?, ?, ?)",
            (
                *(notification.tenant, receiver, _OLD_INTEGRATION, key, msgspec.msgpack.encode(notification)),
                *(None if told is None else told[0], attempts),
            ),
        )
    connection.execute("DROP TABLE told_1")
    connection.execute("DROP TABLE outbox_1")


def _tenant_in(group_key: str) -> str:
    """The first format wrote it as the last group label of tenants other than the default one."""
    _, found, rest = group_key.rpartition(', tenant="')
    return rest.removesuffix('"}') if found else DEFAULT_TENANT


STEPS: tuple[Step, ...] = (_FIRST, _ROUTES_SILENCES_TENANTS, _carry_over)
