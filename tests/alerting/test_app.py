"""Alerting as a whole: rule files, records and samples in; webhooks, series and API answers out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from alerting.app import Alerting
from alerting.settings import AlertingSettings, WebhookSettings
from collector.api.metrics import MetricsApi
from collector.metrics.exposition import Exposition
from collector.metrics.head import Head
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.records import RecordFrame
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings import Secret
from deckwatch.wire.model import Samples
from tests.alerting.record_frames import Line, record_frame
from tests.collector.metrics.frames import frame
from tests.fixtures.promtool import check_metrics
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

RULES = """
log_metrics:
- name: log_errors_total
  query: level:>=error
  by: [container, host]
  help: Error lines.
groups:
- name: logs
  interval: 1h
  rules:
  - alert: ErrorLines
    expr: increase(log_errors_total[1m]) > 0
    labels: {severity: warning}
    annotations: {summary: "{{ $value }} error lines from {{ $labels.container }}"}
- name: memory
  interval: 200ms
  rules:
  - alert: MemoryHigh
    expr: container_memory_usage_bytes > 1e6
    for: 300ms
  - record: memory_of_web
    expr: container_memory_usage_bytes{name="web"}
"""
WEB = f"id=/docker/{'ab' * 32},name=web,image=busybox"


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


def now_frame(seq: int, *lines: Line) -> RecordFrame:
    made = record_frame(seq, lines)
    return RecordFrame(seq, time.time_ns(), made.origins, made.rows)


def now_samples(used_bytes: float) -> Samples:
    made = frame(0, {WEB: {"container_memory_usage_bytes": used_bytes}})
    return Samples(made.source, time.time_ns(), made.tenant, made.schemas, made.targets)


class Desk:
    def __init__(
        self,
        path: Path,
        hook: WebhookReceiver | None,
        text: str = RULES,
        globs: Sequence[str] | None = None,
        alertmanager_config: str = "",
        **options: float,
    ) -> None:
        path.mkdir(exist_ok=True)
        self.rules = path / "rules.yml"
        if not self.rules.exists():
            self.rules.write_text(text)
        self.registry = CollectorRegistry()
        self.clock = SystemClock()
        self.head = Head(self.clock, self.registry, silent_after_s=options.pop("silent_after_s", 300))
        webhooks = (WebhookSettings(url=Secret(hook.url)),) if hook else ()
        config: Path | None = None
        if alertmanager_config and hook:
            webhooks, config = (), path / "am.yaml"
            config.write_text(alertmanager_config.replace("HOOK", hook.url))
        settings = AlertingSettings(
            builtin_rules=False,
            webhooks=webhooks,
            alertmanager_config=config,
            retry_most_s=0.2,
            external_url="http://me:9428",
            **options,  # type: ignore[arg-type]
        )
        self.replayed = True
        self.history = SampleStore(path / "samples", HistorySettings(), self.clock, self.registry)
        self.alerting = Alerting(
            settings,
            [str(path / "*.yml")] if globs is None else globs,
            path / "data",
            self.head,
            self.clock,
            self.registry,
            history=self.history.source,
            keep=self.keep,
            replayed=lambda: self.replayed,
        )

    async def keep(self, frames: Sequence[tuple[str, Samples]], *, durable: bool) -> None:
        for host, samples in frames:
            self.history.take(host, samples)
        if durable:
            self.history.commit(self.history.position())

    def take(self, seq: int, host: str, samples: Samples) -> None:
        """As the pipeline does."""
        self.history.take(host, samples)
        self.head.take_samples(seq, host, samples)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self.alerting._evaluator.warm)  # what is measured is not how kernels are loaded
        task = asyncio.create_task(self.alerting.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.alerting.stop()
            self.history.close()

    async def delivered(self, count: int) -> None:
        """The receiver's answer was noted too: what it was told is told once."""
        labels = {"receiver": "webhook", "integration": "webhook[0]", "outcome": "delivered"}
        async with asyncio.timeout(5):
            while self.registry.get_sample_value("deckwatch_alerting_notifications_total", labels) != count:
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def api(self) -> AsyncIterator[tuple[ClientSession, TestServer]]:
        app = web.Application()
        exposition = Exposition(self.head, [self.registry], [self.alerting.families])
        app.add_routes(self.alerting.routes())
        app.add_routes(MetricsApi(self.head, exposition, self.clock, lambda tenant, container: None).routes())
        server = TestServer(app)
        async with server, ClientSession() as session:
            yield session, server


