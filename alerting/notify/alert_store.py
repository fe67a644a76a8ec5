"""Alerts and the groups that they are told in, on disk."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerting.database import Database
from alerting.notify.alerts import AlertRecord
from deckwatch.wire.model import Labels

_alert = msgspec.msgpack.Decoder(AlertRecord)
_labels: msgspec.msgpack.Decoder[Labels] = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...])
_encode = msgspec.msgpack.encode


class SavedGroup(msgspec.Struct, frozen=True):
    route: str  # its id
    labels: Labels
    next_ns: int  # when it is looked at next
    flushed: bool  # once before, so that group_wait is over


class AlertStore:
    """Each call is a transaction, or part of the one that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> list[str]:
        """That have alerts or silences."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT tenant FROM alert UNION SELECT tenant FROM silence").fetchall()
        return [tenant for (tenant,) in rows]

    def alerts(self, tenant: str) -> list[AlertRecord]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT alert FROM alert WHERE tenant = ?", (tenant,)).fetchall()
        return [_alert.decode(blob) for (blob,) in rows]

    def save_alerts(self, tenant: str, alerts: Iterable[AlertRecord]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO alert VALUES (?, ?, ?)",
                [(tenant, alert.fingerprint, _encode(alert)) for alert in alerts],
            )

    def drop_alert(self, tenant: str, fingerprint: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM alert WHERE tenant = ? AND fingerprint = ?", (tenant, fingerprint))

    def groups(self, tenant: str) -> list[SavedGroup]:
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT route, labels, next_ns, flushed FROM alert_group WHERE tenant = ?", (tenant,)
            ).fetchall()
        return [SavedGroup(route, _labels.decode(blob), next_ns, bool(flag)) for route, blob, next_ns, flag in rows]

    def save_group(self, tenant: str, group: SavedGroup) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO alert_group VALUES (?, ?, ?, ?, ?)",
                (tenant, group.route, _encode(group.labels), group.next_ns, group.flushed),
            )

    def drop_group(self, tenant: str, route: str, labels: Labels) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM alert_group WHERE tenant = ? AND route = ? AND labels = ?",
                (tenant, route, _encode(labels)),
            )
