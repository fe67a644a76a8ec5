"""The writing side of the embedded store: append, seal, compact, retain. Reading is in search.py, over snapshots.

Two threads write: the pipeline's appends and begins a sealing; the maintenance thread finishes it, compacts and
retains. Each publishes by putting a new Snapshot in place of the old one, under one lock that is never held over I/O.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from collector.records import Origin, RecordFrame
from collector.store.embedded.choice import oldest_beyond, small_neighbours
from collector.store.embedded.hot import HotBlock, merged
from collector.store.embedded.integrity import Integrity
from collector.store.embedded.kept import RETENTION
from collector.store.embedded.letter_changes import NO_CHANGES, LetterChanges
from collector.store.embedded.letters import Letters
from collector.store.embedded.manifest import DeadLetter, GapRow, Manifest, NewSegment, Sealed, SegmentRow
from collector.store.embedded.retention import BelievedTime
from collector.store.embedded.segment import Segment, SegmentBlock
from collector.store.embedded.segments import SegmentFolder
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.snapshot import Snapshot, TenantBlocks
from collector.store.protocol import STORED_ROWS
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Position

log = logging.getLogger(__name__)

_ROW_BYTES = 64
"""What a row takes in memory beside its text."""
MOST_SMALL = 32
"""So many segments may wait for a calm moment to be put together."""


class Sealing(msgspec.Struct, frozen=True):
    """What was hot when a sealing began, and everything that has to be committed with it."""

    seq: int
    parser_state: bytes
    blocks: Mapping[str, tuple[HotBlock, ...]]
    positions: Mapping[str, Position]
    unlisted: frozenset[str]
    gaps: tuple[GapRow, ...]
    dead_letters: tuple[DeadLetter, ...]
    accounts: Mapping[str, bytes]  # of the streams that changed
    letters: LetterChanges


class EmbeddedStore:
    def __init__(self, folder: Path, settings: EmbeddedStoreSettings, clock: Clock) -> None:
        """Raises Unusable where the folder is of a newer version or the system won't open its files. A damaged segment
        is set aside with an error line; the others serve."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "manifest.sqlite").exists() and any((folder / "segments").rglob("*.parquet")):
            raise Unusable(
                f"{folder / 'manifest.sqlite'}: is missing, and there are segments: restore it from a backup together"
                " with them, or move the segments out of the way to start afresh"
            )
        self.settings = settings
        self.manifest = Manifest(folder / "manifest.sqlite")
        self.letters = Letters(self.manifest)
        self._clock = clock
        self._folder = SegmentFolder(folder / "segments", zstd_level=settings.zstd_level)
        self.integrity = Integrity(self._folder, self.manifest, clock)
        self._lock = threading.Lock()
        self._rows = {row.id: row for row in self.manifest.segments()}
        self._next_id = max(self._rows, default=0) + 1
        self._time = BelievedTime(max((row.max_ingested for row in self._rows.values()), default=None))
        self._origins: Mapping[int, Origin] = self.manifest.origins()
        self._origin_ids = {origin: id_ for id_, origin in self._origins.items()}
        self._known_origins = set(self._origins)
        self._next_origin = max(self._origins, default=0) + 1
        self.committed_seq, self.parser_state = self.manifest.consumer("store")
        self._folder.sweep(self._rows.values())
        self._segments: dict[int, Segment] = {}
        for row in list(self._rows.values()):
            if not row.damaged:
                self._rows[row.id], opened = self.integrity.open(row, self._origins)
                if opened is not None:
                    self._segments[row.id] = opened
        self._hot: dict[str, tuple[HotBlock, ...]] = {}
        self._sealing: dict[str, tuple[HotBlock, ...]] = {}
        self._newest_seq = self.committed_seq
        self._listeners: list[Callable[[], None]] = []
        self._publish()

    # Reading ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def on_append(self, listener: Callable[[], None]) -> None:
        """Called in the appending thread whenever newer records can be found."""
        self._listeners.append(listener)

    @property
    def hot_text_bytes(self) -> int:
        """Text that waits in memory, the part that is just being sealed included."""
        return sum(block.stats.text_bytes for block in self._in_memory())

    @property
    def hot_bytes(self) -> int:
        """What a sealing is measured by: about what the records take in memory."""
        return sum(block.stats.text_bytes + block.stats.rows * _ROW_BYTES for block in self._in_memory())

    def _in_memory(self) -> list[HotBlock]:
        return [block for tenant in self._snapshot.tenants.values() for block in (*tenant.hot, *tenant.sealing)]

    @property
    def folder(self) -> SegmentFolder:
        """Where the segments' files are."""
        return self._folder

    @property
    def segment_rows(self) -> list[SegmentRow]:
        return list(self._rows.values())

    def _publish(self) -> None:
        """The lock is held (or nobody else knows us yet)."""
        sealed: dict[str, list[SegmentBlock]] = {}
        for id_, one in self._segments.items():
            sealed.setdefault(self._rows[id_].tenant, []).extend(one.blocks)
        tenants = {
            tenant: TenantBlocks(
                tuple(sealed.get(tenant, ())), self._sealing.get(tenant, ()), self._hot.get(tenant, ())
            )
            for tenant in {*sealed, *self._sealing, *self._hot}
        }
        self._snapshot = Snapshot(tenants, self._origins, self._newest_seq)

    def _publish_hot(self, changed: Iterable[str] = ()) -> None:
        """Like _publish where only hot blocks of some tenants changed: all else stays as it is."""
        tenants = dict(self._snapshot.tenants)
        for tenant in changed:
            before = tenants.get(tenant) or TenantBlocks()
            tenants[tenant] = TenantBlocks(before.sealed, before.sealing, self._hot[tenant])
        self._snapshot = Snapshot(tenants, self._origins, self._newest_seq)

    def damaged(self, segment: int, error: Exception) -> bool:
        """A reader failed over a segment. Are its bytes not those that were written? Then it is set aside, loudly, and
        the rest keeps serving. False: they are, or the segment is no longer ours; the fault is another one."""
        row = self._rows.get(segment)
        if row is None or not (row.damaged or self._is_damaged(row)):
            return False
        with self._lock:
            serving = self._segments.pop(segment, None)
            if serving:
                self._publish()
        if serving:
            serving.closed()
            self.replace_row(self.integrity.set_aside(row, error, self._origins))
        return True

    def _is_damaged(self, row: SegmentRow) -> bool:
        try:
            return self.integrity.is_damaged(row)
        except FileNotFoundError:
            return row.id in self._rows  # not where compaction or retention has just removed it

    def replace_row(self, row: SegmentRow) -> None:
        """More is known of a segment, if it is still ours."""
        with self._lock:
            if row.id in self._rows:
                self._rows[row.id] = row

    # Appending -------------------------------------------------------------------------------------------------

    def append(self, frame: RecordFrame) -> None:
        """Make a frame searchable. Frames come in ascending `seq`."""
        with self._lock:
            blocks = self._prepared(frame) if frame.rows.height else []
            for tenant, block in blocks:
                self._hot[tenant] = merged((*self._hot.get(tenant, ()), block))
            self._newest_seq = max(self._newest_seq, frame.seq)
            self._publish_hot(tenant for tenant, _ in blocks)
        self.tell()

    def advance(self, seq: int) -> None:
        """Entries up to `seq` gave no further record."""
        if seq > self._newest_seq:
            with self._lock:
                self._newest_seq = seq
                self._publish_hot()

    def tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _prepared(self, frame: RecordFrame) -> list[tuple[str, HotBlock]]:
        """Blocks by tenant. Small frames come by the thousand: Series are put together here, without a query plan."""
        ids = self._ids_of(frame.origins)
        places = frame.rows["origin"].to_numpy()
        new = {
            "origin": pl.Series("origin", ids[places]),
            "seq": pl.Series("seq", np.full(places.size, frame.seq, np.int64)),
            "ingested": pl.Series("ingested", np.full(places.size, frame.received_ns, np.int64)),
        }
        rows = pl.DataFrame([new[name] if name in new else frame.rows[name] for name in STORED_ROWS])
        tenants = sorted({origin.tenant for origin in frame.origins})
        if len(tenants) == 1:
            return [(tenants[0], HotBlock(rows))]
        number = {tenant: n for n, tenant in enumerate(tenants)}
        numbers = np.array([number[origin.tenant] for origin in frame.origins], np.intp)[places]
        rows = rows[np.argsort(numbers, kind="stable")]
        ends = np.cumsum(np.bincount(numbers, minlength=len(tenants))).tolist()
        return [
            (tenant, HotBlock(rows.slice(start, end - start)))
            for tenant, start, end in zip(tenants, [0, *ends], ends, strict=False)
            if end > start
        ]

    def _ids_of(self, origins: Sequence[Origin]) -> npt.NDArray[np.uint32]:
        ids: list[int] = []
        fresh: dict[int, Origin] = {}
        for origin in origins:
            id_ = self._origin_ids.get(origin)
            if id_ is None:
                id_ = self._origin_ids[origin] = self._next_origin
                self._next_origin += 1
                fresh[id_] = origin
            ids.append(id_)
        if fresh:  # snapshots share the mapping: it is copied, once for a frame
            self._origins = {**self._origins, **fresh}
        return np.array(ids, np.uint32)

    # Sealing ---------------------------------------------------------------------------------------------------

    def begin_seal(
        self,
        seq: int,
        parser_state: bytes,
        positions: Mapping[str, Position],
        unlisted: Iterable[str],
        gaps: Iterable[GapRow],
        dead_letters: Iterable[DeadLetter],
        accounts: Mapping[str, bytes] = MappingProxyType({}),
        letters: LetterChanges = NO_CHANGES,
    ) -> Sealing:
        """Take what is hot; it stays searchable. One sealing at a time; `seq` is the last entry that was appended."""
        with self._lock:
            self._sealing, self._hot = self._hot, {}
            self._publish()
            blocks = dict(self._sealing)
        return Sealing(
            seq=seq,
            parser_state=parser_state,
            blocks=blocks,
            positions=dict(positions),
            unlisted=frozenset(unlisted),
            gaps=tuple(gaps),
            dead_letters=tuple(dead_letters),
            accounts=accounts,
            letters=letters,
        )

    def finish_seal(self, sealing: Sealing) -> None:
        """Write and commit. Raises OSError where the disk is full: nothing has changed then, call it again later."""
        origins = self._origins
        made: list[NewSegment] = []
        try:
            for tenant, blocks in sealing.blocks.items():
                if blocks:
                    made += self._folder.write(tenant, blocks, origins, self._next_id + len(made))
            self._folder.settle(made)
            opened = self._opened(made)
            fresh = {id_: origin for id_, origin in origins.items() if id_ not in self._known_origins}
            self.manifest.seal(
                Sealed(
                    seq=sealing.seq,
                    parser_state=sealing.parser_state,
                    segments=tuple(made),
                    origins=fresh,
                    positions=sealing.positions,
                    unlisted=sealing.unlisted,
                    gaps=sealing.gaps,
                    dead_letters=sealing.dead_letters,
                    now_ns=self._clock.now_ns(),
                    accounts=sealing.accounts,
                    letters=sealing.letters,
                )
            )
        except BaseException:
            for one in made:
                self._folder.remove(one.row)
            raise
        self._known_origins.update(fresh)
        self._swap([], opened, sealed=True)
        self.committed_seq, self.parser_state = sealing.seq, sealing.parser_state

    def _opened(self, made: list[NewSegment]) -> list[tuple[SegmentRow, Segment]]:
        """To be asked before they are committed: a new segment that can't be opened is a failed writing, no damage."""
        return [(one.row, self._folder.open(one.row)) for one in made]

    def _swap(self, old: list[SegmentRow], new: list[tuple[SegmentRow, Segment]], *, sealed: bool = False) -> None:
        """Publish what the manifest has just committed."""
        with self._lock:
            closed = [segment for row in old if (segment := self._segments.pop(row.id, None)) is not None]
            for row in old:
                self._rows.pop(row.id, None)
            for row, segment in new:
                self._next_id = max(self._next_id, row.id + 1)
                self._rows[row.id] = row
                self._segments[row.id] = segment
            if sealed:
                self._sealing = {}
            self._publish()
        for gone in closed:
            gone.closed()
        for row in old:
            self._folder.remove(row)

    # Maintenance -----------------------------------------------------------------------------------------------

    def drop_before(self, received_ns: int) -> int:
        """Drop the segments whose newest record was received before then; how many records went."""
        return self._drop([row for row in self._rows.values() if row.max_ingested < received_ns])

    def retain(self) -> int:
        """Apply the limits of age and size; how many records went."""
        gone = 0
        if self.settings.retention_s:
            before_ns = self._believed_ns() - int(self.settings.retention_s * 1e9)
            gone += self.drop_before(before_ns)
            self.manifest.forget_gaps(before_ns)
        if self.settings.retention_bytes:
            gone += self._drop(oldest_beyond(self._rows.values(), self.settings.retention_bytes))
        self._expire_letters()
        return gone

    def _expire_letters(self) -> None:
        age_s, now_ns = self.settings.dead_letter_retention_s, self._believed_ns()
        before_ns = now_ns - int(age_s * 1e9) if age_s else 0
        gone = self.letters.expire(before_ns, self.settings.dead_letter_bytes, now_ns)
        if gone:
            log.error("store: %d dead letters are beyond the limits of age or size, and their bytes are gone", gone)

    def _believed_ns(self) -> int:
        doubted = self._time.doubts
        believed_ns = self._time.now_ns(self._clock.now_ns(), self._clock.monotonic())
        if self._time.doubts and not doubted:
            log.warning("store: the clock is far ahead of the newest records; nothing is dropped by age for an hour")
        return believed_ns

    def _drop(self, rows: list[SegmentRow]) -> int:
        if not rows:
            return 0
        self.manifest.drop([row.id for row in rows], RETENTION, self._clock.now_ns())
        self._swap(rows, [])
        log.info("store: %d segments with %d records were dropped by retention", len(rows), sum(r.rows for r in rows))
        self._forget_unused_origins()
        if self._rows:
            self.manifest.forget_gaps(min(row.min_ingested for row in self.segment_rows))
        return sum(row.rows for row in rows)

    def _forget_unused_origins(self) -> None:
        """Those that no block refers to any more and that the manifest holds. What was set aside may come back."""
        aside = self.integrity.origins_of(row for row in self._rows.values() if row.damaged)
        with self._lock:
            used = {
                origin
                for tenant in self._snapshot.tenants.values()
                for block in tenant.all
                for origin in block.stats.origins
            }
            unused = self._known_origins - used - aside
            self._origins = {id_: origin for id_, origin in self._origins.items() if id_ not in unused}
            for id_ in unused:
                self._known_origins.discard(id_)
            self._origin_ids = {origin: id_ for id_, origin in self._origins.items()}
            self._publish()
        self.manifest.forget_origins(unused)

    def compact_all(self) -> None:
        while self.compact():
            pass

    def compact_overdue(self) -> None:
        """What a long burst leaves behind it: as long as more than `MOST_SMALL` segments wait to be put together."""
        while self._small() > MOST_SMALL and self.compact():
            pass

    def _small(self) -> int:
        return sum(row.text_bytes < self.settings.compaction_bytes for row in self._rows.values())

    def compact(self) -> bool:
        """Put one run of small segments of a tenant and day together; was there any?"""
        group = small_neighbours(self._rows.values(), self.settings.compaction_bytes)
        if len(group) < 2:
            return False
        made = self._written_together(group)
        if made is None:
            return True
        try:
            self._folder.settle(made)
            opened = self._opened(made)
            self.manifest.replace([row.id for row in group], made)
        except BaseException:
            for one in made:
                self._folder.remove(one.row)
            raise
        self._swap(group, opened)
        return True

    def _written_together(self, group: list[SegmentRow]) -> list[NewSegment] | None:
        """One segment of all their records; None where one could not be read (it is set aside then)."""
        segments = [segment for row in group if (segment := self._segments.get(row.id)) is not None]
        if len(segments) < len(group):  # a reader has just found one damaged
            return None
        blocks = [block for segment in segments for block in segment.blocks]
        try:
            return self._folder.write(group[0].tenant, blocks, self._origins, self._next_id)
        except (OSError, ValueError) as error:
            if not [row for row in group if self.damaged(row.id, error)]:
                raise
            return None

    def close(self) -> None:
        self.manifest.close()