async def test_a_line_reaches_the_webhook(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook)
    async with desk.open():
        consumer = desk.alerting.consumers()
        written = time.monotonic()
        await asyncio.to_thread(consumer.consume, now_frame(0, Line("boom", "error"), Line("fine", "info")))
        (got,) = await hook.wait(1)
    (told,) = got.body["alerts"]
    assert told["labels"] == {"alertname": "ErrorLines", "container": "web", "host": "h1", "severity": "warning"}
    assert told["annotations"] == {"summary": "1 error lines from web"}
    assert told["generatorURL"].startswith("http://me:9428/graph?g0.expr=increase%28log_errors_total")
    assert got.at - written < 2


NO_WAIT = """
route: {receiver: ops, group_by: [alertname, container], group_wait: 0s}
receivers: [{name: ops, webhook_configs: [{url: HOOK}]}]
"""


@pytest.mark.parametrize("config", ["", NO_WAIT], ids=["webhooks of the settings", "group_wait 0s"])
async def test_from_a_line_to_the_webhook_in_less_than_two_seconds(
    tmp_path: Path, hook: WebhookReceiver, config: str
) -> None:
    """p99 of 100 lines of as many containers, each a new alert."""
    desk = Desk(tmp_path, hook, alertmanager_config=config)
    written: dict[str, float] = {}
    async with desk.open():
        consumer = desk.alerting.consumers()
        for seq in range(100):
            name = f"c{seq}"
            written[name] = time.monotonic()
            await asyncio.to_thread(consumer.consume, now_frame(seq, Line("boom", "error", container=name)))
            await asyncio.sleep(0.02)
        got = await hook.wait_until(lambda got: len({name for one in got for name in one.alerts}) == 100)
    latencies = sorted(min(one.at for one in got if name in one.alerts) - at for name, at in written.items())
    print(f"line to webhook: median {latencies[50]:.3f} s, p99 {latencies[98]:.3f} s, most {latencies[99]:.3f} s")
    assert latencies[98] < 2


