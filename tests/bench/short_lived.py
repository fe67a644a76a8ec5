"""Containers that live for 0.1 to 2 s: is each one's start, end and CPU time known, and how soon its name?

python -m tests.bench.short_lived [--containers 1000] [--at-once 3] [--named 100]

A real Docker engine (started for it, so as root) and the real agent, a process of its own, with its defaults (a sweep
every 10 s). What each container used is its own shell's word (`times`, in hundredths of a second, without what the
runtime did before the shell began); what all of them used together is the kernel's, of the group above them.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click
import yaml

from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.sample.hierarchy import Layout, find_hierarchies
from deckwatch.wire.model import Event, Labels, Samples
from tests.agent.discover.test_docker_named import Naming
from tests.agent.discover.watching import watching
from tests.agent.sample.trees import Series, series_of
from tests.chaos.daemons import Daemon
from tests.fixtures.docker_engine import Engine, engine_of_our_own
from tests.fixtures.fake_collector import FakeCollector
from tests.fixtures.short_lives import PROJECT, Life, live, plans

INTERVAL_S = 10.0
STEPS = (5_000, 100_000)  # of a counting loop: some hundredths to a quarter of a second of CPU time
SLEEP_S = (0.05, 0.8)


@click.command()
@click.option("--containers", default=1000, show_default=True)
@click.option("--at-once", default=3, show_default=True)
@click.option("--named", default=100, show_default=True, help="Containers whose naming is timed.")
def main(containers: int, at_once: int, named: int) -> None:
    with engine_of_our_own() as engine, tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        folder = Path(name)
        asyncio.run(measure_lives(engine, folder, containers, at_once))
        asyncio.run(measure_names(engine, folder, named, at_once))


async def measure_lives(engine: Engine, folder: Path, count: int, at_once: int) -> None:
    account = folder / "account"
    account.mkdir(mode=0o777)
    planned = plans(count, steps=STEPS, sleep_s=SLEEP_S)
    async with FakeCollector() as collector:
        agent = start_agent(engine, folder, collector.url)
        try:
            await collector.until(lambda: bool(samples(collector, "cgroup")), 30)
            cpu_before_s, begun = agent.cpu_s(), time.monotonic()
            lives = await asyncio.to_thread(
                lambda: live(engine, account, planned, at_once, cgroup_parent=cgroup_parent(engine))
            )
            took_s = time.monotonic() - begun
            await asyncio.sleep(2.5 * INTERVAL_S)
            kernel_s = group_cpu_s(engine)
            share = (agent.cpu_s() - cpu_before_s) / (time.monotonic() - begun)
            memory = agent.rss_bytes(peak=True)
        finally:
            await asyncio.to_thread(agent.stop)
            remove_group(engine)
        report(collector, lives, kernel_s)
    row("containers a second; for how long", f"{count / took_s:.1f}; {took_s:.0f} s")
    row("the agent meanwhile", f"{share:.2%} of a core, {memory / 2**20:.0f} MiB at its peak")


def start_agent(engine: Engine, folder: Path, url: str) -> Daemon:
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    config = folder / "deckwatch.yml"
    config.write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}, "sample": {"interval_s": INTERVAL_S}}}))
    state = folder / "agent"
    words = ["agent", "--config", str(config), "--collector", url, "--state-dir", str(state), "--listen", "127.0.0.1:0"]
    agent = Daemon("agent", folder, words, state / "address")
    agent.start(wait=False)
    return agent


def samples(collector: FakeCollector, source: str) -> list[Samples]:
    return [frame for frame in collector.frames() if isinstance(frame, Samples) and frame.source == source]


def cgroup_parent(engine: Engine) -> str:
    """A group of their own, so that its counter is theirs alone."""
    systemd = engine.api.get("/info").get("CgroupDriver") == "systemd"
    return "deckwatchbench.slice" if systemd else "/deckwatch-bench"


def group_folders(engine: Engine) -> list[Path]:
    found = find_hierarchies()
    mounts = [found.v2] if found.layout is Layout.V2 else [*found.v1.values(), *filter(None, [found.v2])]
    return [Path(mount) / cgroup_parent(engine).lstrip("/") for mount in dict.fromkeys(mounts)]


def group_cpu_s(engine: Engine) -> float:
    for folder in group_folders(engine):
        if (folder / "cpuacct.usage").exists():
            return int((folder / "cpuacct.usage").read_text()) / 1e9
    return int((group_folders(engine)[0] / "cpu.stat").read_text().split()[1]) / 1e6


def remove_group(engine: Engine) -> None:
    """Docker leaves it behind."""
    for folder in group_folders(engine):
        if folder.is_dir():
            folder.rmdir()


def report(collector: FakeCollector, lives: list[Life], kernel_s: float) -> None:
    events: dict[str, dict[str, Event]] = defaultdict(dict)
    for frame in collector.frames():
        if isinstance(frame, Event) and frame.container is not None:
            events[frame.container.id][frame.action] = frame
    told = [life for life in lives if is_told(events[life.id], life)]
    durations = [int(dict(events[life.id]["die"].attributes)["duration_ns"]) / 1e9 for life in told]
    known = {labels: one["workload_cpu_usage_seconds_total", ()] for labels, one in workloads(collector).items()}
    ours = sum(cpu for labels, cpu in known.items() if dict(labels).get("workload_namespace") == PROJECT)
    nobodys = sum(cpu for labels, cpu in known.items() if "bench" in dict(labels)["workload"])
    own_s = sum(life.cpu_s for life in lives)
    print("| what | figure |\n|---|---|")
    row("containers; with start, exit code and duration", f"{len(lives)}; {len(told)}")
    row("shortest, median and longest run", "; ".join(f"{one:.2f} s" for one in three(durations)))
    row("CPU seconds by their own account; of their group, by the kernel", f"{own_s:.1f}; {kernel_s:.1f}")
    shares = f"{ours / own_s:.1%} of their own account, {ours / kernel_s:.1%} of the kernel's"
    row("in their three workloads", f"{ours:.1f}: {shares}")
    row("beside them under their group's name: nobody knew whose", f"{nobodys:.1f}")
    for service in sorted({life.service for life in lives}):
        own = sum(life.cpu_s for life in lives if life.service == service)
        counted = sum(cpu for labels, cpu in known.items() if dict(labels).get("workload") == service)
        row(f"of {service}: own account; counted", f"{own:.1f}; {counted:.1f}")


def row(what: str, figure: str) -> None:
    print(f"| {what} | {figure} |", flush=True)


def three(durations: list[float]) -> tuple[float, float, float]:
    return min(durations), statistics.median(durations), max(durations)


def workloads(collector: FakeCollector) -> dict[Labels, Series]:
    """Those of which any CPU time is known."""
    newest = series_of(samples(collector, "workload")[-1])
    return {labels: one for labels, one in newest.items() if ("workload_cpu_usage_seconds_total", ()) in one}


def is_told(events: dict[str, Event], life: Life) -> bool:
    if "start" not in events or "die" not in events:
        return False
    told = dict(events["die"].attributes)
    return told.get("exitCode") == str(life.exit_code) and int(told.get("duration_ns", 0)) > 0


async def measure_names(engine: Engine, folder: Path, count: int, at_once: int) -> None:
    docker = DockerSettings(socket=str(engine.socket), containers_dir=str(engine.containers_dir))
    planned = plans(count, steps=STEPS, sleep_s=SLEEP_S, seed=2)
    async with watching(DiscoverSettings(docker=docker, cri=CriSettings(enabled=False))) as watcher:
        naming = Naming(watcher)
        lives = await asyncio.to_thread(live, engine, folder / "account", planned, at_once)
        await asyncio.sleep(2)
        started_ns = naming.started_ns()
    missing = 1 << 62
    took_s = sorted((naming.named_ns.get(life.id, missing) - started_ns.get(life.id, 0)) / 1e9 for life in lives)
    in_time, early = sum(one <= 2 for one in took_s), sum(one < 0 for one in took_s)
    slowest = f"99th percentile {took_s[int(0.99 * (count - 1))]:.2f} s"
    row("named within 2 s of the start", f"{in_time} of {count} (before the start: {early}; {slowest})")


if __name__ == "__main__":
    main()
