"""A database of the first format goes on where it was: what was told stays told, what waited goes out."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from alerting.notifications import Notifications
from alerting.notify.alerts import AlertRecord
from alerting.notify.decide import Told
from alerting.notify.message import GroupAlert, fingerprint
from alerting.notify.notification_log import Telling
from alerting.settings import AlertingSettings, WebhookSettings
from alerting.state_format import STEPS
from alerting.state_store import StateStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.settings import Secret
from deckwatch.wire.model import Labels

S = 10**9
HOT: Labels = (("alertname", "Hot"), ("room", "a"))
BLUE: Labels = (("alertname", "Hot"), ("room", "b"), ("tenant", "blue"))
KEYS = {"default": '{}:{alertname="Hot"}', "blue": '{}:{alertname="Hot", tenant="blue"}'}


def first_format(path: Path, now_ns: int) -> None:
    """As the version before wrote it."""
    encode = msgspec.msgpack.encode
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        assert isinstance(STEPS[0], str)
        connection.executescript(STEPS[0])
        for labels, key in ((HOT, KEYS["default"]), (BLUE, KEYS["blue"])):
            told = Told(frozenset({fingerprint(labels)}), frozenset(), now_ns)
            connection.execute("INSERT INTO told VALUES ('ops', ?, ?)", (key, encode(told)))
        message = {
            "key": "k1",
            "reason": "new group",
            "group_labels": (("alertname", "Hot"), ("tenant", "blue")),
            "alerts": (GroupAlert(BLUE, (), now_ns),),
            "created_ns": now_ns,
        }
        connection.execute(
            "INSERT INTO outbox (receiver, group_key, message, attempts) VALUES ('ops', ?, ?, 3)",
            (KEYS["blue"], encode(message)),
        )
        connection.execute("INSERT INTO receipts (receipt) VALUES (x'80')")
        connection.execute("PRAGMA user_version = 1")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_what_was_told_stays_told_and_what_waits_goes_out(tmp_path: Path, clock: ManualClock) -> None:
    first_format(tmp_path / "alerts.sqlite", clock.now_ns())
    store = StateStore(tmp_path / "alerts.sqlite")
    for tenant, labels in (("default", HOT), ("blue", BLUE)):
        told = store.log.told(Telling(tenant, "ops", "webhook[0]", KEYS[tenant]))
        assert told is not None
        assert told.firing == {fingerprint(labels)}
    queued = store.outbox().next("ops", "webhook[0]")
    assert queued is not None
    assert (queued.attempts, queued.notification.key, queued.notification.tenant) == (3, "k1", "blue")
    assert queued.notification.group_key == KEYS["blue"]
    assert store.receipts() == []
    store.close()
    StateStore(tmp_path / "alerts.sqlite").close()  # once is enough


def test_an_alert_that_fires_over_the_change_is_not_told_again(tmp_path: Path, clock: ManualClock) -> None:
    first_format(tmp_path / "alerts.sqlite", clock.now_ns())
    store = StateStore(tmp_path / "alerts.sqlite")
    settings = AlertingSettings(webhooks=(WebhookSettings(name="ops", url=Secret("http://127.0.0.1:9")),))
    notifier = Notifications(settings, store, clock, CollectorRegistry()).notifier
    record = AlertRecord(fingerprint(HOT), HOT, (), clock.now_ns(), 0, clock.now_ns(), by_rule=True)
    notifier.reconcile({"default": [record]}, clock.now_ns())
    assert store.waiting("default") == {}
    assert store.waiting("blue") == {"ops": 1}
    store.close()
