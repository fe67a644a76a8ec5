"""Metrics of applications by the whole agent: what is configured arrives, what isn't is not loaded."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from agent.application import ApplicationMetrics, longest_interval_s
from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.known_sources import KnownSources
from agent.model import ContainerState, Endpoint, FoundContainer
from agent.own_metrics import OwnMetrics, OwnMetricsSettings, own_series
from agent.settings import AgentSettings
from agent.status import AgentStatus
from deckwatch.runtime.clock import ManualClock, SystemClock
from deckwatch.runtime.settings import BadSettings, load
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import Container, Description, Samples
from tests.agent.test_app import get, running
from tests.fixtures.agent_rig import SHIP
from tests.fixtures.exporters import Exporter, exporter
from tests.fixtures.fake_collector import FakeCollector
from tests.fixtures.listed_inventory import Listed

NOTHING = DiscoverSettings(docker=DockerSettings(enabled=False), cri=CriSettings(enabled=False))


@pytest.fixture
async def server() -> AsyncIterator[Exporter]:
    async with exporter() as running:
        yield running


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def values(frames: list[Samples], name: str) -> list[float]:
    return [
        struct.unpack(f"<{len(columns)}d", target.values)[place]
        for frame in frames
        for target in frame.targets
        for columns in [frame.schemas[target.schema]]
        for place, column in enumerate(columns)
        if column.name == name
    ]


async def test_all_kinds_arrive(tmp_path: Path, server: Exporter) -> None:
    port = free_udp_port()
    file = tmp_path / "deckwatch.yml"
    file.write_text(f"""
agent:
  scrape:
    scrape_interval: 500ms
    scrape_timeout: 500ms
    jobs:
      - job_name: web
        params: {{module: [http_2xx]}}
        static_configs: [{{targets: ["{server.address}"], labels: {{env: prod}}}}]
        metric_relabel_configs: [{{source_labels: [__name__], regex: "go_.*", action: drop}}]
  statsd: {{listen: "127.0.0.1:{port}", interval_s: 1s}}
  checks:
    nagios: [{{name: it, command: "/bin/sh -c 'echo fine; exit 1'", interval_s: 1}}]
    http: [{{url: "{server.url}/metrics", interval_s: 1}}]
  own_metrics: {{interval_s: 1}}
""")
    loaded = load(AgentSettings, section="agent", file=file)
    async with FakeCollector() as collector:
        settings = msgspec.structs.replace(
            loaded, collector=collector.url, state_dir=tmp_path / "state", discover=NOTHING, ship=SHIP
        )

        def have() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.sendto(b"clicks:1|c", ("127.0.0.1", port))
            frames = [frame for frame in collector.frames() if isinstance(frame, Samples)]
            names = ("a", "clicks", "nagios_check_state", "probe_success", "deckwatch_agent_scrapes_total")
            return all(values(frames, name) for name in names)

        async with running(settings) as (address, end):
            await collector.until(have)
            _, text = await get(f"{address}/status")
            await end()
        [target] = msgspec.json.decode(text, type=AgentStatus).targets
        assert (target.job, target.up, target.samples, target.trouble) == ("web", True, 1, "")
        assert target.url == f"{server.url}/metrics?module=http_2xx"
        frames = [frame for frame in collector.frames() if isinstance(frame, Samples)]
    assert values(frames, "a")[0] == 1
    assert values(frames, "nagios_check_state")[0] == 1
    assert values(frames, "probe_success")[0] == 1
    assert values(frames, "deckwatch_agent_scrapes_total")[-1] >= 1
    assert values(frames, "process_resident_memory_bytes")[-1] > 1e6
    assert any("module=http_2xx" in asked for asked, _ in server.requests)


def test_faults_of_settings_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "deckwatch.yml"
    file.write_text("""
agent:
  scrape:
    jobs:
      - job_name: web
        scrape_interval: often
        relabel_configs: [{action: hashmod, target_label: x}]
  checks: {http: [{url: "ftp://x"}]}
