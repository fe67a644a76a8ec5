"""Whose turn it is: a few queries at a time, and none that takes long keeps the short ones waiting.

A query that goes on for longer than SLOW_S gives its turn away and goes on in the slow lane, which has as many places
again: four dashboards over a month leave room for the panel that takes five milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

SLOW_S = 1.0


class QueryTurns:
    """Belongs to the event loop; the work is done in threads."""

    def __init__(self, at_once: int, name: str, slow_s: float = SLOW_S) -> None:
        self._workers = ThreadPoolExecutor(2 * at_once, thread_name_prefix=name)
        self._turns = asyncio.Semaphore(at_once)
        self._slow_lane = at_once
        self._slow_s = slow_s
        self._waiting: deque[_Turn] = deque()  # for a place in the slow lane

    async def run(self, work: Callable[[], T]) -> T:
        """When it is cancelled the work goes on to its end, and has its turn until then."""
        await self._turns.acquire()
        loop = asyncio.get_running_loop()
        running: Future[T] = self._workers.submit(work)
        turn = _Turn(self)
        timer = loop.call_later(self._slow_s, turn.takes_long)

        def over(_: Future[T]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(turn.ends, timer)

        running.add_done_callback(over)
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)

    def give_turn(self) -> None:
        self._turns.release()

    def enter_slow_lane(self, turn: _Turn) -> None:
        """At once, or when somebody leaves it."""
        if self._slow_lane:
            self._slow_lane -= 1
            turn.goes_slowly()
        else:
            self._waiting.append(turn)

    def leave_slow_lane(self) -> None:
        self._slow_lane += 1
        while self._waiting and self._slow_lane:
            turn = self._waiting.popleft()
            if not turn.over:
                self.enter_slow_lane(turn)


class _Turn:
    def __init__(self, turns: QueryTurns) -> None:
        self._turns = turns
        self._slow = False
        self.over = False

    def takes_long(self) -> None:
        if not self.over:
            self._turns.enter_slow_lane(self)

    def goes_slowly(self) -> None:
        self._slow = True
        self._turns.give_turn()

    def ends(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self.over = True
        if self._slow:
            self._turns.leave_slow_lane()
        else:
            self._turns.give_turn()
