"""A real engine writes, rotates and deletes within milliseconds: what is missing is declared."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
import yaml

from tests.chaos.daemons import Daemon
from tests.fixtures.docker_engine import Engine
from tests.fixtures.fake_collector import FakeCollector

LINES = 40_000
RUNS = int(os.environ.get("DECKWATCH_SEEDS", "1"))


def agent_of(folder: Path, engine: Engine, collector: FakeCollector, *, links: Path | None = None) -> Daemon:
    config = folder / "agent.yml"
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    waits = {"late_write_s": 0.5, "settle_s": 0.5, "absent_s": 2.0, "poll_s": 1.0}
    tail = waits if links is None else {**waits, "links": {"folder": str(links)}}
    settings = {"discover": {"docker": docker}, "tail": tail}
    config.write_text(yaml.safe_dump({"agent": settings}))
    state = folder / "agent"
    arguments = ["agent", "--collector", collector.url, "--state-dir", str(state), "--config", str(config)]
    return Daemon("agent", folder, arguments, state / "address")


def numbers(collector: FakeCollector, container: str) -> list[int]:
    found: list[int] = []
    for held in collector.of_source(f"{container}/json.log"):
        found += [int(json.loads(line)["log"]) for line in bytes(held.data).splitlines()]
    return found


def gaps(collector: FakeCollector, container: str) -> list[tuple[int, int, str]]:
    held = collector.of_source(f"{container}/json.log")
    return [(gap.start, gap.end, gap.reason.value) for one in held for gap in one.gaps]


async def drained(agent: Daemon) -> None:
    calm = 0
    while calm < 8:
        lag = await asyncio.to_thread(agent.metric, "deckwatch_agent_lag_bytes")
        calm = calm + 1 if lag == 0 else 0
        await asyncio.sleep(0.1)


@pytest.mark.docker
@pytest.mark.timeout(120)
@pytest.mark.parametrize("run", range(RUNS))
async def test_a_burst_is_stored_or_declared(private_docker_engine: Engine, tmp_path: Path, run: int) -> None:
    engine = private_docker_engine
    async with FakeCollector() as collector:
        agent = agent_of(tmp_path, engine, collector)
        await asyncio.to_thread(agent.start)
        try:
            options = {"max-size": "20k", "max-file": "3"}
            container = await asyncio.to_thread(lambda: engine.run(f"burst-{run}", f"seq 1 {LINES}", log_opts=options))
            await asyncio.to_thread(engine.wait, container)
            await drained(agent)
            found, declared = numbers(collector, container), gaps(collector, container)
        finally:
            await asyncio.to_thread(agent.stop)
            await asyncio.to_thread(engine.rm, container)
    assert len(set(found)) == len(found)
    missing = LINES - len(found)
    assert bool(missing) == bool(declared), f"{missing} lines are missing, {declared} are declared\n{agent.printed()}"
    assert LINES in found