""")
    with pytest.raises(BadSettings) as faults:
        load(AgentSettings, section="agent", file=file)
    assert [fault.option for fault in faults.value.faults] == [
        "agent.scrape.jobs.0.scrape_interval",
        "agent.scrape.jobs.0.relabel_configs.0",
        "agent.checks.http.0.url",
    ]


def test_what_is_not_configured_is_not_loaded() -> None:
    program = (
        "import sys, asyncio\n"
        "from tests.agent.test_application import built\n"
        "asyncio.run(built())\n"
        "lazy = ('agent.scrape.app', 'agent.scrape.find', 'agent.statsd.app', 'agent.checks.app')\n"
        "print([name for name in sys.modules if name.startswith(lazy)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def built() -> ApplicationMetrics:
    async def measure() -> None:
        return

    with tempfile.TemporaryDirectory() as folder:
        return ApplicationMetrics(
            AgentSettings(), Listed(), lambda frame: None, SystemClock(), CollectorRegistry(), measure, Path(folder)
        )


async def test_the_scraper_is_there_when_the_first_container_asks(tmp_path: Path, server: Exporter) -> None:
    async def measure() -> None:
        return

    inventory, frames, registry = Listed(), list[Samples](), CollectorRegistry()
    settings = load(
        AgentSettings,
        section="agent",
        overrides={"agent.scrape.scrape_interval": "200ms", "agent.scrape.scrape_timeout": "200ms"},
    )
    one = ApplicationMetrics(settings, inventory, frames.append, SystemClock(), registry, measure, tmp_path)
    task = asyncio.create_task(one.run())
    await asyncio.sleep(0.05)
    assert registry.get_sample_value("deckwatch_agent_scrape_series") is None
    labels = (("prometheus.io/port", server.address.split(":")[1]), ("prometheus.io/scrape", "true"))
    known = Container("a", "web")
    inventory.set(FoundContainer(known, ContainerState.RUNNING, network_mode="host", endpoint=Endpoint(labels=labels)))
    async with asyncio.timeout(10):
        while not values(frames, "a"):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dict(frames[-1].targets[0].labels)["name"] == "web"


async def test_a_label_that_is_no_text_costs_its_frame_alone(tmp_path: Path, server: Exporter) -> None:
    async def measure() -> None:
        return

    packed, registry = list[bytes](), CollectorRegistry()
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [server.address], "labels": {"x": text}}]}
        for name, text in (("bad", "a\ud800"), ("good", "a"))
    ]
    scrape = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "jobs": jobs}
    settings = msgspec.convert({"scrape": scrape}, AgentSettings)
    one = ApplicationMetrics(
        settings, Listed(), lambda frame: packed.append(pack_frame(frame)), SystemClock(), registry, measure, tmp_path
    )
    task = asyncio.create_task(one.run())
    async with asyncio.timeout(10):
        while not (len(packed) > 2 and registry.get_sample_value("deckwatch_agent_application_frames_refused_total")):
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_what_is_no_longer_configured_ends_after_a_restart(tmp_path: Path) -> None:
    frames, clock = list[Samples](), ManualClock()

    async def measure() -> None:
        return

    async def run(seconds: float, **settings: object) -> None:
        filled = msgspec.convert(settings, AgentSettings)
        one = ApplicationMetrics(filled, Listed(), frames.append, clock, CollectorRegistry(), measure, tmp_path)
        task = asyncio.create_task(one.run())
        await asyncio.sleep(0)
        for _ in range(int(seconds / 10)):
            await asyncio.sleep(0)
            await clock.advance(10)
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await run(60)
    assert {frame.source for frame in frames} == {"agent"}
    frames.clear()
    await run(200)  # it is measured again: nothing ends
    assert not any(frame.ended for frame in frames)
    frames.clear()
    await run(100, own_metrics={"enabled": False})
    assert frames == []  # what looks for targets may need its time
    await run(200, own_metrics={"enabled": False})
    assert [(frame.source, frame.ended) for frame in frames] == [("agent", ((("job", "deckwatch-agent"),),))]
    frames.clear()
    await run(200, own_metrics={"enabled": False})
    assert frames == []  # once


@pytest.mark.parametrize(
    ("settings", "longest"),
    [
        ({}, 30),
        ({"scrape": {"jobs": [{"job_name": "a", "scrape_interval": "5m"}]}}, 300),
        ({"checks": {"nagios": [{"name": "a", "command": "b", "interval_s": 3600}]}}, 3600),
    ],
)
def test_rare_checks_have_their_time(settings: dict[str, object], longest: float) -> None:
    assert longest_interval_s(msgspec.convert(settings, AgentSettings)) == longest


def test_a_damaged_list_of_sources_is_as_good_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "application-sources.json").write_text('{"x": [')
    assert KnownSources(tmp_path).left_behind(1) == []
    assert "can't be read" in caplog.text


def test_own_series_leave_out_what_others_say() -> None:
    from prometheus_client import Counter, Gauge

    registry = CollectorRegistry()
    Counter("deckwatch_agent_things_total", "x", ["kind"], registry=registry).labels("a").inc(3)
    Gauge("python_info", "x", registry=registry).set(1)
    found = {column.name + str(column.labels): value for column, value in own_series(registry).items()}
    assert found == {"deckwatch_agent_things_total(('kind', 'a'),)": 3}


async def test_own_metrics_are_described_now_and_then() -> None:
    from prometheus_client import Counter, Histogram

    registry, clock, frames = CollectorRegistry(), ManualClock(), list[Samples]()
    Counter("deckwatch_agent_things_total", "Things.", registry=registry).inc()
    Histogram("deckwatch_agent_took_seconds", "How long.", registry=registry).observe(1)

    async def measure() -> None:
        return

    own = OwnMetrics(OwnMetricsSettings(interval_s=1800), registry, measure, frames.append, clock)
    task = asyncio.create_task(own.run())
    for _ in range(4):
        await asyncio.sleep(0)
        await clock.advance(1800)
    task.cancel()
    about = (
        Description("deckwatch_agent_things_total", "counter", "Things."),
        Description("deckwatch_agent_took_seconds", "histogram", "How long."),
    )
    assert [frame.about for frame in frames] == [about, (), about, ()]
