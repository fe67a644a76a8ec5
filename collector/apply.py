"""What the pipeline's thread does: entries of the journal become records that can be found.

Everything here runs in that one thread, in the order of the journal. What has to be committed with the next sealing
(positions, gaps, dead letters) gathers in `uncommitted` and is taken between two entries.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from prometheus_client import CollectorRegistry, Counter

from collector.accounting.counting import Accounts
from collector.accounting.cut import Cut, letter_runs
from collector.accounting.runs import Runs, joined
from collector.deadletters.isolate import isolate
from collector.deadletters.letter import of_bytes, of_entry, of_open
from collector.deadletters.redrive import Redriven, Wish, redrive
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind, first_seq_of
from collector.intake.record import BatchRecord, decode_record
from collector.intake.soundness import mended
from collector.metrics.tsdb.wal import Write
from collector.metrics.tsdb.writes import Verdict
from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.state import CloseDecision, OpenStream
from collector.records import RecordConsumer, RecordFrame, SampleKeeper
from collector.store.embedded.letter_changes import LetterChanges, Tried
from collector.store.embedded.manifest import DeadLetter, GapRow
from collector.store.embedded.store import EmbeddedStore, Sealing
from deckwatch.runtime.faults import Reject
from deckwatch.wire.codec import cut_frames, decode_batch, decode_frame
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import Batch, Event, Format, Frame, Gap, Position, Samples, StreamId

log = logging.getLogger(__name__)

CACHE_BYTES = 8 << 20  # of batches that wait decoded; what is beyond is read from the journal again
GROUP_BYTES = 4 << 20  # applied at a time, before the event loop hears of it and makes room where there is too much


class Told(msgspec.Struct, frozen=True):
    """What the event loop's thread is told of, once the worker has done its part."""

    seq: int
    host: str
    what: Samples | Event | tuple[StreamId, Gap] | RecordFrame | Redriven


class Cached(msgspec.Struct, frozen=True):
    """A durable entry and what intake has made of it already."""

    entry: Entry
    batch: Batch | None  # decoded already
    accepted_bytes: int = 0  # as intake counted them

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
    redriven: list[str] = []  # ids of dead letters that became records
    tried: list[Tried] = []

    @property
    def touches_letters(self) -> bool:
        return bool(self.dead_letters or self.redriven or self.tried)


