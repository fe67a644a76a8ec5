"""The samples of one tenant: the generation that grows, the one that is being written, and the blocks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from collector.metrics.promql.faults import too_many_samples
from collector.metrics.promql.source import Selection
from collector.metrics.remote.wire import WriteColumns
from collector.metrics.selector import Matcher
from collector.metrics.tsdb.block_file import Block, BlockInfo, BlockWriter
from collector.metrics.tsdb.columns import Points, merged, nothing, without_empty
from collector.metrics.tsdb.feed import Feed, Row
from collector.metrics.tsdb.memory import Generation, Registry, Taken
from collector.metrics.tsdb.table import Places, SeriesTable
from collector.metrics.tsdb.writes import Verdict, WriteFeed, judged, rounds
from deckwatch.wire.model import Labels, Samples

SLICE_SAMPLES = 4_000_000
"""Samples that stand in memory decoded while a block is written (64 MB)."""
_KEPT_MATCHES = 16_384
_KEPT_SERIES = 500_000
"""Of matches that are remembered: rules ask the same thousands of selectors again and again."""


class _Part(msgspec.Struct, frozen=True):
    """Some series of one table, named."""

    places: Places
    labels: list[Labels]
    seen: int  # that many series of the table were looked at


class Tenant:
    """One thread takes samples; any thread may select. Blocks come and go under the lock."""

    def __init__(self, folder: Path, blocks: Iterable[Block] = ()) -> None:
        self.folder = folder
        self.blocks: tuple[Block, ...] = tuple(sorted(blocks, key=lambda block: block.info.first_ms))
        self._lock = threading.Lock()
        self._now = Generation(Registry())
        self._flushing: Generation | None = None
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._write_feed = WriteFeed()
        self._matches: OrderedDict[tuple[object, ...], _Part] = OrderedDict()
        self._matched_series = 0

    # In ---------------------------------------------------------------------------------------------------------

    def take(self, host: str, samples: Samples) -> Taken:
        """Raises Reject on a frame that can't be read; nothing of it is taken then."""
        with self._lock:
            feed = self._feeds.setdefault((host, samples.source), Feed(host))
            return self._append(samples.ts_ns // 1_000_000, feed.rows(self._now.registry, samples))

    def _append(self, time_ms: int, rows: Iterable[Row]) -> Taken:
        added = repeated = late = 0
        for row in rows:
            taken = self._now.append(row.places, time_ms, row.values)
            added, repeated, late = added + taken.added, repeated + taken.repeated, late + taken.late
        return Taken(added, repeated, late)

    def take_write(self, written: WriteColumns, oldest_ms: int, newest_ms: int) -> tuple[Taken, Verdict]:
        """Samples of any series, each of its own time. Those that can't be taken are told; the others are."""
        with self._lock:
            given = self._write_feed.samples(self._now.registry, written)
            inside = (given.times_ms >= oldest_ms) & (given.times_ms <= newest_ms) & (given.places >= 0)
            number = np.nonzero(inside)[0]
            late: list[Places] = []
            added = repeated = 0
            for chosen in rounds(given.places[number]):
                rows = number[chosen]
                places, times_ms = given.places[rows], given.times_ms[rows]
                late.append(rows[times_ms < self._now.last_ms(places)])
                taken = self._now.append(places, times_ms, given.values[rows])
                added, repeated = added + taken.added, repeated + taken.repeated
            lost, again = self._told_apart(given.places, given.times_ms, np.concatenate([np.empty(0, np.int64), *late]))
            verdict = judged(written, given, lost, oldest_ms, newest_ms)
            return Taken(added, repeated + again, len(lost)), verdict

    def _told_apart(self, places: Places, times_ms: Places, late: Places) -> tuple[Places, int]:
        """(late samples that are nowhere, how many came again: a sender that got no answer repeats itself)."""
        if not len(late):
            return late, 0
        asked = np.unique(places[late])
        points = self._now.read(asked, int(times_ms[late].min()), int(times_ms[late].max()))
        known = set(zip(np.repeat(asked, points.counts).tolist(), points.times_ms.tolist(), strict=True))
        pairs = zip(places[late].tolist(), times_ms[late].tolist(), strict=True)
        lost = late[np.fromiter((pair not in known for pair in pairs), np.bool_, len(late))]
        return lost, len(late) - len(lost)

    @property
    def samples(self) -> int:
        """In the generation that grows."""
        return self._now.samples

    @property
    def first_ms(self) -> int | None:
        """Time of the oldest sample in the generation that grows."""
        return self._now.first_ms

    @property
    def series(self) -> int:
        return len(self._now.registry)

    def table(self) -> SeriesTable:
        """Of the series in memory."""
        return self._now.registry.table

    # Out --------------------------------------------------------------------------------------------------------

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int = 1 << 62) -> Selection:
        """A SeriesSource: samples in [start_ms, end_ms] of the series that all matchers take, sorted by their labels.
        Raises Damaged, and QueryError where there are too many."""
        asked, limit = tuple(matchers), max_samples
        with self._lock:
            blocks, memories = self.blocks, self._memories()
            read = [self._read_memory(memory, asked, start_ms, end_ms) for memory in memories]
        parts = []
        for block in _within(blocks, start_ms, end_ms):
            parts.append(self._read_block(block, asked, start_ms, end_ms, max_samples))
            max_samples -= len(parts[-1][1].times_ms)
        if sum(len(points.times_ms) for _, points in read) > max_samples:
            raise too_many_samples(limit)
        return _united([*parts, *read])

    def series_labels(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> list[Labels]:
        """Of series that may have samples in that time, sorted."""
        return sorted({labels for part in self._parts(matchers, start_ms, end_ms) for labels in part.labels})

    def label_names(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> list[str]:
        return sorted(
            {name for table, places in self._tables(matchers, start_ms, end_ms) for name in table.names(places)}
        )

    def label_values(self, name: str, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> list[str]:
        tables = self._tables(matchers, start_ms, end_ms)
        return sorted({value for table, places in tables for value in table.values(name, places)})

    def _memories(self) -> list[Generation]:
        return [memory for memory in (self._flushing, self._now) if memory is not None]

    def _tables(
        self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int
    ) -> list[tuple[SeriesTable, Places | None]]:
        with self._lock:
            blocks, memories = self.blocks, self._memories()
        tables = [block.table for block in _within(blocks, start_ms, end_ms)]
        tables += [memory.registry.table for memory in memories]
        return [(table, table.match(matchers) if matchers else np.arange(len(table))) for table in tables]

    def _parts(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> list[_Part]:
        with self._lock:
            blocks, memories = self.blocks, self._memories()
        tables = [block.table for block in _within(blocks, start_ms, end_ms)]
        return [self._matched(table, matchers) for table in (*tables, *(memory.registry.table for memory in memories))]

    def _read_block(
        self, block: Block, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, most: int
    ) -> tuple[list[Labels], Points]:
        part = self._matched(block.table, matchers)
        return part.labels, block.read(part.places, start_ms, end_ms, most)

    def _read_memory(
        self, memory: Generation, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int
    ) -> tuple[list[Labels], Points]:
        part = self._matched(memory.registry.table, matchers)
        return part.labels, memory.read(part.places, start_ms, end_ms) if len(part.places) else nothing()

    def _matched(self, table: SeriesTable, matchers: tuple[Matcher, ...]) -> _Part:
        """Remembered: panels of dashboards, and rules, ask the same again and again. Of a table that has grown only
        what is new is looked at."""
        key, count = (table.serial, matchers), len(table)
        part = self._matches.get(key)
        if part is None or part.seen < count:
            before = part or _Part(np.empty(0, np.int64), [], 0)
            fresh = table.match(matchers, before.seen, count)
            part = _Part(np.concatenate((before.places, fresh)), [*before.labels, *table.labels(fresh)], count)
            self._matches[key] = part
            self._matched_series += len(fresh)
            self._forget_matches()
        return part

    def _forget_matches(self) -> None:
        while len(self._matches) > _KEPT_MATCHES or (self._matched_series > _KEPT_SERIES and len(self._matches) > 1):
            self._matched_series -= len(self._matches.popitem(last=False)[1].places)

    # To disk ----------------------------------------------------------------------------------------------------

    def begin_flush(self, alive_since_ms: int) -> bool:
        """What is in memory is about to be written; a new generation begins. Series without a sample since then are
        forgotten where they are most of all. False: there is nothing to write, or the one before isn't written yet."""
        with self._lock:
            if self._flushing is not None or not self._now.samples:
                return False
            self._flushing = self._now
            self._feeds = {
                key: feed for key, feed in self._feeds.items() if not feed.is_over(alive_since_ms * 1_000_000)
            }
            self._now = self._next_generation(self._flushing, alive_since_ms)
            return True

    def write_flushed(self, name: str) -> Block:
        """The block of the generation that is being flushed. In any thread; raises OSError."""
        memory = self._flushing
        assert memory is not None, "begin_flush() comes first"  # noqa: S101
        table = memory.registry.table
        with BlockWriter(self.folder / name) as writer:
            written: list[Places] = []
            for places in _slices(table.order(), max(1, memory.samples // max(1, len(table)))):
                kept, points = without_empty(memory.read(places, -(1 << 62), 1 << 62))
                if len(kept):
                    writer.add(points)
                    written.append(places[kept])
            writer.finish(table.stored(np.concatenate(written)))
        return Block.open(self.folder / name)

    def end_flush(self, block: Block) -> None:
        """The block takes the place of the flushed generation."""
        with self._lock:
            self.blocks = tuple(sorted((*self.blocks, block), key=lambda each: each.info.first_ms))
            self._flushing = None

    def replace(self, old: Sequence[Block], new: Sequence[Block]) -> None:
        """Compaction and retention. Whoever reads an old block may go on."""
        gone = {block.info.name for block in old}
        with self._lock:
            kept = [block for block in self.blocks if block.info.name not in gone]
            self.blocks = tuple(sorted((*kept, *new), key=lambda each: each.info.first_ms))
            self._matches.clear()
            self._matched_series = 0

    def _next_generation(self, before: Generation, alive_since_ms: int) -> Generation:
        newest = before.newest_ms()
        alive = np.nonzero(newest >= alive_since_ms)[0]
        if 2 * len(alive) >= len(newest):
            return Generation(before.registry, newest)
        registry = Registry()
        number = np.full(len(newest), -1, np.int64)
        for place, labels in zip(alive.tolist(), before.registry.table.labels(alive), strict=True):
            number[place] = registry.place(labels)
        for feed in self._feeds.values():
            feed.renumber(number)
        self._write_feed.forget()
        return Generation(registry, newest[alive])


def merge_blocks(blocks: Sequence[Block], path: Path) -> BlockInfo:
    """One block with what all have; of a sample that stands in two, the older block's. Raises OSError, Damaged."""
    registry = Registry()
    numbers = []
    for block in blocks:
        labels = block.table.labels(range(len(block.table)))
        numbers.append(np.fromiter((registry.place(each) for each in labels), np.int64, len(labels)))
    owner = [np.full(len(registry), -1, np.int64) for _ in blocks]
    for inside, number in zip(owner, numbers, strict=True):
        inside[number] = np.arange(len(number))
    mean = sum(block.info.samples for block in blocks) // max(1, len(registry))
    order = registry.table.order()
    with BlockWriter(path) as writer:
        for places in _slices(order, max(1, mean)):
            parts = []
            for block, inside in zip(blocks, owner, strict=True):
                has = np.nonzero(inside[places] >= 0)[0]
                parts.append((has, block.read(inside[places[has]], -(1 << 62), 1 << 62)))
            writer.add(merged(parts, len(places)))
        return writer.finish(registry.table.stored(order))


def _slices(places: Places, samples_each: int) -> Iterable[Places]:
    step = max(1, SLICE_SAMPLES // samples_each)
    return (places[at : at + step] for at in range(0, len(places), step))


def _within(blocks: Iterable[Block], start_ms: int, end_ms: int) -> list[Block]:
    return [block for block in blocks if block.info.first_ms <= end_ms and block.info.last_ms >= start_ms]


def _united(parts: list[tuple[list[Labels], Points]]) -> Selection:
    """Series of all parts under their labels; parts stand in the order of time."""
    labels = sorted({each for names, _ in parts for each in names})
    place_of = {each: place for place, each in enumerate(labels)}
    placed = [
        (np.fromiter((place_of[each] for each in names), np.int64, len(names)), points) for names, points in parts
    ]
    kept, points = without_empty(merged(placed, len(labels)))
    return Selection(tuple(labels[place] for place in kept.tolist()), points.offsets, points.times_ms, points.values)
