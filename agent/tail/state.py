"""What is remembered of a stream: by the checkpoint over a restart, by the ledger after its file was let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from agent.tail.logfile import FileId
from agent.tail.mark import START, Mark
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import DEFAULT_TENANT, Container, Format, GapReason, StreamId


class PlannedGap(msgspec.Struct, frozen=True):
    """A gap that is to be declared when reading gets to its start; kept until the collector has it."""

    start: int
    end: int  # -1: nobody can know it
    behind: Mark  # what reading goes on from
    reason: GapReason
    ts_ns: int
    detail: str = ""
    last: bool = False  # nothing of this stream comes after it


class StreamState(msgspec.Struct, frozen=True):
    source: str
    generation: str
    format: Format
    path: str
    file: FileId
    acked: Mark = START
    tenant: str = DEFAULT_TENANT
    container: Container | None = None
    gaps: tuple[PlannedGap, ...] = ()
    complete: bool = False  # read to the end of a source that had ended: if the file goes, nothing is lost
    closed_ns: int = 0  # wall time when it was let go; 0: open
    listed: bool = True  # its file is still there under some name
    compared_mtime_ns: int = 0  # of a compressed copy that was inflated and compared: not again while this holds
    damaged: bool = False  # a part of it was declared unreadable: if it turns up later, repaired, it is not sent again
    unseen: str = ""  # why a gap is to be declared behind its end: generations followed that nobody could open

    def id(self, agent: str) -> StreamId:
        return StreamId(agent, self.source, self.generation)

    def key(self, agent: str) -> str:
        return stream_key(self.id(agent))


class StreamMemory:
    """Streams of earlier: `waiting` were open when the checkpoint was written and are not found again yet;
    `ledger` are closed. Not shared between threads."""

    def __init__(self, states: Iterable[StreamState] = ()) -> None:
        self._waiting: dict[str, dict[str, StreamState]] = {}
        self._ledger: dict[str, dict[str, StreamState]] = {}
        for state in states:
            self._room(state).setdefault(state.source, {})[state.generation] = state

    def _room(self, state: StreamState) -> dict[str, dict[str, StreamState]]:
        return self._ledger if state.closed_ns else self._waiting

    def waiting(self, source: str) -> list[StreamState]:
        return list(self._waiting.get(source, {}).values())

    def waiting_sources(self) -> list[str]:
        return list(self._waiting)

    def closed(self, source: str) -> list[StreamState]:
        return list(self._ledger.get(source, {}).values())

    def newest(self, source: str) -> StreamState | None:
        """The stream of a log that began last, as far as is known: those that were open are in their order."""
        waiting = self.waiting(source)
        return waiting[-1] if waiting else max(self.closed(source), key=lambda s: s.closed_ns, default=None)

    def of_source(self, source: str) -> list[StreamState]:
        return self.waiting(source) + self.closed(source)

    def ledger(self) -> Iterator[StreamState]:
        for generations in self._ledger.values():
            yield from generations.values()

    def all(self) -> Iterator[StreamState]:
        for generations in self._waiting.values():
            yield from generations.values()
        yield from self.ledger()

    def knows(self, source: str, generation: str) -> bool:
        return generation in self._waiting.get(source, {}) or generation in self._ledger.get(source, {})

    def put(self, state: StreamState) -> None:
        """Add it, or replace what was known of it."""
        self.take(state)
        self._room(state).setdefault(state.source, {})[state.generation] = state

    def take(self, state: StreamState) -> None:
        """Forget it here: a tail has it now."""
        for room in (self._waiting, self._ledger):
            generations = room.get(state.source, {})
            if state.generation in generations:
                del generations[state.generation]
                if not generations:
                    del room[state.source]

    def trim(self, now_ns: int, *, entries: int, age_s: float) -> int:
        """Drop closed streams whose files are gone and that are too old or, the oldest first, too many.
        Those still listed stay: forgetting one would read its file again. Returns how many were dropped."""
        gone = sorted((s for s in self.ledger() if not s.listed), key=lambda s: s.closed_ns)
        too_many = sum(len(g) for g in self._ledger.values()) - entries
        drop = [s for i, s in enumerate(gone) if i < too_many or now_ns - s.closed_ns > age_s * 1e9]
        for state in drop:
            self.take(state)
        return len(drop)
