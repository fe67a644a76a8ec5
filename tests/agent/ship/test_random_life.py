"""Random lives of a log and of the agent beside it, compared with what was written."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.agent.ship.log_life import LogLife, check
from tests.fixtures.agent_rig import AgentRig
from tests.fixtures.fake_collector import FakeCollector, Fault

SEEDS = range(int(os.environ.get("DECKWATCH_SEEDS", "4")))
STEPS = 60


class Interpreter:
    """One random step at a time. What needs the agent to have looked first waits for a moment."""

    def __init__(self, life: LogLife, agent: AgentRig, collector: FakeCollector, rng: random.Random) -> None:
        self.life = life
        self.agent = agent
        self.collector = collector
        self.rng = rng
        self.log: list[str] = []
        self.steps = {
            "write": 30,
            "part": 4,
            "long": 2,
            "rotate": 6,
            "copytruncate": 3,
            "truncate": 1,
            "delete": 1,
            "compress": 4,
            "fault": 10,
            "down": 2,
            "stop": 3,
            "kill": 3,
            "pause": 12,
        }

    async def step(self) -> None:
        name = self.rng.choices(list(self.steps), list(self.steps.values()))[0]
        self.log.append(name)
        async with asyncio.timeout(30):
            await getattr(self, f"_{name}")()

    async def _write(self) -> None:
        self.life.write()

    async def _part(self) -> None:
        self.life.write_part()

    async def _long(self) -> None:
        self.life.write_long()

    async def _look(self) -> None:
        """The file that is about to go must have been seen: the kernel tells within milliseconds."""
        if self.life.agent_up:
            await asyncio.sleep(0.25)

    async def _rotate(self) -> None:
        await self._look()
        self.life.rotate()

    async def _copytruncate(self) -> None:
        await self._look()
        self.life.copytruncate()

    async def _truncate(self) -> None:
        await self._look()
        self.life.truncate()

    async def _delete(self) -> None:
        await self._look()
        self.life.delete()

    async def _compress(self) -> None:
        self.life.compress()

    async def _fault(self) -> None:
        self.collector.faults.append(self.rng.choice(list(Fault)))

    async def _down(self) -> None:
        await self.collector.stop()
        for _ in range(self.rng.randint(1, 3)):
            self.life.write()
            await asyncio.sleep(0.05)
        await self.collector.start()

    async def _stop(self) -> None:
        await self._away(killed=False)

    async def _kill(self) -> None:
        await self._away(killed=True)

    async def _away(self, *, killed: bool) -> None:
        await (self.agent.kill() if killed else self.agent.stop())
        self.life.agent_up = False
        for _ in range(self.rng.randint(0, 4)):
            act = self.rng.choice(("write", "write", "part", "rotate", "copytruncate", "compress"))
            self.log.append(f"away: {act}")
            getattr(self.life, "write_part" if act == "part" else act)()
        self.life.agent_up = True
        await self.agent.start()

    async def _pause(self) -> None:
        await asyncio.sleep(self.rng.choice((0.01, 0.05, 0.3)))


@pytest.mark.parametrize("banner", [False, True], ids=["", "same banner"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_held_once_and_whole(tmp_path: Path, seed: int, banner: bool) -> None:
    rng = random.Random(seed)
    async with FakeCollector() as collector:
        agent = AgentRig(tmp_path / "state", collector)
        life = LogLife(tmp_path / "app.log", rng, banner=banner)
        source = agent.follow(life.path)
        await agent.start()
        run = Interpreter(life, agent, collector, rng)
        try:
            for _ in range(STEPS):
                await run.step()
            await agent.drained()
            await asyncio.sleep(0.6)  # gaps are declared once a copy can't turn up any more
            await agent.drained()
            check(life, collector, source.name)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter: {', '.join(run.log)}") from error
        finally:
            await agent.stop()
