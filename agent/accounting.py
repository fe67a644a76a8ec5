"""The agent's account of each log: what is in its files, what was read of it, what the collector has taken.

For each stream whose file is known, in bytes, whenever it is looked at:

    written = acked + lag + unterminated

*written* is the size of the file (of its text, where it is compressed); *acked* what the collector holds durably, with
the gaps that it has taken note of; *lag* complete lines that are not acked; *unterminated* the beginning of a line that
is still being written. A stream whose file is gone counts with what was acked and what is still to be declared lost.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agent.tail.state import PlannedGap, StreamState
from agent.tail.tail import Tail
from deckwatch.runtime.files import told_path
from deckwatch.wire.model import Container, GapReason

MOST_LOGS = 200
"""Told apart in metrics; those with the fewest bytes beyond it are put together as `other`. Each is five series, which
go into the collector's history as well; /status tells of all."""
OTHER = "other"


_FIGURES = (
    ("written", "Size of the log's files that are still there, compressed ones by their text.", "written_bytes"),
    ("read", "How far they were read.", "read_bytes"),
    ("acked", "How far the collector holds them durably, declared gaps included.", "acked_bytes"),
    ("lag", "Complete lines that are not acked.", "lag_bytes"),
    ("unterminated", "Beginning of a line that is still being written.", "unterminated_bytes"),
)


class GapStatus(msgspec.Struct, frozen=True):
    """A gap that the collector has not taken note of yet. `end` -1: nobody can know it."""

    start: int
    end: int
    reason: GapReason
    ts_ns: int
    detail: str


class StreamStatus(msgspec.Struct, frozen=True):
    """One stream as the agent sees it."""

    key: str  # as the collector calls it; empty: nothing of it was sent yet
    source: str
    generation: str
    path: str
    tenant: str
    container: str  # its name; empty: a file of the host
    place: str  # live | rotated | deleted | gone | closed (read to its end and let go) | waiting (to be found again)
    size_bytes: int | None  # None: there is no file, or it is compressed and not read to its end
    read_bytes: int
    acked_bytes: int
    lag_bytes: int
    gaps: int  # declared and not acked yet
    declaring: tuple[GapStatus, ...] = ()  # those
    lost: GapReason | None = None

    @property
    def written_bytes(self) -> int:
        return self.acked_bytes + self.lag_bytes if self.size_bytes is None else self.size_bytes

    @property
    def unterminated_bytes(self) -> int:
        return max(0, self.written_bytes - self.acked_bytes - self.lag_bytes)


def stream_status(tail: Tail) -> StreamStatus:
    return StreamStatus(
        key=tail.key,
        source=tail.source.name,
        generation=tail.generation,
        path=told_path(tail.path),
        tenant=tail.source.tenant,
        container=_name(tail.source.container),
        place=tail.place.value,
        size_bytes=tail.size,
        read_bytes=tail.read.offset,
        acked_bytes=tail.acked.offset,
        lag_bytes=tail.lag_bytes,
        gaps=len(tail.gaps),
        declaring=_told(tail.gaps),
        lost=tail.lost,
    )


def closed_status(state: StreamState, agent: str) -> StreamStatus:
    """Of a stream that was read to its end and whose file is still there under some name."""
    acked = state.acked.offset
    return StreamStatus(
        key=state.key(agent),
        source=state.source,
        generation=state.generation,
        path=state.path,
        tenant=state.tenant,
        container=_name(state.container),
        place="closed",
        size_bytes=acked,
        read_bytes=acked,
        acked_bytes=acked,
        lag_bytes=0,
        gaps=len(state.gaps),
        declaring=_told(state.gaps),
    )


def waiting_status(state: StreamState, size_bytes: int, agent: str) -> StreamStatus:
    """Of a stream that was open before the start, that nobody has named yet, and whose file our hard link keeps."""
    acked = state.acked.offset
    known = closed_status(state, agent)
    return msgspec.structs.replace(known, place="waiting", size_bytes=size_bytes, lag_bytes=size_bytes - acked)


class Known(msgspec.Struct, frozen=True):
    """All that is known of an agent's streams at one moment."""

    agent: str
    tails: Sequence[Tail]
    closed: Sequence[StreamState]
    waiting: Sequence[tuple[StreamState, int]]  # with the sizes of their files
    hidden: str  # a source that is no log

    def streams(self) -> Iterator[StreamStatus]:
        """Closed ones as long as their files are there."""
        for state in self.closed:
            if state.listed and state.source != self.hidden:
                yield closed_status(state, self.agent)
        for state, size_bytes in self.waiting:
            yield waiting_status(state, size_bytes, self.agent)
        for tail in self.tails:
            if tail.source.name != self.hidden:
                yield stream_status(tail)


def _name(container: Container | None) -> str:
    return "" if container is None else container.name or container.id


def _told(gaps: Iterable[PlannedGap]) -> tuple[GapStatus, ...]:
    return tuple(GapStatus(gap.start, gap.end, gap.reason, gap.ts_ns, gap.detail) for gap in gaps)


class LogAccount(msgspec.Struct, frozen=True):
    """Of one log, over all of its generations that are still there or not yet told to the collector."""

    source: str
    path: str  # of its newest generation
    container: str
    streams: int
    written_bytes: int
    read_bytes: int
    acked_bytes: int
    lag_bytes: int
    unterminated_bytes: int


def accounts(streams: Iterable[StreamStatus]) -> tuple[LogAccount, ...]:
    """By source, in the order of its name."""
    found: dict[str, list[StreamStatus]] = {}
    for one in streams:
        found.setdefault(one.source, []).append(one)
    return tuple(_account(source, found[source]) for source in sorted(found))


def _account(source: str, streams: list[StreamStatus]) -> LogAccount:
    newest = streams[-1]
    return LogAccount(
        source=source,
        path=newest.path,
        container=newest.container,
        streams=len(streams),
        **_sums(streams),
    )


def _sums(parts: Sequence[StreamStatus]) -> dict[str, int]:
    return {field: sum(getattr(one, field) for one in parts) for _, _, field in _FIGURES}


def largest(streams: Callable[[], Iterable[StreamStatus]], most: int = MOST_LOGS) -> tuple[LogAccount, ...]:
    """Accounts of the largest logs, and one for all the others. Thousands of streams are never there at a time: they
    are gone through twice."""
    written: dict[str, int] = {}
    for one in streams():
        written[one.source] = written.get(one.source, 0) + one.written_bytes
    told = set(heapq.nsmallest(most, written, key=lambda source: (-written[source], source)))
    apart = accounts(one for one in streams() if one.source in told)
    rest = len(written) - len(told)
    return (*apart, _together(one for one in streams() if one.source not in told)) if rest else apart


def _together(streams: Iterable[StreamStatus]) -> LogAccount:
    sums = dict.fromkeys((field for _, _, field in _FIGURES), 0)
    count = 0
    for one in streams:
        count += 1
        for field in sums:
            sums[field] += getattr(one, field)
    return LogAccount(OTHER, "", OTHER, count, **sums)


class LogMetrics(Collector):
    """`deckwatch_agent_log_<figure>_bytes` of each log, as they were told last."""

    def __init__(self) -> None:
        self._logs: tuple[LogAccount, ...] = ()

    def tell(self, logs: tuple[LogAccount, ...]) -> None:
        self._logs = logs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, about, field in _FIGURES:
            family = GaugeMetricFamily(f"deckwatch_agent_log_{name}_bytes", about, labels=("container", "source"))
            for one in self._logs:
                family.add_metric((one.container, one.source), getattr(one, field))
            yield family
