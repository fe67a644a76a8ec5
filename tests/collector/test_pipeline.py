"""The pipeline between a real journal and a real store: what a sealing commits, whatever else goes on meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from collector.intake.admission import Admission, admit
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from collector.intake.positions import Positions
from collector.intake.record import encode_record
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.pipeline import Pipeline
from collector.records import RecordFrame
from collector.store.embedded.manifest import Sealed
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import MOST_SMALL, EmbeddedStore
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.codec import BatchCompressor
from deckwatch.wire.model import Batch
from tests.fixtures.push import Stream


class Rig:
    """What a collector has between its intake and its searches."""

    def __init__(self, folder: Path, **settings: float) -> None:
        clock = SystemClock()
        self.clock = clock
        self.store = EmbeddedStore(folder / "store", msgspec.convert(settings, EmbeddedStoreSettings), clock)
        self.journal = Journal(folder / "journal", next_seq=self.store.committed_seq + 1)
        self.pipeline = Pipeline(
            self.journal, Parser(ParseSettings()), self.store, clock=clock, registry=CollectorRegistry()
        )
        self._positions = Positions({})
        self._stream = Stream()

    async def offer(self, *texts: bytes) -> None:
        """An entry for each, durable and offered; its lines are records at once."""
        waits = []
        for text in texts:
            batch = self._stream.batch([self._stream.chunk(text + b"\n", eof=True)])
            admission = admit(batch, self._positions.of)
            self._positions.submitted(admission.moves)

            waits.append(self._submit(batch, admission))
        await asyncio.gather(*waits)

    def _submit(self, batch: Batch, admission: Admission) -> asyncio.Future[None]:
        def durable(entry: Entry) -> None:
            self.pipeline.offer(entry, batch, admission)

        payload = encode_record(admission, BatchCompressor().encode(batch))
        return self.journal.submit(Kind.BATCH, self.clock.now_ns(), payload, durable)

    async def apply(self) -> None:
        while self.pipeline._applied_seq < self.journal.durable_seq:
            await self.pipeline._apply_group()

    def messages(self) -> list[str]:
        blocks = self.store.snapshot().of("default").all
        return sorted(message for block in blocks for message in block.read(["message"])["message"].to_list())

    async def sealed(self) -> None:
        await self.pipeline._begin_seal()
        assert self.pipeline._sealing is not None
        await self.pipeline._sealing

    async def close(self) -> None:
        await self.journal.close()
        self.pipeline.close()
        self.store.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.close()


async def test_a_sealing_commits_the_position_of_exactly_what_it_holds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker may take a sealing right behind a group that the event loop has not heard of yet."""
    await rig.offer(b"one", b"two")
    began = asyncio.Event()
    apply, loop = rig.pipeline._applier.apply, asyncio.get_running_loop()

    def telling(*what: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        return apply(*what)

    monkeypatch.setattr(rig.pipeline._applier, "apply", telling)
    applying = asyncio.create_task(rig.pipeline._apply_group())
    await began.wait()
    sealing = rig.pipeline._worker.submit(rig.pipeline._applier.begin_seal).result()  # the event loop stands still
    await applying
    assert (sealing.seq, sum(block.stats.rows for block in sealing.blocks["default"])) == (1, 2)


async def test_one_sealing_at_a_time_whoever_asks(rig: Rig) -> None:
    await rig.offer(b"one")
    await rig.apply()
    await asyncio.gather(rig.pipeline._begin_seal(), rig.pipeline._begin_seal())
    assert rig.messages() == ["one"]
    assert rig.pipeline._sealing is not None
    await rig.pipeline._sealing
    assert (rig.messages(), rig.store.committed_seq) == (["one"], 0)


@pytest.mark.parametrize("fault", [sqlite3.OperationalError("database or disk is full"), KeyError(7)])
async def test_a_sealing_that_fails_for_whatever_reason_is_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    await rig.offer(b"one")
    await rig.apply()
    seal, faults = rig.store.manifest.seal, [fault]

    def failing(what: Sealed) -> None:
        if faults:
            raise faults.pop()
        seal(what)

    monkeypatch.setattr(rig.store.manifest, "seal", failing)
    monkeypatch.setattr("collector.pipeline.Backoff.next_s", lambda self: 0.0)
    await rig.sealed()
    await rig.offer(b"two")
    await rig.apply()
    await rig.sealed()
    assert rig.messages() == ["one", "two"]
    assert (rig.store.committed_seq, rig.store.hot_text_bytes) == (1, 0)


async def test_the_worker_does_not_run_ahead_of_what_was_offered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry is durable a moment before it is offered; what the worker took before stayed in the cache for good."""
    released, apply_batch, offer = threading.Event(), rig.pipeline._applier._apply_batch, rig.pipeline.offer

    def held(*what: Any) -> int:
        assert released.wait(5)
        return apply_batch(*what)

    def slow(*what: Any) -> None:
        released.set()
        time.sleep(0.02)  # the worker has time for all that is durable
        offer(*what)

    await rig.offer(b"first")
    monkeypatch.setattr(rig.pipeline._applier, "_apply_batch", held)
    applying = asyncio.create_task(rig.pipeline._apply_group())
    await asyncio.sleep(0)
    monkeypatch.setattr(rig.pipeline, "offer", slow)
    await rig.offer(*(b"line %d" % n for n in range(5)))
    await applying
    await rig.apply()
    assert len(rig.messages()) == 6
    assert (len(rig.pipeline._waiting), rig.pipeline.pending_bytes()) == (0, 0)


async def test_lines_without_text_are_sealed_before_their_rows_fill_the_memory(tmp_path: Path) -> None:
    rig = Rig(tmp_path, seal_bytes=1 << 20)
    await rig.offer(b"\n" * 10_000)
    await rig.apply()
    assert (rig.store.hot_text_bytes, rig.pipeline._sealing) == (0, None)
    await rig.offer(b"\n" * 10_000)
    await rig.apply()
    assert rig.pipeline._sealing is not None
    await rig.close()


async def _many_sealings(rig: Rig, count: int) -> None:
    for number in range(count):
        await rig.offer(b"%d " % number + b"x" * (1 << 20))
        await rig.apply()
        if rig.pipeline._sealing is not None:
            await rig.pipeline._sealing


async def test_segments_are_put_together_once_the_burst_is_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path, seal_bytes=1 << 20, compaction_calm_s=0.3)
    await _many_sealings(rig, 6)
    rig.pipeline._compact()
    assert len(rig.store.segment_rows) == 6
    await asyncio.sleep(0.3)
    rig.pipeline._compact()
    assert len(rig.store.segment_rows) == 1
    await rig.close()


async def test_a_burst_that_lasts_leaves_no_more_than_some_segments_behind(tmp_path: Path) -> None:
    rig = Rig(tmp_path, seal_bytes=1 << 20, compaction_bytes=2 << 20, compaction_calm_s=3600)
    await _many_sealings(rig, MOST_SMALL + 3)
    rig.pipeline._compact()
    assert MOST_SMALL - 3 <= len(rig.store.segment_rows) <= MOST_SMALL + 1
    await rig.close()


async def test_dead_letters_are_sealed_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, seal_bytes=1 << 20)
    monkeypatch.setattr(rig.pipeline._parser, "parse", lambda entry: 1 // 0)
    await rig.offer(b"x" * (1 << 20))
    await rig.apply()
    assert rig.pipeline._sealing is not None
    await rig.pipeline._sealing
    assert rig.store.manifest.dead_letter_count() == 1
    await rig.close()


class Stubborn:
    """A consumer whose database is full."""

    name = "stubborn"
    full = True

    def position(self) -> int:
        return -1

    def consume(self, frame: RecordFrame) -> None: ...

    def commit(self, seq: int) -> None:
        if self.full:
            raise Retry("the database is full")

    def rewind(self, seq: int) -> None: ...


class Ahead:
    """A consumer that was copied after the journal."""

    name = "ahead"

    def __init__(self) -> None:
        self.at = 1000
        self.seen: list[int] = []

    def position(self) -> int:
        return self.at

    def consume(self, frame: RecordFrame) -> None:
        self.seen.append(frame.seq)

    def commit(self, seq: int) -> None:
        self.at = seq

    def rewind(self, seq: int) -> None:
        self.at = seq


async def test_a_consumer_that_is_ahead_of_the_journal_misses_nothing_that_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig, consumer = Rig(tmp_path), Ahead()
    rig.pipeline.add_records(consumer)
    assert "ahead is ahead of the journal, as after a restore" in caplog.text
    await rig.offer(b"one\n", b"two\n")
    await rig.apply()
    assert len(consumer.seen) == 2
    await rig.close()


async def test_while_a_consumer_cannot_commit_the_memory_does_not_grow(tmp_path: Path) -> None:
    rig, consumer = Rig(tmp_path, seal_bytes=1 << 20), Stubborn()
    rig.pipeline.add_records(consumer)
    text = b"x" * (1 << 19)
    await rig.offer(*[text] * 80)
    applying = asyncio.create_task(rig.apply())
    done, _ = await asyncio.wait([applying], timeout=1.0)
    assert not done
    consumer.full = False
    await applying
    assert rig.pipeline.pending_bytes() == 0
    await rig.close()
