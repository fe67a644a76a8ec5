"""Keeps one child alive: starts it, waits, starts it again as `restart.after_death` says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

import msgspec

from deckwatch.runtime.announce import Announced, Line
from deckwatch.up.child import Child
from deckwatch.up.restart import Life, Policy, Why, after_death

_REMEMBERED_LIVES = 50


class GaveUp(msgspec.Struct, frozen=True):
    """A child that is not started again."""

    name: str
    why: Why
    exit_code: int
    last_lines: tuple[str, ...]


class Keeper:
    """One child after the other. `run()` ends when `stop()` was called, or with the reason for giving up."""

    def __init__(
        self,
        name: str,
        command: Callable[[], tuple[str, ...]],
        policy: Policy,
        on_line: Callable[[str, Line], None],
    ) -> None:
        self.name = name
        self.address: str | None = None  # of its server, once it answered
        self._command = command  # asked anew at each start: the collector's port is fixed after its first
        self._policy = policy
        self._on_line = on_line
        self._child: Child | None = None
        self._ready = asyncio.Event()
        self._is_ready = False  # this life
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> GaveUp | None:
        lives: tuple[Life, ...] = ()
        while not self._stopping.is_set():
            life = await self._live()
            if self._stopping.is_set():
                break
            lives = (*lives, life)[-_REMEMBERED_LIVES:]
            verdict = after_death(lives, self._policy)
            if verdict.wait_s is None:
                return GaveUp(self.name, verdict.why, life.exit_code, tuple(self._last_lines()))
            await self._pause(life.exit_code, verdict.wait_s)
        return None

    async def ready(self) -> str:
        """The address of its server, as soon as the child has answered for the first time."""
        await self._ready.wait()
        return self.address or ""

    @property
    def is_running(self) -> bool:
        return not self._ended.is_set()

    def reload(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGHUP)

    async def stop(self, deadline_s: float) -> bool:
        """SIGTERM, and SIGKILL after the deadline. True: it ended by itself."""
        self._stopping.set()
        if self._child is None or self._ended.is_set():
            return True
        self._child.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(deadline_s):  # wait_for (3.11) may swallow a cancellation
                await self._ended.wait()
        except TimeoutError:
            self._child.signal(signal.SIGKILL)
            await self._ended.wait()
            return False
        return True

    async def _live(self) -> Life:
        started_s = time.monotonic()
        self._is_ready = False
        self._ended.clear()
        try:
            self._child = await Child.start(self.name, self._command(), os.environ, self._take)
            exit_code = await self._child.wait()
        except asyncio.CancelledError:  # the supervisor itself failed: nothing may be left behind
            if self._child is not None:
                self._child.signal(signal.SIGKILL)
            raise
        finally:
            self._ended.set()
        return Life(time.monotonic() - started_s, self._is_ready, exit_code)

    def _take(self, name: str, line: Line) -> None:
        if line.event == Announced.READY:
            if self.address is not None:
                self._on_line(name, Line("is back", logger=__name__))
            self.address = str(line.fields["address"])
            self._is_ready = True
            self._ready.set()
        self._on_line(name, line)

    async def _pause(self, exit_code: int, wait_s: float) -> None:
        how = how_it_ended(exit_code)
        self._on_line(self.name, Line(f"{how}; starting it again in {wait_s:.1f} s", level="warning", logger=__name__))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _last_lines(self) -> Iterable[str]:
        return self._child.last_lines if self._child else ()


def how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
