"""The row with a real container of a real Docker engine: it writes the numbers, both daemons are killed meanwhile."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec
import yaml

from tests.chaos.account import Account, account
from tests.chaos.daemons import Pair
from tests.chaos.stored import by_api
from tests.fixtures.docker_engine import Engine

STEP = 2000
NAME = "deckwatch-numbers"


class Moments(msgspec.Struct, frozen=True):
    """How often each is killed, and what the container's log may hold before the engine rotates it."""

    agent: int
    collector: int
    max_size: str = "500m"
    max_file: int = 3


def command(lines: int, per_s: float) -> str:
    """Numbers in steps of STEP, a pause between them."""
    step = f'awk -v a=$n \'BEGIN{{for(i=a;i<a+{STEP};i++)print "number " i " of the series"}}\''
    return f"n=0; while [ $n -lt {lines} ]; do {step}; n=$((n+{STEP})); sleep {STEP / per_s:.3f}; done"


def run_container(
    engine: Engine, folder: Path, *, lines: int, per_s: float, seed: int, moments: Moments
) -> tuple[Account, int]:
    """The account of the store, and how many kill -9 there were."""
    rng = random.Random(seed)
    config = folder / "deckwatch.yml"
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    config.write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}}}))
    pair = Pair(folder, docker=True, agent=["--config", str(config)])
    container = ""
    try:
        pair.start()
        options = {"max-size": moments.max_size, "max-file": str(moments.max_file)}
        container = engine.run(f"{NAME}-{seed}", command(lines, per_s), log_opts=options)
        victims = [pair.agent] * moments.agent + [pair.collector] * moments.collector
        rng.shuffle(victims)
        for victim in victims:
            time.sleep(rng.uniform(0.1, 2 * lines / per_s / len(victims) * 0.6))
            victim.kill()
            time.sleep(rng.uniform(0, 0.3))
            victim.start(wait=False)
        engine.wait(container, timeout_s=600)
        pair.collector.wait_ready()
        pair.agent.wait_ready()
        pair.wait_drained()
        result = account(lines, by_api(pair.collector.url, f"container.name:{NAME}-{seed}"))
        return result, pair.agent.kills + pair.collector.kills
    finally:
        pair.stop()
        if container:
            engine.rm(container)
