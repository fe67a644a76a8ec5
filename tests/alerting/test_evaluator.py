"""Groups over a literal source: what is saved, what is told, what stays as it was after an error."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from alerting.notify.channels.model import Notification, Queued, Receipt
from alerting.notify.metrics import NotifyMetrics
from alerting.notify.notifier import Notifier, Routings
from alerting.notify.routes import IntegrationInfo, Routing
from alerting.notify.webhook_routing import webhook_route
from alerting.rules.evaluator import Evaluator, EvaluatorMetrics
from alerting.rules.files import load_rules
from alerting.rules.keeping import Keeper
from alerting.rules.published import Published
from alerting.rules.runs import GroupRun
from alerting.rules.sources import RuleSource
from alerting.rules.state import Change, Surroundings
from alerting.state_store import StateStore
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.selector import Matcher, MatchOp, Selector
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Labels, Samples
from tests.alerting.live_series import Silent, labels, memory

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
        self.values = {labels("temperature", room="a"): 90.0, labels("temperature", room="b"): 60.0}
        self.silent: dict[Labels, float] = {}
        self.published = Published()
        self.kept: list[Samples] = []
        routing = Routing(webhook_route(["r"], 3600 * S), {"r": (IntegrationInfo("webhook[0]", True),)})
        self.notifier = Notifier(
            self.store,
            Routings(routing),
            SystemClock(),
            NotifyMetrics(self.registry),
            external_url="http://me",
            external_labels={"cluster": cluster} if cluster else {},
            wake=lambda: None,
        )
        self.evaluator = Evaluator(
            self.source,
            self.store,
            self.notifier,
            EvaluatorMetrics(self.registry),
            self.published,
            Keeper(self.keep, SystemClock(), self.registry),
            Surroundings({}, "http://me"),
            PromqlSettings(),
        )
        self.load(rules)

    def source(self, tenant: str, at_ms: int) -> RuleSource:
        now = {series: [(at_ms / 1000, value)] for series, value in self.values.items()}
        return RuleSource(tenant, memory(now), (self.published, Silent(self.silent)), at_ms)

    async def keep(self, frames: Sequence[tuple[str, Samples]], *, durable: bool) -> None:
        self.kept += [samples for _, samples in frames]

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

    def queued(self) -> list[Queued]:
        """Each waiting message, in their order."""
        with self.store.database.transaction() as connection:
            rows = connection.execute("SELECT id, notification, attempts FROM outbox ORDER BY id").fetchall()
        return [Queued(id_, msgspec.msgpack.decode(blob, type=Notification), tries) for id_, blob, tries in rows]

    def told(self) -> list[dict[str, str]]:
        """Each waiting message: room -> status."""
        return [
            {dict(each.labels)["room"]: "firing" if each.is_firing else "resolved" for each in one.notification.alerts}
            for one in self.queued()
        ]

    def deliver(self) -> list[dict[str, str]]:
        """The receiver takes all of them."""
        told = self.told()
        outbox = self.store.outbox()
        for one in self.queued():
            outbox.finish(one, [receipt(one)])
        return told


def receipt(queued: Queued) -> Receipt:
    told = queued.notification
    return Receipt(
        key=told.key,
        receiver=told.receiver,
        integration=told.integration,
        target="http://r",
        group_key=told.group_key,
        reason=told.reason,
        outcome="delivered",
        code=200,
        business_code="",
        attempts=1,
        latency_s=0.0,
        retry_after_s=None,
        created_ns=told.created_ns,
        ended_ns=told.created_ns,
        tenant=told.tenant,
    )


def test_states_and_messages(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.evaluate(0) == ["Hot a fired", "Warm a became pending", "Warm b became pending"]
    assert desk.told() == [{"a": "firing"}]
    assert desk.evaluate(30) == ["Warm a fired", "Warm b fired"]
    assert desk.told() == [{"a": "firing"}, {"a": "firing", "b": "firing"}]
    desk.values[labels("temperature", room="a")] = 70
    assert desk.evaluate(40) == ["Hot a resolved"]
    assert desk.told()[2:] == [{"a": "resolved"}]
    health = [run.health.health for run in desk.group.rules]
    assert health == ["ok", "ok", "ok"]


EVERY = Selector("", (Matcher("__name__", MatchOp.NOT_EQUAL, ""),))


def test_published_series(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.evaluate(0)
    at_ms = T // 1_000_000
    found = {
        dict(points.labels)["__name__"]: (dict(points.labels), points.times_ms, points.values)
        for points in desk.published.live("default", EVERY, at_ms, at_ms, at_ms).points
        if dict(points.labels)["room"] == "a"
    }
    assert found["ALERTS_FOR_STATE"][2] == (1_000_000.0,)
    assert found["hot_now"] == ({"__name__": "hot_now", "room": "a", "unit": "C"}, (at_ms,), (90.0,))
    assert not desk.published.live("default", EVERY, at_ms + 1, at_ms + 5, at_ms + 5).points
    assert not desk.published.live("blue", EVERY, at_ms, at_ms, at_ms).points
    desk.load("groups: [{name: other, rules: []}]\n")
    assert not desk.published.live("default", EVERY, at_ms, at_ms, at_ms).points


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
    desk.values[labels("temperature", room="b")] = 0
    desk.evaluate(0)
    desk.values[labels("temperature", room="b")] = 95
    desk.evaluate(10)
    hot = desk.group.rules[0]
    assert hot.health.health == "err"
    assert "two alerts would have the labels" in hot.health.error
    assert len(hot.alerts) == 1
    desk.evaluate(20)
    assert caplog.text.count("two alerts would have the labels") == 1


def test_too_many_alerts_clear_the_rule(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RULES.replace("name: g\n", "name: g\n  limit: 1\n"))
    desk.values[labels("temperature", room="b")] = 0
    assert "Hot a fired" in desk.evaluate(0)
    desk.values[labels("temperature", room="b")] = 95
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
    dispatcher = desk.notifier.dispatcher("default")
    assert desk.deliver() == [{"a": "firing"}]
    for at_s in range(300, 3600, 300):  # a group is looked at every five minutes
        dispatcher.flush_due(T + at_s * S)
    assert desk.told() == []
    dispatcher.flush_due(T + 3600 * S)
    assert desk.told() == [{"a": "firing"}]


def test_an_alert_goes_on_with_the_annotations_of_now(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RULES.replace("severity: page}", "severity: page}, annotations: {now: '{{ $value }}'}"))
    desk.evaluate(0)
    desk.values[labels("temperature", room="a")] = 95
    desk.evaluate(10)
    (alert,) = desk.notifier.dispatcher("default").alerts(T + 10 * S)
    assert dict(alert.annotations) == {"now": "95"}
    assert alert.starts_ns == T
    assert len(desk.told()) == 1


def test_what_another_rule_holds_firing_has_not_ended(tmp_path: Path) -> None:
    rules = (
        "groups: [{name: g, rules: [{alert: A, expr: max by (room) (temperature) > 80},"
        " {alert: A, expr: max by (room) (temperature) > 85}]}]\n"
    )
    desk = Desk(tmp_path, rules)
    desk.evaluate(0)
    assert desk.deliver() == [{"a": "firing"}]
    desk.values[labels("temperature", room="a")] = 82
    assert desk.evaluate(10) == ["A a resolved"]
    assert desk.told() == []
    desk.values[labels("temperature", room="a")] = 70
    desk.evaluate(20)
    assert desk.told() == [{"a": "resolved"}]


def test_another_tenant_asks_for_its_own_and_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "tenant: blue\n" + RULES, cluster="lab")
    desk.evaluate(0)
    (waiting,) = desk.queued()
    assert waiting.notification.group_key == '{}:{alertname="Hot", tenant="blue"}'
    assert waiting.notification.tenant == "blue"
    (alert,) = waiting.notification.alerts
    assert dict(alert.labels) == {
        "alertname": "Hot",
        "cluster": "lab",
        "room": "a",
        "severity": "page",
        "tenant": "blue",
    }
    assert list(desk.evaluator.alerts("default")) == []
    assert desk.notifier.glance("default").alerts(T) == []


def test_receipts_are_bounded_for_each_tenant(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.store.database.transaction() as connection:
        connection.executemany("INSERT INTO receipts (tenant, receipt) VALUES (?, ?)", [("default", b"old")] * 1500)
        connection.executemany("INSERT INTO receipts (tenant, receipt) VALUES (?, ?)", [("blue", b"old")] * 5)
    desk.evaluate(0)
    desk.deliver()
    with desk.store.database.transaction() as connection:
        rows = connection.execute("SELECT tenant, count(*) FROM receipts GROUP BY tenant").fetchall()
    assert dict(rows) == {"default": 1000, "blue": 5}
    assert desk.store.outbox().next("r", "webhook[0]") is None


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


CHAIN = """
groups:
- name: g
  rules:
  - {record: room:temperature:max, expr: max by (room) (temperature)}
  - {alert: Warm, expr: 'room:temperature:max > 70'}
  - {alert: Quiet, expr: 'absent(temperature{room="a"})', labels: {room: a}}
  - {alert: Few, expr: count(temperature) < 2, labels: {room: all}}
