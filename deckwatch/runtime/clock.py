"""Time as something that is handed in, so that whatever waits or expires can be tested."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for waiting. The two are never mixed."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds; it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands until it is moved. Shipped, since whoever rehearses a rule needs it too."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        self._sleepers.append((self._monotonic + seconds, woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Move both times and let whoever is due run."""
        self._now_ns += int(seconds * 1e9)
        self._monotonic += seconds
        for due in [sleeper for sleeper in self._sleepers if sleeper[0] <= self._monotonic]:
            self._sleepers.remove(due)
            due[1].set()
        for _ in range(3):
            await asyncio.sleep(0)

    def jump_wall(self, seconds: float) -> None:
        """What an operator or NTP does: wall time moves, monotonic time does not."""
        self._now_ns += int(seconds * 1e9)