class _Taken(msgspec.Struct, frozen=True):
    """What the last sealing took besides records: it may not be committed yet."""

    gaps: tuple[GapRow, ...] = ()
    letters: dict[str, Runs] = {}
    redriven: tuple[str, ...] = ()


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
        self.keepers: list[SampleKeeper] = []
        self.uncommitted = Uncommitted()
        self.accounts = Accounts(store.manifest.accounts(), store.manifest.positions())
        self._sealing = _Taken()
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
            case Kind.REDRIVE:
                self._redrive(entry, told)
            case Kind.HOLE:
                pass  # what had these numbers is gone, and asked for again
        return len(entry.payload)

    def _apply_decision(self, entry: Entry, told: list[Told]) -> None:
        decision = msgspec.msgpack.decode(entry.payload, type=CloseDecision)
        try:
            frame = self._parser.close(entry.seq, entry.received_ns, decision)
        except Exception as fault:
            # As with a batch: what can't be parsed is kept, and nobody else's lines wait for it.
            log.exception("what is open at entry %d can't be closed; it is kept as dead letters", entry.seq)
            keys = (*(group.key for group in decision.groups), *decision.cut)
            self._bury_open(entry, self._parser.give_up(keys), repr(fault))
            return
        self._deliver(frame, told)

    def _apply_batch(self, cached: Cached, told: list[Told]) -> int:
        """Bytes that were new."""
        entry = cached.entry
        try:
            record = decode_record(entry.payload)
            batch = cached.batch or mended(decode_batch(record.body, limit_bytes=1 << 31), record.refused)
        except (Reject, msgspec.DecodeError) as fault:
            # It was decoded when it was accepted: a fault of ours, over which nothing else may wait.
            log.error("entry %d can't be read and is kept whole as a dead letter: %s", entry.seq, fault)
            self._keep_letter(of_entry(entry, str(fault)))
            self.applied_bytes += cached.accepted_bytes
            return 0
        keys = [stream_key(stream.id) for stream in batch.streams]
        self.uncommitted.positions.update(record.moves)
        self.accounts.admit(entry.received_ns, batch, record, keys)
        self.uncommitted.unlisted.difference_update(record.moves)
        self.uncommitted.unlisted.update(keys[end.stream] for end in batch.ends if not end.listed)
        for place in record.gaps:  # before the records: whoever sees those must be able to know of the gap
            gap = batch.gaps[place]
            told.append(Told(entry.seq, batch.host, (batch.streams[gap.stream].id, gap)))
            self.uncommitted.gaps.append(_gap_row(entry, batch, gap, keys[gap.stream]))
        self._bury_refused(entry, batch, record)
        skips = record.parsed_skips(batch)
        self._parse(entry, batch, skips, told)
        for chunk, skip in zip(batch.chunks, skips, strict=True):
            if batch.streams[chunk.stream].format is Format.FRAMES and 0 <= skip < len(chunk.data):
                self._unpack(entry, batch, chunk.stream, chunk.start + skip, chunk.data[skip:], told)
        if entry.seq > self._replay_until:
            self.applied_bytes += record.accepted_bytes
        return record.accepted_bytes

    def _bury_refused(self, entry: Entry, batch: Batch, record: BatchRecord) -> None:
        """Streams that intake refused for good: their agents go on behind the bytes, and nobody else has them."""
        for place, chunk in enumerate(batch.chunks) if record.refused else ():
            reason, skip = record.refused.get(chunk.stream), record.skips[place]
            if reason is not None and 0 <= skip < len(chunk.data):
                letter = of_bytes(entry, batch, chunk.stream, chunk.start + skip, chunk.data[skip:], reason)
                self._keep_letter(letter)

    def _parse(self, entry: Entry, batch: Batch, skips: tuple[int, ...], told: list[Told]) -> None:
        accepted = Accepted(entry.seq, entry.received_ns, batch, skips)
        try:
            frame = self._parser.parse(accepted)
        except Exception as fault:
            # A fault of ours over somebody's bytes must not stop everybody's: the bytes are kept, and said to be.
            log.exception(
                "entry %d of host %s: lines that can't be parsed are kept as dead letters", entry.seq, batch.host
            )
            parted = isolate(self._parser, accepted)
            self._bury_open(entry, parted.given_up, repr(fault))
            for one in parted.poison:
                self._keep_letter(of_bytes(entry, batch, one.stream, one.start, one.data, one.reason))
            frame = parted.frame
        self._deliver(frame, told)

    def _bury_open(self, entry: Entry, streams: Iterable[OpenStream], reason: str) -> None:
        for stream in streams:
            account = self.accounts.of(stream.key)
            for letter in of_open(entry, stream, account.id.source if account else "", reason):
                self._keep_letter(letter)

    def _keep_letter(self, letter: DeadLetter) -> None:
        letters = self.uncommitted.dead_letters
        part = letters[-1].part + 1 if letters and letters[-1].seq == letter.seq else 0
        letters.append(msgspec.structs.replace(letter, part=part))
        self.uncommitted.letter_bytes += len(letter.payload)
        self.metrics.dead_letters.inc()

    def _unpack(self, entry: Entry, batch: Batch, stream: int, start: int, data: bytes, told: list[Told]) -> None:
        """A frame that can't be read costs no other one, unless it can't be told where that begins."""
        behind = 0
        try:
            for at, end in cut_frames(data):
                behind = end
                try:
                    self._keep_frame(entry.seq, batch.host, decode_frame(data, at, end), told)
                except Reject as fault:
                    self._bury_frames(entry, batch, stream, start + at, data[at:end], fault)
        except Reject as fault:
            self._bury_frames(entry, batch, stream, start + behind, data[behind:], fault)

    def _keep_frame(self, seq: int, host: str, frame: Frame, told: list[Told]) -> None:
        told.append(Told(seq, host, frame))
        if isinstance(frame, Samples):
            for keeper in self.keepers:
                if seq > keeper.position():
                    self._keep(keeper, host, frame)

    def keep_all(self, frames: Sequence[tuple[str, Samples]], durable: bool) -> None:
        """See Pipeline.keep_samples()."""
        for keeper in self.keepers:
            for host, samples in frames:
                self._keep(keeper, host, samples)
            if durable:
                keeper.commit(self.seq)

    def keep_writes(self, writes: Sequence[Write]) -> list[Verdict | Reject]:
        """See Pipeline.keep_write(). Durable when it returns; raises Retry."""
        found = [self._keep_write(write) for write in writes]
        for keeper in self.keepers:
            keeper.commit(self.seq)
        return found

    def _keep_write(self, write: Write) -> Verdict | Reject:
        verdict = Verdict()
        try:
            for keeper in self.keepers:
                verdict = keeper.take_write(write)
        except Reject as fault:
            return fault
        return verdict

    def _keep(self, keeper: SampleKeeper, host: str, samples: Samples) -> None:
        try:
            keeper.take(host, samples)
        except Reject as fault:
            log.error("%s: a frame of host %s can't be kept: %s", keeper.name, host, fault)
            self.metrics.consumer_failures.labels(keeper.name).inc()

    def _bury_frames(self, entry: Entry, batch: Batch, stream: int, start: int, data: bytes, fault: Reject) -> None:
        log.error("samples of host %s can't be read and are kept as a dead letter: %s", batch.host, fault)
        self._keep_letter(of_bytes(entry, batch, stream, start, data, str(fault)))

    def _redrive(self, entry: Entry, told: list[Told]) -> None:
        wish = msgspec.msgpack.decode(entry.payload, type=Wish)
        found = redrive(entry, wish, self._store.letters, self._parser.settings, in_flight=self._in_flight())
        self.uncommitted.redriven += found.done
        self.uncommitted.tried += found.tried(entry.received_ns)
        self._store.letters.in_flight = self._in_flight()
        for outcome in found.outcomes:
            self.metrics.redriven.labels("failed" if outcome.error else "stored").inc()
        self._deliver(found.frame, told)
        for host, frame in found.frames:
            self._keep_frame(entry.seq, host, frame, told)
        told.append(Told(entry.seq, "", found))

    def _in_flight(self) -> frozenset[str]:
        """Letters that became records and may be in the manifest still."""
        return frozenset((*self.uncommitted.redriven, *self._sealing.redriven))

    def _deliver(self, frame: RecordFrame, told: list[Told]) -> None:
        if frame.rows.is_empty():
            return
        self._store.append(frame)
        told.append(Told(frame.seq, "", frame))
        self.accounts.made(frame)
        self.record_count += frame.rows.height
        self.metrics.records.inc(frame.rows.height)
        for consumer in self.records:
            if frame.seq > consumer.position():
                self._consume(consumer, frame)

    def _consume(self, consumer: RecordConsumer, frame: RecordFrame) -> None:
        try:
            consumer.consume(frame)
        except Exception:
            # The records are in the store; what the consumer makes of them is wrong by this frame, and said to be.
            log.exception("%s: failed over the records of entry %d", consumer.name, frame.seq)
            self.metrics.consumer_failures.labels(consumer.name).inc()

    def begin_seal(self) -> Sealing:
        """Raises Retry where a consumer can't commit: then nothing has been taken."""
        seq = self.seq  # the event loop may not have heard yet of what was just applied
        for consumer in self.records:
            consumer.commit(seq)
        for keeper in self.keepers:
            keeper.commit(seq)
        changed, self.uncommitted = self.uncommitted, Uncommitted()
        self._sealing = _Taken(tuple(changed.gaps), letter_runs(changed.dead_letters), tuple(changed.redriven))
        self._store.letters.in_flight = self._in_flight()
        return self._store.begin_seal(
            seq,
            self._parser.state(),
            changed.positions,
            changed.unlisted,
            changed.gaps,
            changed.dead_letters,
            self.accounts.take_changed(),
            LetterChanges(tuple(changed.redriven), tuple(changed.tried)),
        )

    def cut(self) -> Cut:
        """All that is known of all streams at the entry that was applied last."""
        pending, letters = self.pending_gaps(), letter_runs(self.uncommitted.dead_letters)
        for key, runs in self._sealing.letters.items():
            letters[key] = joined(letters.get(key, ()), runs)
        return Cut(self.seq, self._store.snapshot(), self.accounts.copied(), self._parser.open_runs(), pending, letters)

    def pending_gaps(self) -> tuple[GapRow, ...]:
        """Those that may not be in the manifest yet. From any thread; to be asked before the manifest."""
        return (*self._sealing.gaps, *self.uncommitted.gaps)


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
        self.redriven = Counter(
            "deckwatch_collector_dead_letters_redriven",
            "Dead letters that were tried again, by outcome: stored or failed",
            ["outcome"],
            registry=registry,
        )
        self.consumer_failures = Counter(
            "deckwatch_collector_consumer_failures",
            "Frames of records or samples over which a consumer failed",
            ["consumer"],
            registry=registry,
        )
