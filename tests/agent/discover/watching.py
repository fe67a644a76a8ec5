"""A Discovery at work, and what its listeners are told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

from prometheus_client import CollectorRegistry

from agent.discover.app import Discovery
from agent.discover.settings import DiscoverSettings
from agent.model import FoundContainer, LogSource
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Event


class Watcher:
    """Keeps every source that was ever listed at a call of the listener, as a tailer would."""

    def __init__(self, settings: DiscoverSettings, globs: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self.discovery = Discovery(settings, globs, SystemClock(), self.registry)
        self.calls = 0
        self.ever: dict[str, LogSource] = {}
        self.events: list[Event] = []
        self.discovery.on_change(self._changed)
        self.discovery.on_event(self._heard)

    def _heard(self, event: Event) -> None:
        self.events.append(event)

    def _changed(self) -> None:
        self.calls += 1
        self.ever.update(self.discovery.sources)

    def container(self, ident: str) -> FoundContainer | None:
        return self.discovery.containers.get(ident)

    def source(self, ident: str) -> LogSource | None:
        return self.discovery.sources.get(f"{ident}/json.log")

    def actions(self, ident: str) -> list[str]:
        return [event.action for event in self.events if event.container and event.container.id == ident]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"deckwatch_discover_{name}", labels) or 0.0

    async def until_container(self, ident: str, true: Callable[[FoundContainer], bool], what: str) -> None:
        def holds() -> bool:
            found = self.container(ident)
            return found is not None and true(found)

        await self.until(holds, what)

    async def until_actions(self, ident: str, *last: str) -> None:
        """The container's last events are these."""
        await self.until(lambda: self.actions(ident)[-len(last) :] == list(last), f"{last}")

    async def until_gone(self, ident: str) -> None:
        await self.until(lambda: self.container(ident) is None, "removed")

    async def until_listed(self, ident: str) -> None:
        """Its log was listed, now or before."""
        await self.until(lambda: f"{ident}/json.log" in self.ever, "log listed")

    async def until(self, true: Callable[[], bool], what: str, *, timeout_s: float = 15) -> float:
        """Seconds until `true`."""
        started_s = time.monotonic()
        while not true():
            assert time.monotonic() - started_s < timeout_s, f"not within {timeout_s} s: {what}"
            await asyncio.sleep(0.01)
        return time.monotonic() - started_s


@contextlib.asynccontextmanager
async def watching(settings: DiscoverSettings, globs: Iterable[str] = ()) -> AsyncIterator[Watcher]:
    watcher = Watcher(settings, globs)
    await watcher.discovery.first_look()
    task = asyncio.create_task(watcher.discovery.run())
    try:
        yield watcher
    finally:
        assert not task.done(), "discovery ended by itself"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
