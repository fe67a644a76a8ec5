"""What the pipeline's thread does: entries of the journal become records that can be found.

Everything here runs in that one thread, in the order of the journal. What has to be committed with the next sealing
(positions, gaps, dead letters) gathers in `uncommitted` and is taken between two entries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec
from prometheus_client import CollectorRegistry, Counter

from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind, first_seq_of
from collector.intake.record import BatchRecord, decode_record
from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.state import CloseDecision
from collector.records import RecordConsumer, RecordFrame
from collector.store.embedded.manifest import DeadLetter, GapRow
from collector.store.embedded.store import EmbeddedStore, Sealing
from deckwatch.runtime.faults import Reject
from deckwatch.wire.codec import decode_batch, unpack_frames
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import Batch, Event, Format, Gap, Position, Samples, StreamId

log = logging.getLogger(__name__)

CACHE_BYTES = 8 << 20  # of batches that wait decoded; what is beyond is read from the journal again
GROUP_BYTES = 4 << 20  # applied at a time, before the event loop hears of it and makes room where there is too much


class Told(msgspec.Struct, frozen=True):
    """What the event loop's thread is told of, once the worker has done its part."""

    seq: int
    host: str
    what: Samples | Event | tuple[StreamId, Gap] | RecordFrame


class Cached(msgspec.Struct, frozen=True):
    """A durable entry and what intake has made of it already."""

    entry: Entry
    batch: Batch | None  # decoded already

    @property
    def size_bytes(self) -> int:
        """In memory: all of it, however little of a batch was new."""
        chunks = self.batch.chunks if self.batch is not None else ()
        return len(self.entry.payload) + sum(len(chunk.data) for chunk in chunks)


class Uncommitted(msgspec.Struct):
    """What entries since the last sealing changed besides records."""

    positions: dict[str, Position] = {}
    unlisted: set[str] = set()
    gaps: list[GapRow] = []
    dead_letters: list[DeadLetter] = []
    letter_bytes: int = 0


class Waiting:
    """Durable entries that wait to be applied, the nearest of them decoded. The event loop puts, the worker takes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._cache: dict[int, Cached] = {}
        self._put_bytes = 0  # so far (event loop)
        self._taken_bytes = 0  # so far (worker)
        self._reader: Iterator[Entry] = iter(())

    def __len__(self) -> int:
        return len(self._cache)

    def put(self, cached: Cached) -> None:
        if self._put_bytes - self._taken_bytes < CACHE_BYTES:
            self._cache[cached.entry.seq] = cached
            self._put_bytes += cached.size_bytes

    def take(self, seq: int) -> Cached:
        """The durable entry: from memory, else from the journal's files."""
        cached = self._cache.pop(seq, None)
        if cached is not None:
            self._taken_bytes += cached.size_bytes
            return cached
        entry = next((entry for entry in self._reader if entry.seq >= seq), None)
        if entry is None or first_seq_of(entry) > seq:
            self._reader = self._journal.read(seq - 1)
            entry = next(self._reader)
            if first_seq_of(entry) > seq:
                raise RuntimeError(f"the journal gives entry {entry.seq} where {seq} is to be applied")
        return Cached(entry, None)


