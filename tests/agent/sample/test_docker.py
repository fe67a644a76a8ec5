"""The sampler over real containers of a real engine, on this machine's kernel."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from agent.model import ContainerState, FoundContainer
from agent.sample.app import Sampler
from agent.sample.hierarchy import Layout
from agent.sample.settings import SampleSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Container, Samples
from tests.agent.sample.trees import Series, StaticInventory, by_source, series_of
from tests.fixtures.docker_engine import Engine

pytestmark = pytest.mark.docker

SELDOM = SampleSettings(sources=("cgroup", "state"), slow_every=1000)
"""So that nothing is found merely because everything is looked at anew."""


class Watched:
    """A sampler of this machine, and the containers of the test in its inventory."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inventory = StaticInventory()
        self.sampler = Sampler(SELDOM, self.inventory, "/", SystemClock(), "here", registry=CollectorRegistry())

    def run(self, command: str, **host_config: object) -> str:
        ident = self.engine.run(f"dw-sample-{uuid.uuid4().hex[:12]}", command, host_config=host_config)
        self.tell(ident)
        return ident

    def tell(self, ident: str) -> None:
        """What discovery would tell of it now."""
        told = self.engine.api.get(f"/containers/{ident}/json")
        self.inventory.set(
            *(one for one in self.inventory.containers.values() if one.container.id != ident),
            FoundContainer(
                Container(ident, name=told["Name"].lstrip("/"), image=told["Config"]["Image"], runtime="docker"),
                ContainerState(told["State"]["Status"]),
                pid=told["State"]["Pid"] or None,
                exit_code=told["State"]["ExitCode"],
                network_mode=told["HostConfig"]["NetworkMode"],
            ),
        )

    def look(self) -> Samples:
        return by_source(self.sampler.sweep())["cgroup"]

    def series(self, ident: str) -> Series | None:
        found = [one for labels, one in series_of(self.look()).items() if ident in dict(labels)["id"]]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture
def watched(docker_engine: Engine) -> Iterator[Watched]:
    one = Watched(docker_engine)
    if one.sampler.hierarchies.layout is Layout.NONE:
        pytest.skip("no cgroups are mounted here")
    yield one
    one.sampler.close()
    for ident in one.inventory.containers:
        docker_engine.rm(ident)


USAGE = ("container_cpu_usage_seconds_total", (("cpu", "total"),))


def test_limits_use_and_throttling(watched: Watched) -> None:
    ident = watched.run("while :; do :; done", NanoCpus=200_000_000, Memory=32 << 20, PidsLimit=20)
    deadline = time.monotonic() + 30
    while (first := watched.series(ident)) is None or first["container_threads", ()] != 1:
        time.sleep(0.1)  # it begins as the runtime's own process, with some threads, slowed down as well
        assert time.monotonic() < deadline, first
    assert first["container_spec_memory_limit_bytes", ()] == 32 << 20
    assert first["container_spec_cpu_quota", ()] / first["container_spec_cpu_period", ()] == pytest.approx(0.2)
    assert first["container_threads_max", ()] == 20
    assert first["container_processes", ()] == 1
    assert 0 < first["container_memory_working_set_bytes", ()] <= first["container_memory_usage_bytes", ()]
    assert first["container_frozen", ()] == 0
    began = time.monotonic()
    time.sleep(2)
    second = watched.series(ident)
    assert second is not None
    used = (second[USAGE] - first[USAGE]) / (time.monotonic() - began)
    assert 0.02 < used < 0.35  # a fifth of a CPU, on a machine that may be busy
    throttled = ("container_cpu_cfs_throttled_periods_total", ())
    assert second[throttled] > first[throttled]


def test_without_limits_nothing_is_said_of_them(watched: Watched) -> None:
    ident = watched.run("sleep 1000")
    series = watched.series(ident)
    assert series is not None
    names = {name for name, _ in series}
    assert not names & {
        *("container_spec_memory_limit_bytes", "container_spec_cpu_quota", "container_threads_max"),
        *("container_cpu_cfs_periods_total", "container_spec_memory_swap_limit_bytes"),
        "container_network_receive_bytes_total",  # network none: only `lo`
    }


def test_a_killed_child_is_counted(watched: Watched) -> None:
    ident = watched.run("tail /dev/zero; tail /dev/zero; sleep 1000", Memory=16 << 20, MemorySwap=16 << 20)
    deadline = time.monotonic() + 60
    kills = 0.0
    while kills < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        series = watched.series(ident)
        kills = 0.0 if series is None else series["container_oom_events_total", ()]
    assert kills == 2


def test_paused_restarted_and_gone(watched: Watched) -> None:
    ident = watched.run("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 1000")
    time.sleep(1)
    before = watched.series(ident)
    assert before is not None
    watched.engine.post(ident, "pause")
    watched.tell(ident)
    assert watched.series(ident) is not None
    watched.engine.post(ident, "unpause")
    watched.engine.post(ident, "restart?t=0")  # the same path, another cgroup: the old descriptors answer ENODEV
    again = watched.series(ident)
    assert again is not None
    assert again[USAGE] < before[USAGE]
    watched.engine.post(ident, "kill")
    watched.engine.wait(ident)
    watched.tell(ident)
    frames = by_source(watched.sampler.sweep())
    assert times_ended(frames["cgroup"], ident) == 1
    assert times_ended(by_source(watched.sampler.sweep())["cgroup"], ident) == 0
    (state,) = [series for labels, series in series_of(frames["state"]).items() if ident in dict(labels)["id"]]
    assert state["container_exit_code", ()] == 137


def test_gone_before_the_engine_says_so(watched: Watched) -> None:
    ident = watched.run("sleep 1000")
    assert watched.series(ident) is not None
    watched.engine.rm(ident)
    frame = watched.look()
    assert times_ended(frame, ident) == 1
    assert not any(ident in dict(target.labels)["id"] for target in frame.targets)


def times_ended(frame: Samples, ident: str) -> int:
    """This host may have containers that are not ours, and that end when they like."""
    return sum(ident in dict(labels)["id"] for labels in frame.ended)
