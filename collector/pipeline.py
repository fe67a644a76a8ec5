"""From the journal to what can be found: each entry is parsed, made searchable, and handed to whoever wants records.

One thread does the work (apply.py), in the order of the journal, so that a replay after a restart gives the very same
records. Sealing runs beside it in another thread; what has to be committed with it is taken between two entries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.accounting.account import StreamAccount
from collector.accounting.cut import Cut
from collector.apply import Applier, Cached, Told, Waiting
from collector.deadletters.redrive import Redriven, Wish
from collector.intake.admission import Admission
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from collector.metrics.tsdb.wal import Write
from collector.metrics.tsdb.writes import Verdict
from collector.parse.parser import Parser
from collector.parse.state import CloseDecision
from collector.records import RecordConsumer, RecordFrame, SampleConsumer, SampleKeeper
from collector.store.embedded.manifest import GapRow
from collector.store.embedded.store import EmbeddedStore, Sealing
from collector.warm import warm
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.model import Batch, Event, Gap, Samples, StreamId

log = logging.getLogger(__name__)

T = TypeVar("T")

_CLOSE_EVERY_S = 0.1
_GROUP_AGE_NS = 1_000_000_000  # a trace that nothing was added to for so long is complete
_MAINTAIN_EVERY_S = 5.0
_CATCH_UP_S = 10.0
_HELD_UP_S = 0.1  # between two attempts to begin a sealing that somebody holds up


def _hand_over(consumer: SampleConsumer, one: Told) -> None:
    match one.what:
        case Samples():
            consumer.take_samples(one.seq, one.host, one.what)
        case Event():
            consumer.take_event(one.seq, one.host, one.what)
        case (StreamId() as stream, Gap() as gap):
            consumer.take_gap(one.seq, one.host, stream, gap)


class Pipeline:
    def __init__(
        self,
        journal: Journal,
        parser: Parser,
        store: EmbeddedStore,
        *,
        clock: Clock,
        registry: CollectorRegistry,
        forget_streams_s: float = 30 * 86400.0,
        forget: Callable[[list[str]], None] = lambda keys: None,
    ) -> None:
        """`parser` must have been restored from the store's state; reading goes on behind the store's position.

        `forget` is told the keys of streams that no agent has listed for `forget_streams_s`."""
        self._journal = journal
        self._parser = parser
        self._store = store
        self._clock = clock
        self._forget_streams_s = forget_streams_s
        self._forget = forget
        self._samples: list[SampleConsumer] = []
        self._frame_listeners: list[Callable[[RecordFrame], None]] = []
        self._waiting = Waiting(journal)
        self._applier = Applier(self._waiting, parser, store, registry, replay_until=journal.durable_seq)
        self._applied_seq = store.committed_seq  # as the event loop knows it: the applier may be a group ahead
        self._sealed_at = clock.monotonic()
        self._full_at = -math.inf  # when memory was full enough to be sealed
        self._acked_bytes = 0
        self._arrival = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="pipeline")
        self._maintenance = ThreadPoolExecutor(1, thread_name_prefix="maintenance")
        self._sealing: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._held_up = False
        self._seal_trouble: str | None = None
        self._writes: list[tuple[Write, asyncio.Future[Verdict]]] = []
        self._keeping_writes: asyncio.Task[None] | None = None
        self._redrives: dict[int, asyncio.Future[Redriven]] = {}  # by seq
        self._not_taken = Counter(
            "deckwatch_collector_samples_not_taken",
            "Samples, events and gaps over which a consumer failed",
            registry=registry,
        )
        self._seals = Counter("deckwatch_store_seals", "Sealings that were committed", registry=registry)
        pending = Gauge("deckwatch_collector_pending_bytes", "Acknowledged and not searchable yet", registry=registry)
        pending.set_function(self.pending_bytes)

    def add_records(self, consumer: RecordConsumer) -> None:
        """Before `run`. A consumer behind the store gets only what the journal still has: see RecordConsumer."""
        self._place(consumer)
        self._applier.records.append(consumer)

    def add_keeper(self, keeper: SampleKeeper) -> None:
        """Before `run`, like add_records()."""
        self._place(keeper)
        self._applier.keepers.append(keeper)

    def _place(self, consumer: RecordConsumer | SampleKeeper) -> None:
        """A restored copy may have consumers that were copied after the journal: what it gets from now on has numbers
        that they have seen already, and is new all the same."""
        if consumer.position() > self._journal.durable_seq:
            log.warning("%s is ahead of the journal, as after a restore: it goes back to its end", consumer.name)
            consumer.rewind(self._journal.durable_seq)

    async def keep_samples(self, frames: Sequence[tuple[str, Samples]], *, durable: bool) -> None:
        """Samples that came another way than through the journal (host, samples). `durable`: when it returns they are
        on disk (raises Retry where they can't be); else they are after the next sealing."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._applier.keep_all, frames, durable)

    async def keep_write(self, write: Write) -> Verdict:
        """A remote write, durable when it returns. Those that come meanwhile share one fsync. Raises Retry; Reject on
        one that can't be read."""
        done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._writes.append((write, done))
        if self._keeping_writes is None or self._keeping_writes.done():
            self._keeping_writes = asyncio.create_task(self._keep_writes(), name="pipeline remote writes")
        return await done

    async def _keep_writes(self) -> None:
        while self._writes:
            taken, self._writes = self._writes, []
            waiting = [done for _, done in taken]
            found: Sequence[Verdict | Exception]
            try:
                found = await self._in_worker(self._applier.keep_writes, [write for write, _ in taken])
            except Exception as fault:
                # Whatever it is, somebody waits for each of them; a fault of ours is theirs to log.
                found = [fault] * len(taken)
            for done, outcome in zip(waiting, found, strict=True):
                if done.done():
                    continue  # the client went away; its samples are kept
                if isinstance(outcome, Exception):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)

    def on_frame(self, listener: Callable[[RecordFrame], None]) -> None:
        """Told of each frame in the event loop's thread, after it can be found. Not durable: no replay is asked for."""
        self._frame_listeners.append(listener)

    @property
    def record_count(self) -> int:
        """Records made searchable since the start, replayed ones included."""
        return self._applier.record_count

    def add_samples(self, consumer: SampleConsumer) -> None:
        self._samples.append(consumer)

    # From the intake -------------------------------------------------------------------------------------------

    def offer(self, entry: Entry, batch: Batch, admission: Admission) -> None:
        """A durable entry; called in the order of `seq`."""
        self._acked_bytes += admission.accepted_bytes
        self._put(Cached(entry, batch, admission.accepted_bytes))

    def _put(self, cached: Cached) -> None:
        self._waiting.put(cached)
        self._caught_up.clear()
        self._arrival.set()

    def pending_bytes(self) -> int:
        """Acknowledged and not searchable yet; groups of lines that are still open included. Not 0 while a replay
        after a restart goes on."""
        waiting = self._acked_bytes - self._applier.applied_bytes + self._applier.open_bytes
        return max(waiting, 1) if self._applied_seq < self._journal.durable_seq else waiting

    async def cut(self) -> Cut:
        """All that is known of all streams, between two entries: those that were durable when it was asked, unless the
        pipeline is held up for long."""
        asked = self._journal.durable_seq
        until = self._clock.monotonic() + _CATCH_UP_S
        while self._applied_seq < asked and self._clock.monotonic() < until:
            await self._clock.sleep(_HELD_UP_S)
        return await self._in_worker(self._applier.cut)

    def pending_gaps(self) -> tuple[GapRow, ...]:
        """Those that may not be in the manifest yet; to be asked before the manifest."""
        return self._applier.pending_gaps()

    def account_of(self, key: str) -> StreamAccount | None:
        """Who a stream is."""
        return self._applier.accounts.of(key)

    @property
    def trouble(self) -> str | None:
        """Why nothing gets from the journal into the store."""
        return self._seal_trouble

    # The loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. A fault over a single record never ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._apply_forever(), name="pipeline apply")
            tasks.create_task(self._close_groups(), name="pipeline close groups")
            tasks.create_task(self._maintain(), name="store maintenance")

    async def _apply_forever(self) -> None:
        await self._in_worker(warm)
        while True:
            self._arrival.clear()
            while self._applied_seq < self._journal.durable_seq:
                await self._apply_group()
            self._caught_up.set()
            await self._arrival.wait()

    async def _apply_group(self) -> None:
        # Asked here, where an entry that is durable has been offered too: the worker must not be ahead of the cache.
        last, told = await self._in_worker(self._applier.apply, self._journal.durable_seq)
        self._applied_seq = last
        for one in told:
            self._tell(one)
        await self._make_room()
        if self._seal_is_due():
            await self._begin_seal()

    async def _make_room(self) -> None:
        """The disk is slower than what comes in, or takes nothing: what waits stays in the journal, and intake answers
        429 until there is room in memory again."""
        while self._waiting_bytes() >= 2 * self._store.settings.seal_bytes:
            await self._begin_seal()
            if self._held_up:
                await self._clock.sleep(_HELD_UP_S)
            elif self._sealing is not None:
                await asyncio.shield(self._sealing)

    def _waiting_bytes(self) -> int:
        return self._store.hot_bytes + self._applier.uncommitted.letter_bytes

    async def _in_worker(self, work: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *values)

    def _tell(self, one: Told) -> None:
        if isinstance(one.what, Redriven):
            waiting = self._redrives.pop(one.seq, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(one.what)
            return
        if isinstance(one.what, RecordFrame):
            for listener in self._frame_listeners:
                listener(one.what)
            return
        for consumer in self._samples:
            try:
                _hand_over(consumer, one)
            except Exception:
                # Their arrays were compared with their schemas before; a fault of ours must not end the pipeline.
                log.exception("what entry %d of host %s says can't be taken", one.seq, one.host)
                self._not_taken.inc()

    # Groups that wait for more lines ---------------------------------------------------------------------------

    async def _close_groups(self) -> None:
        """A group of lines that nothing was added to for a while is closed; that is journaled before it is done."""
        took_s = 0.0
        while True:
            await self._clock.sleep(max(_CLOSE_EVERY_S, min(1.0, 10 * took_s)))  # many open streams take time
            began = self._clock.monotonic()
            decision = await self._in_worker(self._parser.close_due, self._clock.now_ns(), _GROUP_AGE_NS)
            took_s = self._clock.monotonic() - began
            if decision is not None:
                await self._journal_decision(decision)

    async def _journal_decision(self, decision: CloseDecision) -> None:
        payload = msgspec.msgpack.encode(decision)
        # A Retry means that the disk is full: the journal has said so, and the groups stay open.
        with contextlib.suppress(Retry):
            await self._journal.submit(
                Kind.DECISION, self._clock.now_ns(), payload, lambda entry: self._put(Cached(entry, None))
            )

    # Dead letters ----------------------------------------------------------------------------------------------

    async def commit_letters(self, timeout_s: float = 60.0) -> None:
        """When it returns the manifest has every dead letter of what was durable when it was called, and none that
        became records. Raises Retry."""
        asked = self._journal.durable_seq
        try:
            async with asyncio.timeout(timeout_s):
                while self._applied_seq < asked:
                    await self._clock.sleep(_HELD_UP_S)
                if self._sealing is not None:
                    await asyncio.shield(self._sealing)
                while self._applier.uncommitted.touches_letters:
                    await self._begin_seal()
                    if self._held_up:
                        await self._clock.sleep(_HELD_UP_S)
                    elif self._sealing is not None:
                        await asyncio.shield(self._sealing)
        except TimeoutError:
            raise Retry("the store is behind or can't commit; its log says why", after_s=5.0) from None

    async def redrive(self, wish: Wish) -> Redriven:
        """Try dead letters of the manifest again. Raises Retry where that can't be journaled."""
        done: asyncio.Future[Redriven] = asyncio.get_running_loop().create_future()

        def durable(entry: Entry) -> None:
            self._redrives[entry.seq] = done
            self._put(Cached(entry, None))

        await self._journal.submit(Kind.REDRIVE, self._clock.now_ns(), msgspec.msgpack.encode(wish), durable)
        return await done

    # Sealing and maintenance -----------------------------------------------------------------------------------

    def _seal_is_due(self) -> bool:
        if self._sealing is not None and not self._sealing.done():
            return False
        settings, now = self._store.settings, self._clock.monotonic()
        if self._waiting_bytes() >= settings.seal_bytes:
            self._full_at = now
            return True
        return self._applied_seq > self._store.committed_seq and now - self._sealed_at >= settings.seal_age_s

    async def _begin_seal(self) -> None:
        """Nothing where one goes on: a second one would take the first one's place before that is committed."""
        async with self._beginning:
            if self._sealing is None or self._sealing.done():
                await self._begin_next_seal()

    async def _begin_next_seal(self) -> None:
        try:
            sealing = await self._in_worker(self._applier.begin_seal)
        except Retry as fault:
            if not self._held_up:
                log.error("store: cannot seal: %s; nothing is lost, the journal keeps it, trying again", fault)
            self._held_up = True
            self._seal_trouble = f"the store cannot be sealed: {fault}"
            return
        self._held_up = False
        self._sealed_at = self._clock.monotonic()
        self._sealing = asyncio.create_task(self._finish_seal(sealing), name="store sealing")

    async def _finish_seal(self, sealing: Sealing) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(first_s=1.0, most_s=10.0)
        while True:
            try:
                await loop.run_in_executor(self._maintenance, self._store.finish_seal, sealing)
                break
            except Exception as error:
                # Whatever it is: the next sealing would commit a position behind these records, and they were gone.
                if backoff.failures == 0:
                    log.error(
                        "store: cannot seal: %s; nothing is lost, the journal keeps it, trying again",
                        error,
                        exc_info=not isinstance(error, OSError),
                    )
                self._seal_trouble = f"the store cannot be sealed: {error}"
                await self._clock.sleep(backoff.next_s())
        self._seal_trouble = None
        if backoff.failures:
            log.warning("store: sealing works again")
        self._journal.trim(sealing.seq)
        self._seals.inc()

    async def _maintain(self) -> None:
        loop = asyncio.get_running_loop()
        failing = False
        while True:
            await self._clock.sleep(_MAINTAIN_EVERY_S)
            if (
                self._journal.trouble
            ):  # whether there is room again shows when somebody writes; it may be long until then
                await self._journal_decision(CloseDecision(()))
            if self._seal_is_due():
                await self._begin_seal()
            try:
                await loop.run_in_executor(self._maintenance, self._store.retain)
                await loop.run_in_executor(self._maintenance, self._compact)
                seen_before_ns = self._clock.now_ns() - int(self._forget_streams_s * 1e9)
                forgotten = await loop.run_in_executor(
                    self._maintenance, self._store.manifest.forget_streams, seen_before_ns
                )
                await self._in_worker(self._applier.accounts.forget, forgotten)
                self._forget(forgotten)
            except Exception as error:
                # Old segments that can't be dropped or put together are no reason to take nothing new.
                if not failing:
                    plain = isinstance(error, OSError)
                    log.error("store: maintenance failed and will be tried again: %s", error, exc_info=not plain)
                failing = True
            else:
                if failing:
                    log.warning("store: maintenance works again")
                failing = False

    def _compact(self) -> None:
        """Not beside a burst, whose sealings need the processor and memory more; but a burst may last."""
        calm = self._clock.monotonic() - self._full_at >= self._store.settings.compaction_calm_s
        (self._store.compact_all if calm else self._store.compact_overdue)()

    # End -------------------------------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> bool:
        """Apply what is durable and seal it; was all of that done in time? For while `run` goes on and the intake is
        stopped."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._applied_seq < self._journal.durable_seq:
                    await self._caught_up.wait()
                if self._sealing is not None:
                    await asyncio.shield(self._sealing)
                while self._applied_seq > self._store.committed_seq:
                    await self._begin_seal()
                    if self._held_up:
                        await self._clock.sleep(_HELD_UP_S)
                    elif self._sealing is not None:
                        await asyncio.shield(self._sealing)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """After `run` has ended."""
        if self._sealing is not None:
            self._sealing.cancel()
        self._worker.shutdown()
        self._maintenance.shutdown()
