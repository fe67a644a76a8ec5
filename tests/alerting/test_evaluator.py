"""Groups over a literal source: what is saved, what is told, what stays as it was after an error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from alerting.notify.notifier import Notifier
from alerting.notify.receivers import receivers
from alerting.rules.evaluator import Evaluator, EvaluatorMetrics
from alerting.rules.files import load_rules
from alerting.rules.published import Published
from alerting.rules.runs import GroupRun
from alerting.rules.state import Change, Surroundings
from alerting.settings import WebhookSettings
from alerting.state_store import Receipt, StateStore
from collector.metrics.selector import Selector
from collector.metrics.series import Sources
from deckwatch.runtime.settings import Secret
from tests.alerting.memory_source import MemorySource, labels

S = 1_000_000_000
T = 1_000_000 * S

RULES = """
groups:
- name: g
  rules:
  - {alert: Hot, expr: temperature > 80, labels: {severity: page}}
  - {alert: Warm, expr: temperature > 50, for: 30s}
  - {record: hot_now, expr: temperature > 80, labels: {unit: C}}
"""


class Desk:
    def __init__(self, path: Path, rules: str = RULES, tenant: str = "default", cluster: str = "") -> None:
        self.path = path
        self.registry = CollectorRegistry()
        self.store = StateStore(path / "alerts.sqlite")
        self.source = MemorySource(
            {labels("temperature", room="a"): [(0, 90)], labels("temperature", room="b"): [(0, 60)]}
        )
        self.published = Published()
        notifier = Notifier(
            self.store,
            receivers([WebhookSettings(name="r", url=Secret("http://127.0.0.1:1"))]),
            external_url="http://me",
            external_labels={"cluster": cluster} if cluster else {},
            repeat_interval_ns=3600 * S,
        )
        self.evaluator = Evaluator(
            Sources((self.source, self.published)),
            self.store,
            notifier,
            EvaluatorMetrics(self.registry),
            self.published,
            Surroundings({}, "http://me"),
            told=lambda: None,
            is_awaited=lambda tenant, rule, alert, at_ns: False,
        )
        self.load(rules)

    def load(self, rules: str, at_ns: int = T) -> None:
        (self.path / "rules.yml").write_text(rules)
        loaded = load_rules([str(self.path / "rules.yml")], default_interval_ns=60 * S)
        self.evaluator.load(loaded.groups, at_ns)

    @property
    def group(self) -> GroupRun:
        (group,) = self.evaluator.groups.values()
        return group

    def evaluate(self, at_s: float) -> list[str]:
        changes = self.evaluator.evaluate(self.group, T + int(at_s * S))
        return sorted(
            f"{dict(c.alert.labels)['alertname']} {dict(c.alert.labels)['room']} {c.change.value}" for c in changes
        )

    def told(self) -> list[dict[str, str]]:
        """Each waiting message: room -> status, in their order."""
        with self.store.database.transaction() as connection:
            keys = [key for (key,) in connection.execute("SELECT DISTINCT group_key FROM outbox ORDER BY id")]
        waiting = sorted((one for key in keys for one in self.store.waiting("r", key)), key=lambda one: one.id)
        return [
            {dict(alert.labels)["room"]: "firing" if alert.is_firing else "resolved" for alert in one.message.alerts}
            for one in waiting
        ]


def test_states_and_messages(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.evaluate(0) == ["Hot a fired", "Warm a became pending", "Warm b became pending"]
    assert desk.told() == [{"a": "firing"}]
    assert desk.evaluate(30) == ["Warm a fired", "Warm b fired"]
    assert desk.told() == [{"a": "firing"}, {"a": "firing", "b": "firing"}]
    desk.source.series[labels("temperature", room="a")] = [(0, 70)]
    assert desk.evaluate(40) == ["Hot a resolved"]
    assert desk.told()[2:] == [{"a": "resolved"}]
    health = [run.health.health for run in desk.group.rules]
    assert health == ["ok", "ok", "ok"]


def test_published_series(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    found = {
        dict(sample.labels)["__name__"]: (dict(sample.labels), sample.value)
        for sample in desk.published.instant("default", Selector(""), T).samples
        if dict(sample.labels)["room"] == "a"
    }
    assert found["ALERTS_FOR_STATE"][1] == 1_000_000.0
    assert found["hot_now"] == ({"__name__": "hot_now", "room": "a", "unit": "C"}, 90.0)
    assert not desk.published.instant("blue", Selector(""), T).samples
    desk.load("groups: [{name: other, rules: []}]\n")
    assert not desk.published.instant("default", Selector(""), T).samples


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    desk.evaluate(20)
    desk.store.close()
    again = Desk(tmp_path)
    assert again.evaluate(29) == []
    assert again.evaluate(31) == ["Warm a fired", "Warm b fired"]


def test_after_a_long_pause_for_counts_only_what_was_watched(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    desk.evaluate(20)
    desk.store.close()
    again = Desk(tmp_path)
    assert again.evaluate(3000) == []
    assert again.evaluate(3009) == []
    assert again.evaluate(3010) == ["Warm a fired", "Warm b fired"]


def test_what_can_not_be_saved_did_not_happen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path)
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE outbox RENAME TO away")
    assert desk.evaluate(0) == []
    assert "can't be saved, it stays as it was" in caplog.text
    assert all(not run.alerts for run in desk.group.rules)
    assert desk.registry.get_sample_value("deckwatch_alerting_save_failures_total") == 1
    with desk.store.database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM rule_state").fetchone() == (0,)
        connection.execute("ALTER TABLE away RENAME TO outbox")
    assert desk.evaluate(10) == ["Hot a fired", "Warm a became pending", "Warm b became pending"]


def test_an_error_leaves_the_rule_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path, RULES.replace("severity: page", "severity: page, room: same"))
    desk.source.series[labels("temperature", room="b")] = [(0, 0)]
    desk.evaluate(0)
    desk.source.series[labels("temperature", room="b")] = [(0, 95)]
    desk.evaluate(10)
    hot = desk.group.rules[0]
    assert hot.health.health == "err"
    assert "two alerts would have the labels" in hot.health.error
    assert len(hot.alerts) == 1
    desk.evaluate(20)
    assert caplog.text.count("two alerts would have the labels") == 1


def test_too_many_alerts_clear_the_rule(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RULES.replace("name: g\n", "name: g\n  limit: 1\n"))
    desk.source.series[labels("temperature", room="b")] = [(0, 0)]
    assert "Hot a fired" in desk.evaluate(0)
    desk.source.series[labels("temperature", room="b")] = [(0, 95)]
    assert "Hot a resolved" in desk.evaluate(10)
    assert desk.group.rules[0].health.error == "exceeded limit of 1 with 2 alerts"


def test_rules_that_stay_the_same_keep_their_alerts_over_a_reload(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    desk.load(RULES.replace("> 80", "> 85"))
    assert desk.evaluate(10) == []
    assert len(desk.told()) == 1
    desk.load(RULES.replace("severity: page", "severity: info"))
    assert desk.told()[1:] == [{"a": "resolved"}]


def test_two_rules_of_one_name_share_a_message(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        "groups: [{name: g, rules: [{alert: A, expr: temperature > 80}, {alert: A, expr: temperature < 70}]}]\n",
    )
    desk.evaluate(0)
    assert desk.told() == [{"a": "firing", "b": "firing"}]


def test_an_unchanged_group_is_told_again_after_a_while(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    desk.evaluator.repeat(T + 3599 * S)
    assert len(desk.told()) == 1
    desk.evaluator.repeat(T + 3600 * S)
    assert desk.told() == [{"a": "firing"}, {"a": "firing"}]


def test_another_tenant_asks_for_its_own_and_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "tenant: blue\n" + RULES, cluster="lab")
    desk.evaluate(0)
    key = '{}:{alertname="Hot", tenant="blue"}'
    (waiting,) = desk.store.waiting("r", key)
    (alert,) = waiting.message.alerts
    assert dict(alert.labels) == {
        "alertname": "Hot",
        "cluster": "lab",
        "room": "a",
        "severity": "page",
        "tenant": "blue",
    }
    assert list(desk.evaluator.alerts("default")) == []


def test_receipts_are_bounded(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.store.database.transaction() as connection:
        connection.executemany("INSERT INTO receipts (receipt) VALUES (?)", [(b"old",)] * 1500)
    desk.evaluate(0)
    queued = desk.store.next("r")
    assert queued is not None
    receipt = Receipt(queued.message.key, "r", queued.group_key, "new group", 200, 1, T, T, delivered=True)
    desk.store.finish(queued, receipt)
    with desk.store.database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM receipts").fetchone() == (1000,)
    assert desk.store.next("r") is None


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def half_done() -> None:
        with desk.store.database.transaction(), desk.store.database.transaction() as connection:
            connection.execute("INSERT INTO rule_state VALUES ('x', x'90')")
            connection.execute("nonsense")

    with pytest.raises(sqlite3.OperationalError):
        half_done()
    assert desk.store.rules() == {}


def test_changes_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    fired = {"change": Change.FIRED.value}
    assert desk.registry.get_sample_value("deckwatch_alerting_alert_changes_total", fired) == 1
    assert desk.registry.get_sample_value("deckwatch_alerting_rule_evaluations_total", {"outcome": "ok"}) == 3