"""


def test_rules_see_what_those_before_them_recorded_at_the_same_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CHAIN)
    assert desk.evaluate(0) == ["Warm a fired"]
    desk.values[labels("temperature", room="b")] = 80
    assert desk.evaluate(60) == ["Warm b fired"]
    desk.values[labels("temperature", room="a")] = 10
    assert desk.evaluate(120) == ["Warm a resolved"]


def test_what_is_unknown_neither_resolves_nor_fires_as_absent(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CHAIN)
    desk.evaluate(0)
    room = labels("temperature", room="a")
    desk.silent[room] = desk.values.pop(room)
    assert desk.evaluate(60) == []  # not even by way of the recorded series
    assert desk.evaluate(120) == []
    del desk.silent[room]
    assert desk.evaluate(180) == ["Few all fired", "Quiet a fired", "Warm a resolved"]


def test_alerts_with_other_labels_are_judged_while_something_is_unknown(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CHAIN)
    desk.silent[labels("temperature", room="c")] = 99
    assert desk.evaluate(0) == ["Warm a fired"]
    desk.values[labels("temperature", room="a")] = 10
    assert desk.evaluate(60) == ["Warm a resolved"]


async def test_what_rules_make_is_kept_and_its_end_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CHAIN)
    desk.evaluate(0)
    await desk.evaluator._keeper.flush(durable=False)
    first = {schema[0].name for samples in desk.kept for schema in samples.schemas}
    assert first == {"room:temperature:max", "ALERTS", "ALERTS_FOR_STATE"}
    assert not any(samples.ended for samples in desk.kept)
    del desk.values[labels("temperature", room="a")]
    desk.kept.clear()
    desk.evaluate(60)
    await desk.evaluator._keeper.flush(durable=False)
    ended = [dict(each) for samples in desk.kept for each in samples.ended]
    assert {"room": "a"} in ended
    assert {"alertname": "Warm", "room": "a", "alertstate": "firing"} in ended
    desk.kept.clear()
    desk.load("groups: []\n")
    await desk.evaluator._keeper.flush(durable=False)
    assert {"room": "b"} in [dict(each) for samples in desk.kept for each in samples.ended]


def test_limit_and_double_labels_of_recorded_series(tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        "groups: [{name: g, limit: 1, rules: [{record: r, expr: temperature},"
        " {record: s, expr: temperature, labels: {room: x}}]}]\n",
    )
    desk.evaluate(0)
    errors = [run.health.error for run in desk.group.rules]
    assert errors == [
        "exceeded limit of 1 with 2 series",
        "vector contains metrics with the same labelset after applying rule labels",
    ]


def test_a_template_asks(tmp_path: Path) -> None:
    annotation = "{annotations: {others: '{{ range query \"temperature\" }}{{ .Labels.room }}:{{ .Value }} {{ end }}'}}"
    desk = Desk(tmp_path, f"groups: [{{name: g, rules: [{{alert: A, expr: temperature > 80, {annotation[1:-1]}}}]}}]\n")
    desk.evaluate(0)
    ((_, alert),) = desk.evaluator.alerts("default")
    assert alert.annotations == (("others", "a:90 b:60 "),)


def test_an_evaluation_of_a_group_that_was_loaded_again_meanwhile_is_dropped(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    group = desk.group
    outcome = desk.evaluator.compute(group, T)
    desk.load(RULES)
    assert desk.evaluator.apply(group, outcome) == ()
    assert desk.told() == []
