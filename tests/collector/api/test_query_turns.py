"""Slow queries don't keep short ones waiting, and there are never more of them than there are places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from threading import Event

import pytest

from collector.api.query_turns import QueryTurns

PATIENCE_S = 5.0


@pytest.fixture
async def turns() -> AsyncIterator[QueryTurns]:
    made = QueryTurns(2, "test", slow_s=0.05)
    yield made
    made.close()


class Slow:
    def __init__(self, turns: QueryTurns) -> None:
        self.begun, self.done = Event(), Event()
        self.task = asyncio.create_task(turns.run(self._work))

    def _work(self) -> str:
        self.begun.set()
        assert self.done.wait(20)
        return "slow"

    async def has_begun(self) -> bool:
        return await asyncio.to_thread(self.begun.wait, 0.3)


async def test_a_short_query_passes_slow_ones(turns: QueryTurns) -> None:
    slow = [Slow(turns) for _ in range(2)]
    assert all([await one.has_begun() for one in slow])
    async with asyncio.timeout(PATIENCE_S):
        assert await turns.run(lambda: "short") == "short"
        for one in slow:
            one.done.set()
        assert [await one.task for one in slow] == ["slow", "slow"]


async def test_the_slow_lane_has_an_end(turns: QueryTurns) -> None:
    slow = [Slow(turns) for _ in range(5)]
    assert [await one.has_begun() for one in slow] == [True, True, True, True, False]
    slow[0].done.set()
    assert await slow[4].has_begun()
    for one in slow:
        one.done.set()
    await asyncio.gather(*(one.task for one in slow))
    async with asyncio.timeout(PATIENCE_S):  # and all places are free again
        again = [Slow(turns) for _ in range(2)]
        assert all([await one.has_begun() for one in again])
        for one in again:
            one.done.set()
        await asyncio.gather(*(one.task for one in again))


async def test_work_that_nobody_waits_for_keeps_its_turn_to_its_end(turns: QueryTurns) -> None:
    slow = [Slow(turns) for _ in range(4)]
    assert all([await one.has_begun() for one in slow])
    for one in slow:
        one.task.cancel()
    waiting = Slow(turns)
    assert not await waiting.has_begun()
    slow[0].done.set()
    assert await waiting.has_begun()
    for one in (*slow, waiting):
        one.done.set()
    assert await waiting.task == "slow"


async def test_faults_are_handed_on_and_cost_no_turn(turns: QueryTurns) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await turns.run(lambda: 1 // 0)
