"""The intake against a model that knows each byte: agents that send in random pieces, repeat, lose answers, share an
identity; a collector that is killed, fails to write, or comes back from a copy of yesterday."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client import CollectorRegistry

from collector.intake.admission import Admission, OpenGap
from collector.intake.http import Intake
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from collector.intake.positions import Positions
from collector.intake.record import decode_moves, decode_record
from collector.intake.settings import IntakeSettings
from collector.intake.soundness import Refused
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.codec import BatchCompressor, decode_batch
from deckwatch.wire.identity import crc32c, stream_key
from deckwatch.wire.model import (
    VERSION,
    Ack,
    Batch,
    Chunk,
    Context,
    Format,
    Gap,
    GapReason,
    Outcome,
    Position,
    StreamId,
    StreamInfo,
)

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
KEYS = {name: stream_key(StreamId("agent", name, "1-0")) for name in ("a", "b")}


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class Sender:
    """An agent's view of one file: what stands in it, how far it believes to be acked."""

    def __init__(self, source: str, content: bytes) -> None:
        self.info = StreamInfo(StreamId("agent", source, "1-0"), "default", Format.PLAIN, 0)
        self.key = KEYS[source]
        self.content = content
        self.acked = 0
        self.ended = False  # the file is gone, or turned out to be another one

    def crc(self, offset: int) -> int:
        return crc32c(self.content[:offset])

    def chunk(self, start: int, end: int) -> Chunk:
        return Chunk(0, start, self.crc(start), self.crc(end), self.content[start:end])

    def has(self, start: int, data: bytes) -> bool:
        return self.content[start : start + len(data)] == data

    def batch(self, *parts: Chunk | Gap) -> Batch:
        chunks = tuple(part for part in parts if isinstance(part, Chunk))
        gaps = tuple(part for part in parts if isinstance(part, Gap))
        return Batch(VERSION, "agent", "host", 0, (Context("host"),), (self.info,), chunks, gaps)

    def take(self, ack: Ack) -> None:
        for result in (result for result in ack.results if result.key == self.key):
            position = result.position
            known = position.offset <= len(self.content) and self.crc(position.offset) == position.crc
            if result.outcome is Outcome.DIVERGED or not known:
                self.ended = True  # it would go on as another stream
            else:
                self.acked = position.offset


