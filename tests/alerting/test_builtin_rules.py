"""The rules that come with Deckwatch: they load, say where help is, and fire when they should."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client import CollectorRegistry

from alerting.app import Alerting, attach
from alerting.rules.asking import ask
from alerting.rules.builtin import BUILTIN
from alerting.rules.files import load_rules, rule_paths
from alerting.rules.model import AlertRule
from alerting.settings import AlertingSettings, WebhookSettings
from collector.app import DATA_VERSION, Collector
from collector.metrics.head import Head
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.settings import CollectorSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.settings import Secret
from deckwatch.wire.model import Labels, Samples
from tests.alerting.live_series import labels, rule_source
from tests.fixtures.promtool import promtool
from tests.fixtures.push import Pusher, Stream
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
COMPLETENESS = {"LogGap", "SampleGap", "LogBytesUnaccounted", "DeadLetters", "AgentLag", "AgentSilent"}
DELIVERY = {"NotificationsLost", "NotificationsHeldUp", "RemoteWriteFailing", "RemoteWriteSamplesLost"}


def rules() -> dict[str, AlertRule]:
    loaded = load_rules([BUILTIN], default_interval_ns=60 * S)
    return {rule.name: rule for group in loaded.groups for rule in group.rules if isinstance(rule, AlertRule)}


def test_they_load_for_us_and_for_promtool(tmp_path: Path) -> None:
    assert {*rules()} == COMPLETENESS | DELIVERY
    for path in rule_paths([BUILTIN]):
        (tmp_path / path.name).write_text(path.read_text())
        assert promtool("check", "rules", path.name, cwd=tmp_path).returncode == 0


def test_each_names_a_place_in_a_runbook() -> None:
    for path in rule_paths([BUILTIN]):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                page, _, anchor = rule["annotations"]["runbook"].partition("#")
                headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
                assert anchor in [heading.lower() for heading in headings], rule["alert"]


def test_a_gap_is_told_within_a_minute() -> None:
    groups = load_rules([BUILTIN], default_interval_ns=60 * S).groups
    (group,) = [group for group in groups if any(rule.name == "LogGap" for rule in group.rules)]
    assert group.interval_ns + rules()["LogGap"].for_ns < 60 * S


AGE = "deckwatch_log_gap_age_seconds"
WEB = {"host": "a", "container": "web"}


@pytest.mark.parametrize(
    ("series", "value", "alerts"),
    [
        (labels(AGE, **WEB, reason="truncated"), 0.5, ["LogGap"]),
        (labels(AGE, **WEB, reason="damaged"), 3599.0, ["LogGap"]),
        (labels(AGE, **WEB, reason="truncated"), 3600.0, []),
        (labels(AGE, host="a", container="spool", reason="spool full"), 5.0, ["SampleGap"]),
        (labels("deckwatch_log_unaccounted_bytes", **WEB), 1.0, ["LogBytesUnaccounted"]),
        (labels("deckwatch_log_unaccounted_bytes", **WEB), 0.0, []),
        (labels("deckwatch_dead_letter_age_seconds"), 60.0, ["DeadLetters"]),
        (labels("deckwatch_dead_letter_age_seconds"), 7200.0, []),
        (labels("deckwatch_agent_lag_bytes", host="a"), float(64 << 20) + 1, ["AgentLag"]),
        (labels("deckwatch_agent_lag_bytes", host="a"), float(64 << 20), []),
        (labels("deckwatch_agent_up", host="a"), 0.0, ["AgentSilent"]),
        (labels("deckwatch_agent_up", host="a"), 1.0, []),
    ],
)
def test_when_they_fire(series: Labels, value: float, alerts: list[str]) -> None:
    source = rule_source({series: [(0, value)]}, at_s=1)
    fired = [
        name for name, rule in rules().items() if ask(rule.expression, 1000, source, PromqlSettings()).vector.samples
    ]
    assert fired == alerts


MESSAGES, SAMPLES = "deckwatch_alerting_notifications_total", "deckwatch_remote_write_out_samples_total"
WAITING, FAILING = "deckwatch_alerting_outbox_messages", "deckwatch_remote_write_out_failing"
OPS = {"host": "h", "receiver": "ops", "integration": "slack[0]"}
FAR = {"host": "h", "receiver": "prometheus"}


@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        ({labels(MESSAGES, **OPS, outcome="refused"): [(0, 0), (60, 1)]}, ["NotificationsLost"]),
        ({labels(MESSAGES, **OPS, outcome="given_up"): [(0, 3), (60, 4)]}, ["NotificationsLost"]),
        ({labels(MESSAGES, **OPS, outcome="refused"): [(0, 3), (60, 3)]}, []),
        ({labels(MESSAGES, **OPS, outcome="delivered"): [(0, 0), (60, 1)]}, []),
        ({labels(WAITING, **OPS): [(0, 2), (60, 2)]}, ["NotificationsHeldUp"]),
        ({labels(WAITING, **OPS): [(0, 2), (60, 0)]}, []),
        (
            {
                labels(WAITING, **OPS): [(0, 2), (60, 2)],
                labels(MESSAGES, **OPS, outcome="delivered"): [(0, 7), (60, 8)],
            },
            [],
        ),
        (
            {
                labels(WAITING, **OPS): [(0, 2), (60, 2)],
                labels(MESSAGES, **OPS, outcome="delivered"): [(0, 7), (60, 7)],
                labels(MESSAGES, host="h", receiver="ops", integration="email[0]", outcome="delivered"): [
                    (0, 7),
                    (60, 8),
                ],
            },
            ["NotificationsHeldUp"],
        ),
        ({labels(FAILING, **FAR): [(0, 0), (60, 1)]}, ["RemoteWriteFailing"]),
        ({labels(FAILING, **FAR): [(0, 1), (60, 0)]}, []),
        ({labels(SAMPLES, **FAR, outcome="refused"): [(0, 0), (60, 5)]}, ["RemoteWriteSamplesLost"]),
        ({labels(SAMPLES, **FAR, outcome="lost"): [(0, 0), (60, 5)]}, ["RemoteWriteSamplesLost"]),
        ({labels(SAMPLES, **FAR, outcome="repeated"): [(0, 0), (60, 5)]}, []),
    ],
)
def test_when_those_of_delivery_fire(series: dict[Labels, list[tuple[float, float]]], alerts: list[str]) -> None:
    source = rule_source(series, at_s=61)
    fired = [
        name for name, rule in rules().items() if ask(rule.expression, 61_000, source, PromqlSettings()).vector.samples
    ]
    assert fired == alerts


def test_only_what_lasts_is_told_of_a_receiver_that_is_away() -> None:
    assert {name: rule.for_ns // S for name, rule in rules().items() if name in DELIVERY} == {
        "NotificationsLost": 0,
        "NotificationsHeldUp": 300,
        "RemoteWriteFailing": 300,
        "RemoteWriteSamplesLost": 0,
    }


async def keep_nothing(frames: Sequence[tuple[str, Samples]], *, durable: bool) -> None: ...


@pytest.mark.parametrize(("on", "groups"), [(True, 2), (False, 0)])
def test_the_off_switch(tmp_path: Path, on: bool, groups: int) -> None:
    registry, clock = CollectorRegistry(), SystemClock()
    settings = AlertingSettings(builtin_rules=on)
    head = Head(clock, registry)
    alerting = Alerting(
        settings, (), tmp_path, head, clock, registry, history=lambda tenant: MemorySource(), keep=keep_nothing
    )
    assert len(alerting._evaluator.groups) == groups
    assert registry.get_sample_value("deckwatch_alerting_rules") == 5 * groups  # 6 and 4
    assert alerting._loaded_rules == 0  # what the user is told of is what the user gave
    asyncio.run(alerting.stop())


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@contextlib.asynccontextmanager
async def watching(folder: Path, hook: WebhookReceiver) -> AsyncIterator[str]:
    """A collector whose built-in rules are evaluated every 200 ms; its address."""
    (text,) = [path.read_text() for path in rule_paths([BUILTIN]) if path.name == "completeness.yml"]
    rules_file = folder / "rules.yml"
    rules_file.write_text(text.replace("interval: 15s", "interval: 200ms"))
    settings = CollectorSettings(listen="127.0.0.1:0", data_dir=folder / "data")
    alerts = AlertingSettings(
        rules=(str(rules_file),), builtin_rules=False, webhooks=(WebhookSettings(url=Secret(hook.url)),)
    )
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    with DataDir.open(folder / "data", DATA_VERSION, part="collector") as data_dir:
        collector = Collector(settings, data_dir, SystemClock())
        alerting = attach(collector, alerts)
        task = asyncio.create_task(collector.run(stop, address.set_result, {}))
        try:
            yield await address
        finally:
            stop.set()
            await task
            await alerting.stop()


async def test_a_gap_and_lag_reach_a_receiver_also_after_a_restart(tmp_path: Path, hook: WebhookReceiver) -> None:
    stream = Stream("web")
    async with watching(tmp_path, hook) as address, aiohttp.ClientSession() as session:
        gap = stream.gap(10)
        await Pusher(address, session).push(stream.batch([stream.chunk(b"one\n")], [gap]))
        (first,) = await hook.wait(1, within_s=30)
        (alert,) = first.body["alerts"]
        assert alert["labels"] == {
            "alertname": "LogGap",
            "container": "web",
            "host": "host-1",
            "reason": "truncated",
            "severity": "critical",
        }
        assert alert["annotations"]["summary"] == "Lines of web on host-1 are lost: truncated"
        metrics = await (await session.get(f"{address}/metrics")).text()
        assert 'deckwatch_log_gap_bytes{container="web",host="host-1",reason="truncated"} 10' in metrics
    async with watching(tmp_path, hook) as address, aiohttp.ClientSession() as session:
        await asyncio.sleep(1)
        async with session.get(f"{address}/api/v1/alerts") as answer:
            states = [(one["labels"]["alertname"], one["state"]) for one in (await answer.json())["data"]["alerts"]]
        assert states == [("LogGap", "firing")]
        assert len(hook.got) == 1  # neither resolved nor told again
