"""Every implementation of LogStore, for the suite that all of them must pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from collector.records import RecordFrame
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.protocol import LogStore
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.memory_store import MemoryStore


class Harness(Protocol):
    """A store in use: what a test may do with it."""

    @property
    def reader(self) -> LogStore: ...

    async def append(self, frame: RecordFrame) -> None:
        """Searchable when it returns."""
        ...

    async def seal(self) -> None:
        """Move what is held in memory to where it stays, and compact it. Nothing may be seen of it in results."""
        ...


Opener = Callable[[Path], AbstractAsyncContextManager[Harness]]


class _Memory:
    def __init__(self) -> None:
        self.reader = MemoryStore(page_rows=7)

    async def append(self, frame: RecordFrame) -> None:
        self.reader.consume(frame)

    async def seal(self) -> None:
        """It has no segments."""


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[Harness]:
    yield _Memory()


class _Embedded:
    """Small limits, so that a few hundred records already make several segments and blocks."""

    def __init__(self, folder: Path) -> None:
        self._store = EmbeddedStore(folder, EmbeddedStoreSettings(compaction_bytes=10_000), SystemClock())
        self.reader = EmbeddedSearch(self._store, lambda: 0)
        self._seq = -1

    async def append(self, frame: RecordFrame) -> None:
        self._store.append(frame)
        self._seq = max(self._seq, frame.seq)

    async def seal(self) -> None:
        sealing = self._store.begin_seal(self._seq, b"", {}, (), (), ())
        await asyncio.to_thread(self._store.finish_seal, sealing)
        await asyncio.to_thread(self._store.compact_all)

    def close(self) -> None:
        self.reader.close()
        self._store.close()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Harness]:
    harness = _Embedded(folder)
    try:
        yield harness
    finally:
        harness.close()


STORES: dict[str, Opener] = {"memory": memory, "embedded": embedded}
