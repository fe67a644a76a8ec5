"""The rows of the table: what is done to the daemons while numbered lines are written."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.chaos.account import Account, account
from tests.chaos.daemons import Pair
from tests.chaos.writer import DockerWriter, Paced


class Row(msgspec.Struct, frozen=True):
    """`max_bytes`: rotation size of the log; 0 = never rotated."""

    name: str
    during: Callable[[Pair, random.Random, Paced], None]
    max_bytes: int = 0
    max_files: int = 5


def kills(agent: int, collector: int) -> Callable[[Pair, random.Random, Paced], None]:
    """kill -9 at random moments while lines are written; each is started again after a random pause."""

    def during(pair: Pair, rng: random.Random, writer: Paced) -> None:
        victims = [pair.agent] * agent + [pair.collector] * collector
        rng.shuffle(victims)
        for victim in victims:
            time.sleep(rng.uniform(0.05, max(0.1, writer.remaining_s / (len(victims) + 1) * 1.5)))
            victim.kill()
            time.sleep(rng.uniform(0, 0.5))
            victim.start(wait=rng.random() < 0.5)
        pair.collector.wait_ready()
        pair.agent.wait_ready()

    return during


def stop_and_start(pair: Pair, rng: random.Random, writer: Paced) -> None:
    for daemon in (pair.agent, pair.collector, pair.agent):
        time.sleep(rng.uniform(0.1, 1.0))
        daemon.stop()
        time.sleep(rng.uniform(0, 0.3))
        daemon.start()


def away(seconds: float) -> Callable[[Pair, random.Random, Paced], None]:
    """The collector is gone for a while; what is written meanwhile stays where it is, in the files."""

    def during(pair: Pair, rng: random.Random, writer: Paced) -> None:
        time.sleep(rng.uniform(0.1, 0.5))
        pair.collector.kill()
        time.sleep(seconds)
        pair.collector.start()

    return during


ROWS = (
    Row("kill -9: agent x5, collector x5", kills(5, 5)),
    Row("kill -9: agent x5, rotating", kills(5, 0), max_bytes=2_000_000, max_files=50),
    Row("kill -9: collector x5", kills(0, 5)),
    Row("SIGTERM of both", stop_and_start),
    Row("collector away, log rotates", away(4.0), max_bytes=2_000_000, max_files=50),
)


def run(row: Row, folder: Path, *, lines: int, per_s: float, seed: int) -> Account:
    """One row: the account of the store once everything is drained."""
    log = folder / "c0ffee-json.log"
    writer = DockerWriter(log, max_bytes=row.max_bytes, max_files=row.max_files)
    paced = Paced(writer, lines, per_s)
    pair = Pair(folder, logs=[str(log)])
    try:
        pair.start()
        paced.start()
        row.during(pair, random.Random(seed), paced)
        paced.join()
        writer.close()
        pair.wait_drained()
        return account(lines, pair.records())
    finally:
        paced.stop()
        pair.stop()
