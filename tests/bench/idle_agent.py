"""What an idle agent costs: quiet containers of a real Docker engine, metrics every 10 s, nothing written.

python -m tests.bench.idle_agent [--containers 50] [--seconds 120]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import yaml

from tests.chaos.daemons import Pair
from tests.fixtures.docker_engine import Engine, engine_of_our_own


@click.command()
@click.option("--containers", default=50, show_default=True)
@click.option("--seconds", default=120.0, show_default=True)
def main(containers: int, seconds: float) -> None:
    with engine_of_our_own() as engine, tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        for number in range(containers):
            engine.run(f"idle-{number}", "echo ready; sleep 100000", labels={"app": "idle"})
        measure(engine, Path(name), containers, seconds)


def measure(engine: Engine, folder: Path, containers: int, seconds: float) -> None:
    config = folder / "deckwatch.yml"
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    config.write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}}}))
    pair = Pair(folder, docker=True, agent=["--config", str(config)])
    try:
        pair.start()
        pair.wait_drained()
        time.sleep(15)  # the first sweeps open files
        before, started = pair.agent.cpu_s(), time.monotonic()
        time.sleep(seconds)
        share = (pair.agent.cpu_s() - before) / (time.monotonic() - started)
        targets = pair.agent.metric("deckwatch_agent_sample_targets")
        print(f"idle agent, {containers} containers ({targets:.0f} targets): {share:.2%} of a core")
        print(f"  {pair.agent.rss_bytes(peak=True) / 2**20:.1f} MiB peak")
    finally:
        pair.stop()


if __name__ == "__main__":
    main()
