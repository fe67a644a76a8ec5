"""What alerting must not forget: states of rules, alerts and their groups, silences, what receivers were told, and what
they are still to be told.

All of it in one SQLite file, so that a change of state and the message about it become durable together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from alerting.database import Database
from alerting.notify.alert_store import AlertStore
from alerting.notify.channels.model import Receipt
from alerting.notify.notification_log import NotificationLog
from alerting.notify.outbox import FinishListener, SqlOutbox
from alerting.rules.state import Alert
from alerting.silences.store import SilenceStore
from alerting.state_format import STEPS
from deckwatch.wire.model import DEFAULT_TENANT, Labels

_alerts = msgspec.msgpack.Decoder(tuple[Alert, ...])
_receipt = msgspec.msgpack.Decoder(Receipt)
_encode = msgspec.msgpack.encode


class StateStore:
    """Each call is a transaction, or part of the one that `database.transaction()` has opened."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, STEPS)
        self.alerts = AlertStore(self.database)
        self.log = NotificationLog(self.database)
        self.silences = SilenceStore(self.database)
        self.finish_listeners: list[FinishListener] = []

    def outbox(self, scope: str = "") -> SqlOutbox:
        return SqlOutbox(self.database, self.log, scope, self.finish_listeners)

    def scopes(self) -> list[str]:
        """Whose messages wait."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT DISTINCT scope FROM outbox").fetchall()
        return sorted(scope for (scope,) in rows)

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

    def receipts(self, tenant: str = DEFAULT_TENANT) -> list[Receipt]:
        """Oldest first."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT receipt FROM receipts WHERE tenant = ? ORDER BY id", (tenant,)).fetchall()
        return [_receipt.decode(blob) for (blob,) in rows]

    def waiting(self, tenant: str = DEFAULT_TENANT) -> dict[str, int]:
        """Receiver -> notifications that wait for it."""
        with self.database.transaction() as connection:
            rows = connection.execute(
                "SELECT receiver, count(*) FROM outbox WHERE tenant = ? GROUP BY receiver", (tenant,)
            ).fetchall()
        return dict(rows)

    def close(self) -> None:
        self.database.close()
