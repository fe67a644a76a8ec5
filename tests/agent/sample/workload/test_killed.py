"""The real agent as a process, killed with -9 again and again while its containers restart and are replaced."""

from __future__ import annotations

import asyncio
import uuid
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from agent.sample.hierarchy import Layout, find_hierarchies
from deckwatch.wire.model import Labels, Samples
from tests.agent.sample.trees import series_of
from tests.chaos.daemons import Daemon
from tests.fixtures.docker_engine import Engine
from tests.fixtures.fake_collector import FakeCollector

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

KILLS = 3
BUSY = "while :; do :; done"


def agent_of(engine: Engine, folder: Path, url: str) -> Daemon:
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    sample = {"interval_s": 1, "sources": ["cgroup", "workload"]}
    config = folder / "deckwatch.yml"
    config.write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}, "sample": sample}}))
    state = folder / "agent"
    words = ["agent", "--config", str(config), "--collector", url, "--state-dir", str(state), "--listen", "127.0.0.1:0"]
    return Daemon("agent", folder, words, state / "address")


def told(collector: FakeCollector, labels: Labels) -> list[dict[str, float]]:
    """The workload's counters, sample by sample."""
    frames = [one for one in collector.frames() if isinstance(one, Samples) and one.source == "workload"]
    found = [one for frame in frames if (one := series_of(frame).get(labels))]
    return [{name: value for (name, own), value in one.items() if name.endswith("_total") and not own} for one in found]


def exits_of(collector: FakeCollector, labels: Labels) -> dict[str, float]:
    frames = [one for one in collector.frames() if isinstance(one, Samples) and one.source == "workload"]
    newest = series_of(frames[-1])[labels]
    return {dict(own)["reason"]: n for (name, own), n in newest.items() if name == "workload_exits_total" and n}


async def test_no_counter_goes_back(docker_engine: Engine, tmp_path: Path) -> None:
    if find_hierarchies().layout is Layout.NONE:
        pytest.skip("no cgroups are mounted here")
    project = f"shop-{uuid.uuid4().hex[:8]}"
    service = {"com.docker.compose.project": project, "com.docker.compose.service": "web"}
    of = (("orchestrator", "compose"), ("workload", "web"), ("workload_namespace", project))
    quota = {"NanoCpus": 300_000_000}

    def run(number: int) -> str:
        return docker_engine.run(f"dw-{project}-{number}", BUSY, labels=service, host_config=quota)

    def run_briefly(number: int) -> None:
        """Gone before the agent is back: the engine's last events alone tell of it."""
        brief = docker_engine.create(f"dw-{project}-brief-{number}", "exit 7", labels=service)
        docker_engine.start(brief)
        assert docker_engine.wait(brief) == 7
        docker_engine.rm(brief)

    async with FakeCollector() as collector:
        agent = agent_of(docker_engine, tmp_path, collector.url)
        container = await asyncio.to_thread(run, 0)
        for number in range(1, KILLS + 1):
            seen = len(told(collector, of))
            await asyncio.to_thread(agent.start)
            await collector.until(lambda seen=seen: len(told(collector, of)) >= seen + 3, 60)  # type: ignore[misc]
            await asyncio.to_thread(docker_engine.post, container, "restart?t=0")
            await asyncio.sleep(1.5)
            await asyncio.to_thread(agent.kill)
            await asyncio.to_thread(docker_engine.rm, container)
            await asyncio.to_thread(run_briefly, number)
            container = await asyncio.to_thread(run, number)
        await asyncio.to_thread(agent.start)
        seen = len(told(collector, of))
        await collector.until(lambda: len(told(collector, of)) >= seen + 5, 60)
        await asyncio.to_thread(agent.stop)
        samples, exits = told(collector, of), exits_of(collector, of)
    await asyncio.to_thread(docker_engine.rm, container)
    for before, after in pairwise(samples):
        assert all(after[name] >= value for name, value in before.items()), (before, after)
    # the first, its restarts, those that came in its place, and the brief ones, each once
    assert samples[-1]["workload_starts_total"] == 1 + 3 * KILLS
    assert samples[-1]["workload_restarts_total"] == KILLS
    assert exits == {"error": KILLS, "signal": 2 * KILLS}
    assert samples[-1]["workload_cpu_usage_seconds_total"] > samples[0]["workload_cpu_usage_seconds_total"] > 0
