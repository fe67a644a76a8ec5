"""From a docker-json file to durable, searchable and filtered: agent and collector as processes of their own.

    python -m tests.bench.pipeline_speed [--size 200MB] [--kind generated|real] [--runs 5]

Prints MB of docker-json per CPU second of the agent, of the collector and of both together (user + system time as the
kernel accounts it, start-up not counted), what the store holds on disk, and the peak memory of both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click
import msgspec

from tests.bench.generate import REAL_LOGS, parse_size, write_docker_json
from tests.chaos.daemons import Pair

MOST_COLLECTOR_MIB = 450
"""Peak in a burst: 230 of it are code and libraries, before the first line comes."""
CONFIG = """
collector:
  store:
    retention_s: 0
"""


class Figures(msgspec.Struct, frozen=True):
    """MB of docker-json per CPU second; seconds from the agent's start to the last line searchable, up to 1.5 more than
    it takes; MB; MiB."""

    agent: float
    collector: float
    both: float
    wall_s: float
    ratio: float
    agent_rss_mib: float
    collector_rss_mib: float


def measure(log: Path, folder: Path) -> Figures:
    """One run over a file that is complete before the agent starts."""
    size = log.stat().st_size
    config = folder / "deckwatch.yml"
    config.write_text(CONFIG)
    pair = Pair(folder, logs=[str(log)], collector=["--config", str(config)])
    try:
        pair.collector.start()
        time.sleep(2.0)  # kernels are loaded beside the first requests
        before = pair.collector.cpu_s()
        started = time.monotonic()
        pair.agent.start()
        idle = pair.agent.cpu_s()
        pair.wait_drained(every_s=0.5)  # rendering /metrics is not what is measured
        wall_s = time.monotonic() - started
        agent_s, collector_s = pair.agent.cpu_s() - idle, pair.collector.cpu_s() - before
        agent_rss, collector_rss = pair.agent.rss_bytes(peak=True), pair.collector.rss_bytes(peak=True)
        pair.stop()
        stored = sum(path.stat().st_size for path in (folder / "collector/store/segments").rglob("*.*"))
    finally:
        pair.stop()
    megabytes = size / 1e6
    return Figures(
        megabytes / agent_s,
        megabytes / collector_s,
        megabytes / (agent_s + collector_s),
        wall_s,
        size / stored,
        agent_rss / 2**20,
        collector_rss / 2**20,
    )


def report(figures: list[Figures]) -> None:
    for name, unit in (
        ("agent", "MB per CPU second"),
        ("collector", "MB per CPU second"),
        ("both", "MB per CPU second"),
        ("wall_s", "s from start to searchable"),
        ("ratio", "docker-json / stored"),
        ("agent_rss_mib", "MiB peak"),
        ("collector_rss_mib", "MiB peak"),
    ):
        values = sorted(getattr(one, name) for one in figures)
        spread = f"median of {len(values)}: {values[0]:.1f} to {values[-1]:.1f}"
        print(f"{name:20}{statistics.median(values):10.1f} {unit} ({spread})")


@click.command()
@click.option("--size", default="200MB", show_default=True)
@click.option("--kind", type=click.Choice(["generated", "real"]), default="generated", show_default=True)
@click.option("--runs", default=5, show_default=True)
def main(size: str, kind: str, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        log = Path(name) / "bench-json.log"
        write_docker_json(log, size_bytes=parse_size(size), seed=11, real=REAL_LOGS if kind == "real" else None)
        figures = []
        for run in range(runs):
            folder = Path(name) / str(run)
            folder.mkdir()
            figures.append(measure(log, folder))
        report(figures)
        most = statistics.median(one.collector_rss_mib for one in figures)
        if most > MOST_COLLECTOR_MIB:
            raise click.ClickException(f"the collector took {most:.0f} MiB, at most {MOST_COLLECTOR_MIB} are its due")


if __name__ == "__main__":
    main()
