"""How much the agent ships per CPU second of its process, from file to acked over loopback HTTP, and in what memory.

    python -m tests.bench.agent_throughput [--size 400MB] [--kind generated|real] [--runs 5] [--away SECONDS]

`steady` leaves out the start of the process, `whole` has it in. `--away` keeps the collector away for so long with the
whole file as backlog, and tells the largest memory.
"""

from __future__ import annotations

import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec

from tests.bench.generate import REAL_LOGS, parse_size, write_docker_json

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Figures(msgspec.Struct, frozen=True):
    steady_mb_per_cpu_s: float
    whole_mb_per_cpu_s: float
    wall_mb_per_s: float
    peak_rss_mib: float


def cpu_s(pid: int) -> float:
    """User and system time of a process (proc(5): stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def peak_rss_mib(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def start_sink() -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "tests.bench.sink"]
    sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sink.stdout
    return sink, sink.stdout.readline().strip()


def start_agent(folder: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deckwatch.cli", "agent", "--no-docker", "--collector", url]
    command += ["--state-dir", str(folder / "state"), "--logs", str(folder / "*.log")]
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert agent.stdout
    assert "listening" in agent.stdout.readline()
    return agent


def wait_for(sink: subprocess.Popen[str], raw_bytes: int, timeout_s: float) -> None:
    """Until the sink has acked so much."""
    assert sink.stdout
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if select.select([sink.stdout], [], [], 1.0)[0] and int(sink.stdout.readline() or 0) >= raw_bytes:
            return
    raise TimeoutError(f"{raw_bytes} bytes were not acked within {timeout_s} s")


def measure(source: Path) -> Figures:
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        folder = Path(name)
        sink, url = start_sink()
        agent = start_agent(folder, url)
        try:
            time.sleep(2)
            before_cpu_s, before_s = cpu_s(agent.pid), time.monotonic()
            (folder / "bench.log").hardlink_to(source)
            size = source.stat().st_size
            wait_for(sink, size, 300)
            wall_s, all_cpu_s = time.monotonic() - before_s, cpu_s(agent.pid)
            megabytes = size / 1e6
            steady = megabytes / (all_cpu_s - before_cpu_s)
            return Figures(steady, megabytes / all_cpu_s, megabytes / wall_s, peak_rss_mib(agent.pid))
        finally:
            stop(agent, sink)


def measure_away(source: Path, away_s: float) -> float:
    """Peak memory with the collector away and the whole file as backlog."""
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        folder = Path(name)
        (folder / "bench.log").hardlink_to(source)
        sink, url = start_sink()
        stop(sink)
        agent = start_agent(folder, url)
        try:
            time.sleep(away_s)
            return peak_rss_mib(agent.pid)
        finally:
            stop(agent)


def stop(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.terminate()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


@click.command()
@click.option("--size", default="400MB", help="Of the file, for instance 400MB.")
@click.option("--kind", type=click.Choice(["generated", "real"]), default="generated")
@click.option("--runs", default=5)
@click.option("--away", default=0.0, help="Seconds without a collector.")
def main(size: str, kind: str, runs: int, away: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        write_docker_json(source, size_bytes=parse_size(size), real=REAL_LOGS if kind == "real" else None)
        if away:
            click.echo(f"away for {away:g} s behind {size}: peak RSS {measure_away(source, away):.1f} MiB")
            return
        found = [measure(source) for _ in range(runs)]
    for figures in found:
        click.echo(str(figures))
    for field in Figures.__struct_fields__:
        click.echo(f"{field:22} {statistics.median(getattr(one, field) for one in found):8.1f}")


if __name__ == "__main__":
    main()
