"""What an agent costs that watches containers of a real Docker engine, metrics every 10 s: quiet ones, or with --busy
such as work all the time, with --lines such as write a line of log each second too. Somebody scrapes its /metrics
every 15 s.

python -m tests.bench.idle_agent [--busy] [--lines] [--containers 50] [--seconds 120]
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import click
import yaml

from tests.chaos.daemons import Pair
from tests.fixtures.docker_engine import Engine, engine_of_our_own

QUIET = "echo ready; sleep 100000"
BUSY = "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo $i > /tmp/count; sleep 1; done"
"""Some CPU time, a file and a process: each second anew."""
LINES = BUSY.replace("sleep 1", "echo tick $i; sleep 1")
SCRAPE_S = 15.0


@click.command()
@click.option("--containers", default=50, show_default=True)
@click.option("--seconds", default=120.0, show_default=True)
@click.option("--busy", is_flag=True, help="The containers work.")
@click.option("--lines", is_flag=True, help="They work, and write a line a second each.")
def main(containers: int, seconds: float, busy: bool, lines: bool) -> None:
    command = LINES if lines else BUSY if busy else QUIET
    what = f"{'busy' if busy or lines else 'quiet'} containers{f', {containers} lines a second' if lines else ''}"
    with engine_of_our_own() as engine, tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        for number in range(containers):
            engine.run(f"idle-{number}", command, labels={"app": "idle"})
        measure(engine, Path(name), f"{containers} {what}", seconds)


def measure(engine: Engine, folder: Path, what: str, seconds: float) -> None:
    config = folder / "deckwatch.yml"
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    config.write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}}}))
    pair = Pair(folder, docker=True, agent=["--config", str(config)])
    try:
        pair.start()
        time.sleep(30)  # the first sweeps open files, and the log written so far is read
        before, started, load = pair.agent.cpu_s(), time.monotonic(), []
        while time.monotonic() < started + seconds:
            time.sleep(min(SCRAPE_S, max(0.0, started + seconds - time.monotonic())))
            size = len(pair.agent.get("/metrics"))
            load.append(os.getloadavg()[0])
        share = (pair.agent.cpu_s() - before) / (time.monotonic() - started)
        targets = pair.agent.metric("deckwatch_agent_sample_targets")
        print(f"agent, {what} ({targets:.0f} targets): {share:.2%} of a core", flush=True)
        print(f"  {pair.agent.rss_bytes() / 2**20:.1f} MiB, {pair.agent.rss_bytes(peak=True) / 2**20:.1f} MiB peak")
        print(f"  a scrape of {size} bytes every {SCRAPE_S:g} s; the machine's load {sum(load) / len(load):.1f}")
    finally:
        pair.stop()


if __name__ == "__main__":
    main()