class Applier:
    def __init__(
        self, waiting: Waiting, parser: Parser, store: EmbeddedStore, registry: CollectorRegistry, *, replay_until: int
    ) -> None:
        """`replay_until`: entries up to it were acknowledged before this start and are not counted as pending."""
        self.seq = store.committed_seq  # the last that was applied; the event loop may know of an older one
        self.applied_bytes = 0
        self.open_bytes = parser.open_bytes
        self.record_count = 0
        self.records: list[RecordConsumer] = []
        self.uncommitted = Uncommitted()
        self.metrics = _Metrics(registry)
        self._waiting = waiting
        self._parser = parser
        self._store = store
        self._replay_until = replay_until

    def apply(self, upto: int) -> tuple[int, list[Told]]:
        """Apply some entries behind the applied ones, up to `upto`; (seq of the last one, what is not a record)."""
        told: list[Told] = []
        last, size = self.seq, 0
        while size < GROUP_BYTES and last < upto:
            cached = self._waiting.take(last + 1)
            size += self._apply_one(cached, told)
            self.seq = last = cached.entry.seq
            self._store.advance(last)
        self.open_bytes = self._parser.open_bytes
        self._store.tell()
        return last, told

    def _apply_one(self, cached: Cached, told: list[Told]) -> int:
        """Its size in bytes, unpacked."""
        entry = cached.entry
        match entry.kind:
            case Kind.BATCH:
                return len(entry.payload) + self._apply_batch(cached, told)
            case Kind.DECISION:
                self._apply_decision(entry, told)
            case Kind.HOLE:
                pass  # what had these numbers is gone, and asked for again
        return len(entry.payload)

    def _apply_decision(self, entry: Entry, told: list[Told]) -> None:
        decision = msgspec.msgpack.decode(entry.payload, type=CloseDecision)
        self._deliver(self._parser.close(entry.seq, entry.received_ns, decision), told)

    def _apply_batch(self, cached: Cached, told: list[Told]) -> int:
        """Bytes that were new."""
        entry = cached.entry
        record = decode_record(entry.payload)
        batch = cached.batch or decode_batch(record.body, limit_bytes=1 << 31)
        keys = [stream_key(stream.id) for stream in batch.streams]
        self.uncommitted.positions.update(record.moves)
        self.uncommitted.unlisted.difference_update(record.moves)
        self.uncommitted.unlisted.update(keys[end.stream] for end in batch.ends if not end.listed)
        self._parse(entry, batch, record, told)
        for place in record.gaps:
            gap = batch.gaps[place]
            told.append(Told(entry.seq, batch.host, (batch.streams[gap.stream].id, gap)))
            self.uncommitted.gaps.append(_gap_row(entry, batch, gap, keys[gap.stream]))
        for chunk, skip in zip(batch.chunks, record.skips, strict=True):
            if batch.streams[chunk.stream].format is Format.FRAMES and 0 <= skip < len(chunk.data):
                self._unpack(entry, batch, chunk.stream, chunk.start + skip, chunk.data[skip:], told)
        if entry.seq > self._replay_until:
            self.applied_bytes += record.accepted_bytes
        return record.accepted_bytes

    def _parse(self, entry: Entry, batch: Batch, record: BatchRecord, told: list[Told]) -> None:
        try:
            frame = self._parser.parse(Accepted(entry.seq, entry.received_ns, batch, record.skips))
        except Exception as fault:
            # A fault of ours over somebody's bytes must not stop everybody's: the bytes are kept, and said to be.
            log.exception(
                "entry %d of host %s can't be parsed; its bytes are kept as dead letters", entry.seq, batch.host
            )
            for chunk, skip in zip(batch.chunks, record.skips, strict=True):
                if 0 <= skip < len(chunk.data) and batch.streams[chunk.stream].format is not Format.FRAMES:
                    self._bury(entry, batch, chunk.stream, chunk.start + skip, repr(fault), chunk.data[skip:])
            return
        self._deliver(frame, told)

    def _bury(self, entry: Entry, batch: Batch, stream: int, start: int, reason: str, payload: bytes) -> None:
        letters, info = self.uncommitted.dead_letters, batch.streams[stream]
        part = letters[-1].part + 1 if letters and letters[-1].seq == entry.seq else 0
        letters.append(
            DeadLetter(
                seq=entry.seq,
                part=part,
                received_ns=entry.received_ns,
                tenant=info.tenant,
                host=batch.host,
                source=info.id.source,
                key=stream_key(info.id),
                start=start,
                format=info.format,
                context=msgspec.msgpack.encode(batch.contexts[info.context]),
                reason=reason,
                attempts=0,
                tried_ns=0,
                payload=payload,
            )
        )
        self.uncommitted.letter_bytes += len(payload)
        self.metrics.dead_letters.inc()

    def _unpack(self, entry: Entry, batch: Batch, stream: int, start: int, data: bytes, told: list[Told]) -> None:
        try:
            for frame in unpack_frames(data):
                told.append(Told(entry.seq, batch.host, frame))
        except Reject as fault:
            log.error("samples of host %s can't be read and are kept as a dead letter: %s", batch.host, fault)
            self._bury(entry, batch, stream, start, str(fault), data)

    def _deliver(self, frame: RecordFrame, told: list[Told]) -> None:
        if frame.rows.is_empty():
            return
        self._store.append(frame)
        told.append(Told(frame.seq, "", frame))
        self.record_count += frame.rows.height
        self.metrics.records.inc(frame.rows.height)
        for consumer in self.records:
            if frame.seq > consumer.position():
                consumer.consume(frame)

    def begin_seal(self) -> Sealing:
        """Raises Retry where a consumer can't commit: then nothing has been taken."""
        seq = self.seq  # the event loop may not have heard yet of what was just applied
        for consumer in self.records:
            consumer.commit(seq)
        changed, self.uncommitted = self.uncommitted, Uncommitted()
        return self._store.begin_seal(
            seq, self._parser.state(), changed.positions, changed.unlisted, changed.gaps, changed.dead_letters
        )


def _gap_row(entry: Entry, batch: Batch, gap: Gap, key: str) -> GapRow:
    stream = batch.streams[gap.stream]
    return GapRow(
        seq=entry.seq,
        received_ns=entry.received_ns,
        tenant=stream.tenant,
        host=batch.host,
        key=key,
        source=stream.id.source,
        start=gap.start,
        end=gap.end,
        reason=gap.reason.value,
        ts_ns=gap.ts_ns,
        detail=gap.detail,
    )


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("deckwatch_collector_records", "Records made searchable", registry=registry)
        self.dead_letters = Counter(
            "deckwatch_collector_dead_letters", "What could not be taken for what it claimed to be", registry=registry
        )
