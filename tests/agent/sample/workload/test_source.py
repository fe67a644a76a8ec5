"""The whole way: cgroup files of a recorded host -> sampler -> counters on disk -> frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.model import ContainerState, FoundContainer
from agent.sample.app import Sampler
from agent.sample.settings import SampleSettings
from agent.sample.workload import kept
from agent.sample.workload.settings import WorkloadSettings
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Container, Event, Labels, Samples, Workload
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import Series, StaticInventory, by_source, series_of

A1, C3 = "a1" * 32, "c3" * 32
WEB: Labels = (("orchestrator", "compose"), ("workload", "web"), ("workload_namespace", "shop"))
JOB: Labels = (("orchestrator", "compose"), ("workload", "job"), ("workload_namespace", "shop"))
S = 1_000_000_000


def container(ident: str, service: str = "web") -> Container:
    return Container(ident, name=service, image="shop:1", workload=Workload("compose", "shop", service, "1"))


class Agent:
    """A sampler that is killed and started again over one state folder."""

    def __init__(self, root: Path, state_dir: Path, **settings: float) -> None:
        self.root, self.state_dir = root, state_dir
        self.clock = ManualClock()
        workload = WorkloadSettings(**settings)  # type: ignore[arg-type]
        self.settings = SampleSettings(sources=("cgroup", "state", "workload"), slow_every=1, workload=workload)
        found = FoundContainer(container(A1), ContainerState.RUNNING, started_ns=S)
        self.inventory = StaticInventory(found)
        self.start()

    def start(self) -> None:
        self.registry = CollectorRegistry()
        self.sampler = Sampler(
            self.settings, self.inventory, str(self.root), self.clock, "h",
            registry=self.registry, state_dir=self.state_dir,
        )  # fmt: skip

    def kill(self) -> None:
        """Nothing is written any more: all that counts was."""
        self.sampler.close()

    def sweep(self) -> dict[str, Samples]:
        self.clock.jump_wall(10)
        return by_source(self.sampler.sweep())

    def series(self) -> dict[Labels, Series]:
        return series_of(self.sweep()["workload"])

    def tell(self, action: str, ident: str = "9" * 64, **attributes: str) -> None:
        told = tuple(sorted(attributes.items()))
        event = Event(self.clock.now_ns(), "default", "container", action, container(ident, "job"), told)
        self.inventory.tell(event)


@pytest.fixture
def host(tmp_path: Path, recording: Recordings) -> Path:
    root = Path(shutil.copytree(recording("cgroup1-mini") / "t0", tmp_path / "host", symlinks=True))
    (root / "proc/sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (root / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    set_usage(root, "docker", 500 * S)
    set_usage(root, f"docker/{A1}", 3 * S)
    return root


@pytest.fixture
def agent(host: Path, tmp_path: Path) -> Agent:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    made = Agent(host, state_dir)
    made.sweep()  # who is listed at two looks is believed
    return made


def set_usage(root: Path, path: str, ns: int) -> None:
    (root / "sys/fs/cgroup/cpu,cpuacct" / path / "cpuacct.usage").write_text(f"{ns}\n")


def cpu_s(series: Series) -> float:
    return series["workload_cpu_usage_seconds_total", ()]


def test_what_comes_out(agent: Agent) -> None:
    series = agent.series()[WEB]
    agent.kill()
    assert {name for name, _ in series} <= set(CATALOGUE)
    assert cpu_s(series) == 3
    assert series["workload_containers", (("state", "running"),)] == 1
    assert series["workload_containers", (("state", "exited"),)] == 0
    assert series["workload_memory_working_set_bytes", ()] > 0
    assert series["workload_starts_total", ()] == 1
    assert series["workload_exits_total", (("reason", "error"),)] == 0


def test_a_short_life(agent: Agent, host: Path) -> None:
    agent.sweep()
    agent.clock.jump_wall(-5)
    agent.tell("start")
    agent.clock.jump_wall(1)
    agent.tell("die", exitCode="1")
    agent.tell("destroy")
    agent.clock.jump_wall(4)
    set_usage(host, "docker", 502 * S)
    series = agent.series()
    agent.kill()
    assert cpu_s(series[JOB]) == 2
    assert cpu_s(series[WEB]) == 3
    assert series[JOB]["workload_exits_total", (("reason", "error"),)] == 1
    assert series[JOB]["workload_run_seconds_total", ()] == 1
    assert series[JOB]["workload_containers", (("state", "running"),)] == 0


def test_nothing_is_taken_back_by_a_kill(agent: Agent, host: Path) -> None:
    agent.sweep()
    agent.tell("start")
    agent.clock.jump_wall(4)
    agent.tell("die", exitCode="0")
    set_usage(host, "docker", 504 * S)
    sent = agent.series()
    agent.kill()
    set_usage(host, f"docker/{A1}", 4 * S)
    set_usage(host, "docker", 505 * S)
    agent.start()
    again = agent.series()
    agent.kill()
    assert cpu_s(sent[JOB]) == cpu_s(again[JOB]) == 4
    assert (cpu_s(sent[WEB]), cpu_s(again[WEB])) == (3, 4)
    for labels, series in sent.items():
        for name, value in series.items():
            assert not name[0].endswith("_total") or again[labels][name] >= value


def test_nothing_is_sent_that_could_not_be_kept(agent: Agent, host: Path) -> None:
    agent.sweep()
    agent.state_dir.rename(agent.state_dir.with_name("away"))
    set_usage(host, f"docker/{A1}", 4 * S)
    frames = agent.sweep()
    assert set(frames) == {"cgroup", "state"}
    failed = {"source": "workload", "outcome": "failed"}
    assert agent.registry.get_sample_value("deckwatch_agent_sample_looks_total", failed) == 1
    agent.state_dir.with_name("away").rename(agent.state_dir)
    assert cpu_s(agent.series()[WEB]) == 4
    agent.kill()


def test_a_forgotten_workload_ends_once(agent: Agent) -> None:
    agent.kill()
    agent.settings = SampleSettings(
        sources=("cgroup", "workload"), slow_every=1, workload=WorkloadSettings(forget_after_s=60)
    )
    agent.start()
    agent.tell("start")
    agent.tell("die", exitCode="0")
    agent.tell("destroy")
    frames = [agent.sweep()["workload"] for _ in range(9)]
    agent.kill()
    assert [JOB in frame.ended for frame in frames].count(True) == 1
    assert JOB not in series_of(frames[-1])


def test_oom_kills_and_namespaces_reach_the_containers_own_series(agent: Agent) -> None:
    agent.sweep()
    event = Event(agent.clock.now_ns(), "default", "container", "oom", container(A1))
    agent.inventory.tell(event)
    agent.sweep()
    (series,) = [one for labels, one in series_of(agent.sweep()["state"]).items() if A1 in dict(labels)["id"]]
    agent.kill()
    assert series["container_oom_kills_total", ()] >= 1


def test_without_a_state_folder_there_are_none(host: Path) -> None:
    settings = SampleSettings(sources=("cgroup", "workload"))
    one = Sampler(settings, StaticInventory(), str(host), ManualClock(), "h", registry=CollectorRegistry())
    assert set(by_source(one.sweep())) == {"cgroup"}
    one.close()


def test_the_file_is_written_before_the_frame_is_sent(agent: Agent) -> None:
    agent.sweep()
    state = kept.load(agent.state_dir)
    agent.kill()
    assert [totals.cpu_ns for totals in state.totals if totals.key.name == "web"] == [3 * S]
    assert state.boot == "boot-1"
