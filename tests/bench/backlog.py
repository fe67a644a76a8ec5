"""The agent's memory while the collector is away behind a large backlog, and while it catches up.

python -m tests.bench.backlog [--size 2GB] [--away-s 600]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from tests.bench.generate import parse_size, write_docker_json
from tests.chaos.daemons import Pair


@click.command()
@click.option("--size", default="2GB", show_default=True)
@click.option("--away-s", default=600.0, show_default=True, help="How long the collector is away.")
def main(size: str, away_s: float) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        folder = Path(name)
        log = folder / "backlog-json.log"
        written = write_docker_json(log, size_bytes=parse_size(size), seed=5)
        pair = Pair(folder, logs=[str(log)])
        try:
            pair.agent.start()
            started = time.monotonic()
            while time.monotonic() - started < away_s:
                time.sleep(1.0)
            lag = pair.agent.metric("deckwatch_agent_lag_bytes")
            away_cpu_s = pair.agent.cpu_s()
            print(f"collector away for {away_s:.0f} s behind {lag / 1e9:.2f} GB")
            print(f"  agent: peak {pair.agent.rss_bytes(peak=True) / 2**20:.1f} MiB, {away_cpu_s:.2f} CPU s in all")
            pair.collector.start()
            started = time.monotonic()
            pair.wait_drained(timeout_s=1800)
            wall_s = time.monotonic() - started
            print(f"caught up in {wall_s:.0f} s ({written / 1e6 / wall_s:.0f} MB/s)")
            print(f"  agent: peak {pair.agent.rss_bytes(peak=True) / 2**20:.1f} MiB")
            print(f"  collector: peak {pair.collector.rss_bytes(peak=True) / 2**20:.1f} MiB")
        finally:
            pair.stop()


if __name__ == "__main__":
    main()
