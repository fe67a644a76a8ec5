"""Every implementation of LogStore, for the suite that all of them must pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from collector.records import RecordFrame
from collector.store.protocol import LogStore
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


STORES: dict[str, Opener] = {"memory": memory}