class IntakeLife(RuleBasedStateMachine):
    @initialize(
        common=st.binary(max_size=40),
        tails=st.tuples(st.binary(max_size=60), st.binary(max_size=60)),
        other=st.binary(max_size=60),
    )
    def begin(self, common: bytes, tails: tuple[bytes, bytes], other: bytes) -> None:
        """Two senders of stream `a` are a host that was cloned with its state folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="intake-model-", dir=MEMORY))
        self.runner = asyncio.Runner()
        self.senders = [Sender("a", common + tails[0]), Sender("a", common + tails[1]), Sender("b", other)]
        self.compressor = BatchCompressor()
        self.backup: Path | None = None
        self.start()

    def start(self) -> None:
        positions: dict[str, Position] = {}
        open_gaps: set[OpenGap] = set()

        def known(entry: Entry) -> None:
            if entry.kind is Kind.BATCH:
                moved = decode_moves(entry.payload)
                positions.update(moved.moves)
                open_gaps.update(moved.open_gaps)

        self.journal = Journal(
            self.folder / "journal",
            segment_bytes=2000,
            next_seq=0,
            visit=known,
            on_failure=lambda: self.positions.failed(),
        )
        self.positions = Positions(positions, open_gaps)
        self.offered: list[int] = []
        self.intake = Intake(
            IntakeSettings(),
            self.journal,
            self.positions,
            epoch="1",
            name="model",
            clock=SystemClock(),
            registry=CollectorRegistry(),
            offer=self.offer,
            pending_bytes=lambda: 0,
        )

    def offer(self, entry: Entry, batch: Batch, admission: Admission) -> None:
        self.offered.append(entry.seq)

    def stop(self) -> None:
        self.runner.run(self.journal.close())

    def send(self, sender: Sender, *parts: Chunk | Gap, ack_is_lost: bool) -> None:
        self.post(sender, sender.batch(*parts), ack_is_lost=ack_is_lost)

    def post(self, sender: Sender, batch: Batch, *, ack_is_lost: bool) -> Ack:
        ack = self.runner.run(self.intake._take(self.compressor.encode(batch)))
        assert ack.results[0].key == sender.key
        if not ack_is_lost:
            sender.take(ack)
        return ack

    # What happens ----------------------------------------------------------------------------------------------

    @rule(
        who=st.integers(0, 2),
        back=st.integers(0, 20),
        sizes=st.lists(st.integers(0, 25), min_size=1, max_size=4),
        ack_is_lost=st.booleans(),
    )
    def send_chunks(self, who: int, back: int, sizes: list[int], ack_is_lost: bool) -> None:
        """From where the sender believes to be, or before it."""
        sender = self.senders[who]
        if sender.ended:
            return
        start = max(0, sender.acked - back)
        chunks = []
        for size in sizes:
            end = min(len(sender.content), start + size)
            chunks.append(sender.chunk(start, end))
            start = end
        self.send(sender, *chunks, ack_is_lost=ack_is_lost)

    @rule(
        who=st.integers(0, 2),
        back=st.integers(0, 20),
        size=st.integers(1, 25),
        context=st.sampled_from([-1, 0, 1, 99]),
        tenant=st.sampled_from(["default", "", ".."]),
        ack_is_lost=st.booleans(),
    )
    def send_a_stream_of_nobody(
        self, who: int, back: int, size: int, context: int, tenant: str, ack_is_lost: bool
    ) -> None:
        """Its context or its tenant is none: its bytes are taken, as dead letters, and those of its neighbour as ever;
        a repeat or a wrong place is judged as with any other."""
        sender, other = self.senders[who], self.senders[2]
        start = max(0, sender.acked - back)
        end = min(len(sender.content), start + size)
        if sender.ended or sender is other or other.ended or start == end:
            return
        batch = sender.batch(sender.chunk(start, end))
        fellow = other.chunk(other.acked, min(len(other.content), other.acked + size))
        odd = msgspec.structs.replace(sender.info, context=context, tenant=tenant)
        batch = msgspec.structs.replace(
            batch, streams=(odd, other.info), chunks=(*batch.chunks, msgspec.structs.replace(fellow, stream=1))
        )
        before = self.positions.of(sender.key) or Position(0, 0)
        in_step = other.acked == (self.positions.of(other.key) or Position(0, 0)).offset
        ack = self.post(sender, batch, ack_is_lost=ack_is_lost)
        result = ack.results[0]
        unsound = context != 0 or tenant != "default"
        if result.outcome in (Outcome.REFUSED, Outcome.ACCEPTED):
            assert result.outcome is (Outcome.REFUSED if unsound else Outcome.ACCEPTED)
            assert result.position.offset == end
        else:
            assert result.position == before
        assert not fellow.data or (ack.results[1].outcome is Outcome.ACCEPTED) == in_step
        other.take(ack)

    @rule(who=st.integers(0, 2), ahead=st.integers(1, 30), size=st.integers(1, 20))
    def send_ahead(self, who: int, ahead: int, size: int) -> None:
        """Of bytes that were skipped nothing is taken."""
        sender = self.senders[who]
        position = self.positions.of(sender.key) or Position(0, 0)
        start = position.offset + ahead
        if start + size <= len(sender.content):
            before = self.stored()
            self.send(sender, sender.chunk(start, start + size), ack_is_lost=True)
            assert self.stored() == before

    @rule(who=st.integers(0, 2), size=st.integers(1, 20), ack_is_lost=st.booleans())
    def declare_a_gap(self, who: int, size: int, ack_is_lost: bool) -> None:
        sender = self.senders[who]
        end = min(len(sender.content), sender.acked + size)
        if not sender.ended and end > sender.acked:
            gap = Gap(0, sender.acked, end, sender.crc(end), GapReason.TRUNCATED, 1)
            self.send(sender, gap, ack_is_lost=ack_is_lost)

    @rule(who=st.integers(0, 2), times=st.integers(1, 3))
    def declare_that_the_rest_is_gone(self, who: int, times: int) -> None:
        sender = self.senders[who]
        if not sender.ended:
            for _ in range(times):
                self.send(sender, Gap(0, sender.acked, -1, 0, GapReason.DELETED, 1), ack_is_lost=False)
            sender.ended = True

    @rule(who=st.integers(0, 2), at=st.integers(0, 100), flip=st.integers(1, 255))
    def send_what_was_damaged_on_its_way(self, who: int, at: int, flip: int) -> None:
        sender = self.senders[who]
        whole = sender.chunk(0, len(sender.content))
        if whole.data:
            data = bytearray(whole.data)
            data[at % len(data)] ^= flip
            before = self.stored()
            self.send(sender, Chunk(0, 0, 0, whole.crc_end, bytes(data)), ack_is_lost=True)
            assert self.stored() == before

    @rule(who=st.integers(0, 2), size=st.integers(1, 30))
    def send_to_a_full_disk(self, who: int, size: int) -> None:
        sender = self.senders[who]
        if sender.ended or sender.acked >= len(sender.content):
            return
        before, told = self.stored(), self.positions.durable_of(sender.key)
        chunk = sender.chunk(sender.acked, min(len(sender.content), sender.acked + size))
        with mock.patch("os.fdatasync", full), contextlib.suppress(Refused):  # none where nothing of it was new
            self.send(sender, chunk, ack_is_lost=True)
        assert self.stored() == before
        assert self.positions.of(sender.key) == self.positions.durable_of(sender.key) == told

    @rule()
    def kill_the_collector(self) -> None:
        before = self.stored()
        self.stop()
        self.start()
        assert self.stored() == before

    @rule()
    def copy_the_data(self) -> None:
        self.backup = self.folder / "backup"
        shutil.rmtree(self.backup, ignore_errors=True)
        shutil.copytree(self.folder / "journal", self.backup)

    @rule()
    def restore_the_copy(self) -> None:
        """Agents are ahead then: they ask where the collector is, and go back."""
        if self.backup is None:
            return
        self.stop()
        shutil.rmtree(self.folder / "journal")
        shutil.copytree(self.backup, self.folder / "journal")
        self.start()
        for sender in self.senders:
            position = self.positions.durable_of(sender.key) or Position(0, 0)
            if position.offset <= len(sender.content) and sender.crc(position.offset) == position.crc:
                sender.acked = min(sender.acked, position.offset)

    def gaps(self) -> dict[str, list[tuple[int, int]]]:
        """(start, end) of the gaps of each stream, likewise."""
        found: dict[str, list[tuple[int, int]]] = {key: [] for key in KEYS.values()}
        for entry in self.journal.read(-1):
            record = decode_record(entry.payload)
            batch = decode_batch(record.body, limit_bytes=1 << 20)
            taken = [batch.gaps[place] for place in record.gaps]
            found[stream_key(batch.streams[0].id)] += [(gap.start, gap.end) for gap in taken]
        return found

    # What must hold --------------------------------------------------------------------------------------------

    def stored(self) -> dict[str, list[tuple[int, bytes | None]]]:
        """(start, bytes; None for a gap's) of each stream, as whoever replays the journal gets them."""
        found: dict[str, list[tuple[int, bytes | None]]] = {key: [] for key in KEYS.values()}
        for entry in self.journal.read(-1):
            record = decode_record(entry.payload)
            batch = decode_batch(record.body, limit_bytes=1 << 20)
            keys = [stream_key(stream.id) for stream in batch.streams]
            for chunk, skip in zip(batch.chunks, record.skips, strict=True):
                if 0 <= skip < len(chunk.data):
                    found[keys[chunk.stream]].append((chunk.start + skip, chunk.data[skip:]))
            found[keys[0]] += [(batch.gaps[place].start, None) for place in record.gaps]
        return found

    @invariant()
    def each_byte_is_there_once(self) -> None:
        for key, parts in self.stored().items():
            position = self.positions.of(key) or Position(0, 0)
            holders = [one for one in self.senders if one.key == key and one.crc(position.offset) == position.crc]
            assert holders or not any(one.key == key for one in self.senders), "the position is nobody's"
            pieces = [(start, data) for start, data in parts if data is not None]
            ends = [start + len(data) for start, data in pieces]
            assert all(start >= end for (start, _), end in zip(pieces[1:], ends, strict=False)), "twice"
            # A gap has no checksum of where it starts: behind one, a clone's bytes may go on.
            senders = [one for one in self.senders if one.key == key]
            assert all(any(one.has(start, data) for one in senders) for start, data in pieces), "nobody's bytes"
            if not any(data is None for _, data in parts):
                assert b"".join(data for _, data in pieces) == holders[0].content[: position.offset], (
                    "bytes are missing"
                )

    @invariant()
    def a_gap_is_there_once(self) -> None:
        """One with an end moves the position there; one without stands for all that was to come."""
        for gaps in self.gaps().values():
            ends = [end for _, end in gaps if end >= 0]
            opened = [start for start, end in gaps if end < 0]
            assert ends == sorted(set(ends))
            assert len(opened) == len(set(opened))

    @invariant()
    def nothing_is_offered_twice_or_out_of_order(self) -> None:
        assert self.offered == sorted(set(self.offered))

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.stop()
            self.runner.close()
            shutil.rmtree(self.folder)


TestIntakeLife = IntakeLife.TestCase
TestIntakeLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
