"""CPU time of one sweep of the sampler over many containers: `python -m tests.bench.sample_sweep`.

One recorded container is copied N times into a tree of plain files, of each kernel format, and swept as the agent
does it, the frames encoded as the spool holds them. CPU time is that of the whole process, all threads. A real
kernel makes the text of each file anew at each read, which plain files don't: `--engine` measures the same over as
many real containers (it starts a dockerd of its own, so needs root).
"""

from __future__ import annotations

import argparse
import logging
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from agent.model import ContainerState, EventListener, FoundContainer, Listener, LogSource
from agent.sample.app import Sampler
from agent.sample.settings import SampleSettings, SourceName
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import Container
from tests.fixtures.docker_engine import own_engine
from tests.recordings.unpack import unpack

BUDGET_MS = 40.0
CGROUP = "sys/fs/cgroup"


class _Inventory:
    def __init__(self, containers: dict[str, FoundContainer]) -> None:
        self.containers = containers
        self.sources: dict[str, LogSource] = {}

    def on_change(self, listener: Listener) -> None:
        """It never changes."""

    def on_event(self, listener: EventListener) -> None:
        """Nothing ever happens."""


def copies(recorded: Path, root: Path, one: str, count: int) -> _Inventory:
    """The group whose directories hold `one` in their name, `count` times, in all hierarchies; and the host's files."""
    idents = [f"{number:064x}" for number in range(count)]
    for source in [path for path in (recorded / CGROUP).glob("**/*") if path.is_dir() and one in path.name]:
        parent = root / source.parent.relative_to(recorded)
        for ident in idents:
            shutil.copytree(source, parent / source.name.replace(one, ident))
    for name in ("cgroup.controllers", "unified/cgroup.controllers"):
        if (recorded / CGROUP / name).exists():
            (root / CGROUP / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(recorded / CGROUP / name, root / CGROUP / name)
    shutil.copytree(recorded / "proc", root / "proc", symlinks=True)
    return _Inventory({ident: _found(number, ident) for number, ident in enumerate(idents)})


def _found(number: int, ident: str) -> FoundContainer:
    labels = (("com.docker.compose.project", "shop"), ("com.docker.compose.service", f"service-{number}"))
    container = Container(ident, name=f"shop-service-{number}-1", image="registry.example/shop:1.4", labels=labels)
    return FoundContainer(container, ContainerState.RUNNING, network_mode="bridge", restart_count=0, oom_killed=False)


def measure(root: Path, inventory: _Inventory, sources: tuple[SourceName, ...], sweeps: int) -> dict[str, float]:
    registry = CollectorRegistry()
    state = tempfile.TemporaryDirectory()  # where counters of workloads are kept at each sweep
    sampler = Sampler(
        SampleSettings(sources=sources), inventory, str(root), SystemClock(), "bench",
        registry=registry, state_dir=Path(state.name),
    )  # fmt: skip
    try:
        frames = sampler.sweep()  # the first one opens the files
        spent = []
        for _ in range(sweeps):
            begun = time.process_time()
            frames = sampler.sweep()
            size = sum(len(pack_frame(frame)) for frame in frames)
            spent.append((time.process_time() - begun) * 1000)
    finally:
        sampler.close()
        state.cleanup()
    series = sum(len(frame.schemas[target.schema]) for frame in frames for target in frame.targets)
    return {
        "median ms": statistics.median(spent),
        "mean ms": statistics.mean(spent),  # slow looks included
        "targets": sum(len(frame.targets) for frame in frames),
        "series": series,
        "bytes": size,
        "open files": registry.get_sample_value("deckwatch_agent_sample_open_files") or 0,
    }


def real_containers(count: int, sweeps: int, scratch: Path) -> dict[str, float]:
    """The same over containers of an engine started for it: what the kernel's work on each read adds."""
    engine = own_engine(scratch)
    try:
        found = {}
        for number in range(count):
            ident = engine.run(
                f"bench-{number}", "while :; do echo tick; sleep 1; done", host_config={"Memory": 64 << 20}
            )
            found[ident] = _found(number, ident)
        time.sleep(2)
        return measure(Path("/"), _Inventory(found), EVERY_SOURCE, sweeps)
    finally:
        engine.close()


EVERY_SOURCE: tuple[SourceName, ...] = SampleSettings().sources
SOURCES: tuple[tuple[SourceName, ...], ...] = (
    ("cgroup", "state"),
    ("cgroup", "state", "workload"),
    ("host", "hardware", "filesystem"),
    ("unit", "process"),
    EVERY_SOURCE,
)
RECORDED = {"cgroup1": "dw-cpu", "cgroup2": "dw-io"}


def report(name: str, sources: tuple[SourceName, ...], figures: dict[str, float]) -> None:
    text = "  ".join(f"{key} {value:.2f}".removesuffix(".00") for key, value in figures.items())
    what = "all" if sources == EVERY_SOURCE else "+".join(sources)
    print(f"{name:8} {what:30} {text}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--containers", type=int, default=50)
    options.add_argument("--sweeps", type=int, default=60)
    options.add_argument("--engine", action="store_true", help="also over real containers")
    chosen = options.parse_args()
    logging.disable(logging.WARNING)  # the recorded mounts are not to be seen here
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # as the agent does
    print(f"{chosen.containers} containers, {chosen.sweeps} sweeps; budget {BUDGET_MS} ms a sweep of 50")
    for name, container in RECORDED.items():
        with tempfile.TemporaryDirectory() as scratch:
            recorded = unpack(name, Path(scratch)) / "t1"
            ident = msgspec.json.decode((recorded / "docker" / container / "inspect.api.json").read_bytes())["Id"]
            inventory = copies(recorded, Path(scratch) / "host", ident, chosen.containers)
            for sources in SOURCES:
                figures = measure(Path(scratch) / "host", inventory, sources, chosen.sweeps)
                report(name, sources, figures)
    if chosen.engine:
        with tempfile.TemporaryDirectory() as scratch:
            figures = real_containers(chosen.containers, chosen.sweeps, Path(scratch))
            report("engine", EVERY_SOURCE, figures)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


if __name__ == "__main__":
    main()