async def test_a_metric_rule_fires_after_for_and_resolves(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        (fired,) = await hook.wait(1)
        desk.take(1, "h1", now_samples(5e5))
        got = await hook.wait(2)
    assert fired.body["alerts"][0]["labels"]["name"] == "web"
    assert [message.body["status"] for message in got] == ["firing", "resolved"]
    assert got[1].body["alerts"][0]["endsAt"] > got[1].body["alerts"][0]["startsAt"]


async def test_a_silent_agent_resolves_nothing(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook, silent_after_s=0.6)
    async with desk.open():
        for seq in range(4):
            desk.take(seq, "h1", now_samples(2e6))
            await asyncio.sleep(0.2)
        await hook.wait(1)
        await asyncio.sleep(1.5)
        assert len(hook.got) == 1
        desk.take(9, "h1", now_samples(5e5))
        await hook.wait(2)


async def test_killed_and_started_again_it_tells_nothing_twice_and_forgets_nothing(
    tmp_path: Path, hook: WebhookReceiver
) -> None:
    desk = Desk(tmp_path, hook)
    frames = [now_frame(0, Line("boom", "error")), now_frame(1, Line("bang", "error", container="db"))]
    async with desk.open():
        desk.alerting.consumers().consume(frames[0])
        await hook.wait(1)
        await desk.delivered(1)
    again = Desk(tmp_path, hook)
    async with again.open():
        consumer = again.alerting.consumers()
        assert consumer.position() == -1  # never committed: the journal is replayed
        consumer.consume(frames[0])
        consumer.consume(frames[1])
        got = await hook.wait(2)
        await asyncio.sleep(0.5)
    assert got[1].alerts == {"web": "firing", "db": "firing"}
    assert len(hook.got) == 2


async def test_while_the_journal_is_replayed_nothing_is_resolved(tmp_path: Path, hook: WebhookReceiver) -> None:
    text = RULES.replace("interval: 1h", "interval: 200ms")
    boom = now_frame(0, Line("boom", "error"))
    desk = Desk(tmp_path, hook, text)
    async with desk.open():
        desk.alerting.consumers().consume(boom)
        await hook.wait(1)
        await desk.delivered(1)
    again = Desk(tmp_path, hook, text)
    again.replayed = False
    async with again.open():
        await asyncio.sleep(0.6)
        assert again.alerting.consumers().position() == -1
        again.alerting.consumers().consume(boom)
        again.replayed = True
        await asyncio.sleep(0.6)
    assert len(hook.got) == 1


async def test_after_a_restart_an_alert_waits_for_its_series(tmp_path: Path, hook: WebhookReceiver) -> None:
    """The head is empty then, which says nothing about the container."""
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        await hook.wait(1)
        await desk.delivered(1)
    again = Desk(tmp_path, hook)
    async with again.open():
        await asyncio.sleep(0.7)
        assert len(hook.got) == 1
        again.take(1, "h1", now_samples(3e6))
        await asyncio.sleep(0.5)
        assert len(hook.got) == 1
        again.take(2, "h1", now_samples(1e5))
        got = await hook.wait(2)
    assert got[1].body["status"] == "resolved"


async def test_the_api_has_prometheus_shape(tmp_path: Path) -> None:
    desk = Desk(tmp_path, None)
    async with desk.open(), desk.api() as (session, server):
        desk.take(0, "h1", now_samples(2e6))
        await asyncio.sleep(1)
        async with session.get(server.make_url("/api/v1/rules")) as response:
            rules = await response.json()
        async with session.get(server.make_url("/api/v1/alerts")) as response:
            alerts = await response.json()
        async with session.get(server.make_url("/api/v1/rules"), params={"type": "record"}) as response:
            recorded = await response.json()
        async with session.get(server.make_url("/api/v1/rules"), params={"type": "x"}) as response:
            refused = response.status, await response.json()
    oracle = json.loads((Path(__file__).parent / "data" / "prometheus" / "2_firing_rules.json").read_text())
    theirs, ours = oracle["data"]["groups"][0], rules["data"]["groups"][1]
    assert set(ours) == set(theirs)
    memory = ours["rules"][0]
    assert set(memory) == set(theirs["rules"][0])
    assert set(memory["alerts"][0]) == set(theirs["rules"][0]["alerts"][0])
    assert set(ours["rules"][1]) == set(theirs["rules"][3])
    assert (memory["state"], memory["health"], memory["duration"], ours["interval"]) == ("firing", "ok", 0.3, 0.2)
    assert rules["data"]["groups"][0]["rules"][0]["state"] == "unknown"
    (alert,) = alerts["data"]["alerts"]
    assert (alert["state"], alert["value"], alert["labels"]["alertname"]) == ("firing", "2e+06", "MemoryHigh")
    assert [rule["name"] for group in recorded["data"]["groups"] for rule in group["rules"]] == ["memory_of_web"]
    assert refused[0] == 400
    assert refused[1]["errorType"] == "bad_data"


async def test_its_series_stand_in_metrics(tmp_path: Path) -> None:
    desk = Desk(tmp_path, None)
    async with desk.open(), desk.api() as (session, server):
        desk.take(0, "h1", now_samples(2e6))
        desk.alerting.consumers().consume(now_frame(0, Line("boom", "error")))
        await asyncio.sleep(1)
        async with session.get(server.make_url("/metrics")) as response:
            text = await response.text()
    assert 'log_errors_total{container="web",host="h1"} 1' in text
    assert 'ALERTS{alertname="ErrorLines",alertstate="firing",container="web",host="h1",severity="warning"} 1' in text
    assert "ALERTS_FOR_STATE{" in text
    assert 'memory_of_web{host="h1"' in text
    assert "deckwatch_alerting_rules 3" in text
    assert check_metrics(text.encode()) == []


async def test_a_glob_that_matches_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path / "elsewhere", None, globs=[str(tmp_path / "rulse/*.yml")])
    assert f"rules {tmp_path}/rulse/*.yml: no such file" in caplog.text
    await desk.alerting.stop()


