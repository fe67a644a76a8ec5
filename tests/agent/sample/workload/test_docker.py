"""The whole agent beside real containers that live for a moment, restart and run out of memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from agent.app import run
from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.engine.settings import EngineSettings
from agent.sample.hierarchy import Layout, find_hierarchies
from agent.sample.settings import SampleSettings
from agent.settings import AgentSettings
from deckwatch.wire.model import Event, Labels, Samples
from tests.agent.sample.trees import Series, series_of
from tests.fixtures.agent_rig import SHIP, tail_settings
from tests.fixtures.docker_engine import Engine
from tests.fixtures.fake_collector import FakeCollector
from tests.fixtures.short_lives import PROJECT, live, plans

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

SHORT = 12


def workload(name: str, project: str = PROJECT) -> Labels:
    return (("orchestrator", "compose"), ("workload", name), ("workload_namespace", project))


class Watching:
    def __init__(self, collector: FakeCollector) -> None:
        self.collector = collector

    def events(self) -> dict[str, dict[str, Event]]:
        """By container id, the last of each action."""
        found: dict[str, dict[str, Event]] = defaultdict(dict)
        for frame in self.collector.frames():
            if isinstance(frame, Event) and frame.container is not None:
                found[frame.container.id][frame.action] = frame
        return found

    def frames(self, source: str) -> list[Samples]:
        return [one for one in self.collector.frames() if isinstance(one, Samples) and one.source == source]

    def newest(self, source: str) -> dict[Labels, Series]:
        frames = self.frames(source)
        return series_of(frames[-1]) if frames else {}

    def state(self, ident: str) -> Series:
        found = [one for target, one in self.newest("state").items() if ident in dict(target)["id"]]
        return found[0] if found else {}

    def namespaces(self, ident: str) -> dict[str, str]:
        told = [dict(own) for name, own in self.state(ident) if name == "container_namespaces_info"]
        return told[0] if told else {}

    def total(self, name: str, labels: Labels, **own: str) -> float:
        return self.newest("workload").get(labels, {}).get((name, tuple(sorted(own.items()))), 0.0)

    async def until(self, true: Callable[[], object], what: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            await asyncio.sleep(0.1)


@pytest.fixture
def engine(docker_engine: Engine) -> Iterator[Engine]:
    if find_hierarchies().layout is Layout.NONE:
        pytest.skip("no cgroups are mounted here")
    yield docker_engine
    docker_engine.close_containers()


@contextlib.asynccontextmanager
async def agent(engine: Engine, state_dir: Path, collector: FakeCollector) -> AsyncIterator[Watching]:
    docker = DockerSettings(socket=str(engine.socket), containers_dir=str(engine.containers_dir))
    settings = AgentSettings(
        collector=collector.url,
        state_dir=state_dir,
        host="host1",
        discover=DiscoverSettings(docker=docker, cri=CriSettings(enabled=False)),
        sample=SampleSettings(interval_s=1, sources=("cgroup", "state", "workload")),
        engine=EngineSettings(enabled=False),
        tail=tail_settings(),
        ship=SHIP,
    )
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(settings, stop=stop, ready=ready.set_result, env={}))
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        watching = Watching(collector)
        before = len(watching.frames("workload"))
        await watching.until(lambda: len(watching.frames("workload")) > before, "the first look is the baseline")
        yield watching
    finally:
        stop.set()
        await task


async def test_lives_of_a_moment(engine: Engine, tmp_path: Path) -> None:
    """Each has its start, exit code and duration; their CPU time is in the sum of their workloads."""
    account = tmp_path / "account"
    account.mkdir(mode=0o777)
    planned = plans(SHORT, steps=(20_000, 200_000), sleep_s=(0.05, 0.5))
    async with FakeCollector() as collector, agent(engine, tmp_path / "state", collector) as watching:
        lives = await asyncio.to_thread(live, engine, account, planned, 3)
        services = {life.service for life in lives}

        def starts() -> float:
            return sum(watching.total("workload_starts_total", workload(service)) for service in services)

        await watching.until(lambda: all("destroy" in watching.events()[life.id] for life in lives), "all gone")
        await watching.until(lambda: starts() >= SHORT, "counted")
        await asyncio.sleep(2.5)  # two more sweeps: what the groups above have
        events = watching.events()
        for life in lives:
            start, die = events[life.id]["start"], dict(events[life.id]["die"].attributes)
            assert die["exitCode"] == str(life.exit_code)
            assert int(die["started_ns"]) == start.ts_ns
            assert int(die["duration_ns"]) / 1e9 >= life.cpu_s - 0.02
        for service in services:
            own = [life for life in lives if life.service == service]
            labels = workload(service)
            assert watching.total("workload_starts_total", labels) == len(own)
            assert watching.total("workload_restarts_total", labels) == 0
            completed = watching.total("workload_exits_total", labels, reason="completed")
            failed = watching.total("workload_exits_total", labels, reason="error")
            assert completed == sum(life.exit_code == 0 for life in own)
            assert completed + failed == len(own)
            ran = sum(int(dict(events[life.id]["die"].attributes)["duration_ns"]) for life in own)
            assert watching.total("workload_run_seconds_total", labels) == pytest.approx(ran / 1e9)
        used = sum(watching.total("workload_cpu_usage_seconds_total", workload(service)) for service in services)
    assert used >= 0.95 * sum(life.cpu_s for life in lives)


async def test_restarts_and_oom_kills_outlive_containers_and_the_agent(engine: Engine, tmp_path: Path) -> None:
    project = f"shop-{uuid.uuid4().hex[:8]}"
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": "greedy"}
    script = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; tail /dev/zero"
    limits = {
        "Memory": 16 << 20, "MemorySwap": 16 << 20, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    }  # fmt: skip
    of = workload("greedy", project)
    async with FakeCollector() as collector:
        async with agent(engine, tmp_path, collector) as watching:
            ident = await asyncio.to_thread(
                engine.run, f"dw-{project}", script, labels=labels, host_config=limits, network="none"
            )
            await watching.until(lambda: watching.total("workload_exits_total", of, reason="oom_killed") == 3, "ends")
            assert watching.total("workload_starts_total", of) == 3
            assert watching.total("workload_restarts_total", of) == 2
            await watching.until(lambda: watching.total("workload_oom_kills_total", of) == 3, "kills")
            last_run = ("container_last_run_seconds", ())
            await watching.until(
                lambda: (
                    last_run in watching.state(ident)
                    and watching.state(ident).get(("container_oom_kills_total", ())) == 3
                ),
                "described",
            )
            state = watching.state(ident)
            await asyncio.to_thread(engine.rm, ident)
            await watching.until(
                lambda: watching.total("workload_containers", of, state="exited") == 0 and of in
                watching.newest("workload"), "removed",
            )  # fmt: skip
            used = watching.total("workload_cpu_usage_seconds_total", of)
            assert used > 0
        assert state[last_run] > 0
        assert state["container_oom_killed", ()] == 1
        assert state["container_exit_code", ()] == 137
        async with agent(engine, tmp_path, collector) as watching:
            await asyncio.to_thread(engine.run, f"dw-{project}-2", "sleep 100", labels=labels, network="none")
            await watching.until(lambda: watching.total("workload_starts_total", of) == 4, "another")
            await watching.until(lambda: watching.total("workload_containers", of, state="running") == 1, "runs")
            assert watching.total("workload_oom_kills_total", of) == 3
            assert watching.total("workload_cpu_usage_seconds_total", of) >= used


async def test_who_lives_in_whose_namespaces(engine: Engine, tmp_path: Path) -> None:
    def run_container(name: str, network: str, **host_config: object) -> str:
        return engine.run(f"dw-{name}-{uuid.uuid4().hex[:8]}", "sleep 100", network=network, host_config=host_config)

    async with FakeCollector() as collector, agent(engine, tmp_path, collector) as watching:
        owner = await asyncio.to_thread(run_container, "owner", "none")
        guest = await asyncio.to_thread(run_container, "guest", f"container:{owner}", PidMode="host")
        on_host = await asyncio.to_thread(run_container, "host", "host")
        idents = (owner, guest, on_host)
        await watching.until(
            lambda: all("network_namespace" in watching.namespaces(ident) for ident in idents), "described"
        )
        told = {ident: watching.namespaces(ident) for ident in idents}
    assert told[owner]["network_mode"] == "none"
    assert "network_counted_in" not in told[owner]
    assert told[guest]["network_mode"] == f"container:{owner}"
    assert told[guest]["network_counted_in"] == owner
    assert told[guest]["network_namespace"] == told[owner]["network_namespace"]
    assert told[guest]["pid_mode"] == "host"
    host_namespace = Path("/proc/self/ns/net").readlink().name
    assert told[on_host]["network_mode"] == "host"
    assert f"net:[{told[on_host]['network_namespace']}]" == host_namespace