async def test_files_are_loaded_again_when_they_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path, None, reload_interval_s=0.1)

    async def good(want: float) -> None:
        async with asyncio.timeout(5):
            while desk.registry.get_sample_value("deckwatch_alerting_rules_good") != want:
                await asyncio.sleep(0.05)

    async with desk.open():
        assert "Rules: 3 rules in 1 file; nobody is told: give --webhook URL" in caplog.text
        desk.rules.write_text("groups: [{name: a, rules: [{alert: X, expr: 'up =='}, {alert: Y, expr: nope(up)}]}]\n")
        await good(0)
        assert desk.registry.get_sample_value("deckwatch_alerting_rules") == 3
        assert "those loaded before stay in force" in caplog.text
        assert 'group "a", rule 1 "X": could not parse expression' in caplog.text
        assert "unknown function" in caplog.text
        desk.rules.write_text("groups: [{name: a, rules: [{alert: X, expr: up}]}]\n")
        await good(1)
        assert desk.registry.get_sample_value("deckwatch_alerting_rules") == 1
        assert "Rules: loaded again: 1 rule in 1 file; nobody is told: give --webhook URL" in caplog.text


async def test_reload_on_a_signal(tmp_path: Path) -> None:
    """The daemon hands SIGHUP on to reload()."""
    desk = Desk(tmp_path, None)
    async with desk.open():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, desk.alerting.reload)
        try:
            desk.rules.write_text("groups: []\n")
            signal.raise_signal(signal.SIGHUP)
            await asyncio.sleep(0.1)
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
        assert desk.registry.get_sample_value("deckwatch_alerting_rules") == 0


async def test_alerts_of_a_rule_that_is_gone_are_resolved(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.alerting.consumers().consume(now_frame(0, Line("boom", "error")))
        await hook.wait(1)
        desk.rules.write_text("groups: []\n")
        assert desk.alerting.reload()
        got = await hook.wait(2)
    assert got[1].alerts == {"web": "resolved"}


async def test_a_changed_expression_keeps_the_alerts(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.alerting.consumers().consume(now_frame(0, Line("boom", "error")))
        await hook.wait(1)
        desk.rules.write_text(RULES.replace("[1m]", "[2m]"))
        assert desk.alerting.reload()
        desk.alerting.consumers().consume(now_frame(1, Line("boom", "error")))
        await asyncio.sleep(0.6)
    assert len(hook.got) == 1


def test_bad_rules_at_the_start_stop_it(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r'rules\.yml:.*group "a", rule 1 "X": could not parse expression'):
        Desk(tmp_path, None, "groups: [{name: a, rules: [{alert: X, expr: 'up =='}]}]\n")


def test_a_database_of_a_newer_version_stops_it(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "data").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "alerts.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Unusable, match=r"alerts\.sqlite was written by a newer version \(format 99"):
        Desk(tmp_path, None)


def test_a_broken_database_stops_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "alerts.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(Unusable, match=r"alerts\.sqlite can't be used: file is not a database"):
        Desk(tmp_path, None)
