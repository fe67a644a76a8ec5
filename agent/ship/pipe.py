"""From tailed files to acked positions: look, build, send, apply. One batch is in building, one on its way.

The tailer and everything that hangs on it is touched by one thread only, the pipe's; the event loop asks it by `_do`.
So a slow disk holds up reading, but not the agent's server, its samples or its stop.

What is built while another batch is on its way stands on the guess that all of that one will be taken. Where the
answer says otherwise, reading goes back to what is acked, and what was built before (an older *turn*) is thrown away:
the file is the buffer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.model import LogSource
from agent.ship.answer import Smaller
from agent.ship.batcher import Batcher, Sealed
from agent.ship.checkpoint import VERSION, Checkpoint
from agent.ship.client import Client
from agent.ship.metrics import ShipMetrics
from agent.ship.outcome import AckApplier, Applied
from agent.ship.pace import Pace, Size
from agent.ship.remembering import Remembering
from agent.ship.settings import ShipSettings
from agent.ship.spool import SPOOL_SOURCE
from agent.tail.state import StreamState
from agent.tail.tail import Tail
from agent.tail.tailer import LEAST_POLL_S, Tailer
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.model import VERSION as WIRE_VERSION
from deckwatch.wire.model import Ack, GapReason, Hello, Position, Welcome

log = logging.getLogger(__name__)

T = TypeVar("T")

_NAMELESS_AT_ONCE = 50
"""Files whose names are asked for in one Hello: each has tens of possible ones."""
_STIR_S = 0.1
"""Between two looks because of inotify: a busy writer would wake us thousands of times."""


class Identity(msgspec.Struct, frozen=True):
    agent: str  # instance id
    host: str
    state_dir: Path
    timezone: str = ""  # of times in this host's log lines that name none


class Left(msgspec.Struct, frozen=True):
    """What is not acked."""

    lag_bytes: int
    spool_bytes: int
    streams: int

    @property
    def nothing(self) -> bool:
        return not self.lag_bytes and not self.spool_bytes


class Pipe:
    """Start `run` as a task; cancel it to stop. `close` afterwards writes the last checkpoint."""

    def __init__(
        self,
        identity: Identity,
        settings: ShipSettings,
        tailer: Tailer,
        client: Client,
        sources: Callable[[], Mapping[str, LogSource]],
        metrics: ShipMetrics,
        clock: Clock,
        *,
        epoch: str = "",
        recovering: bool = False,
    ) -> None:
        """`sources` is called in the event loop. `recovering`: there is no checkpoint, the collector may know more:
        of an agent whose state is lost, or of another one here that reads the same files."""
        self._identity = identity
        self._settings = settings
        self._tailer = tailer
        self._client = client
        self._sources = sources
        self._metrics = metrics
        self._clock = clock
        self._epoch = epoch
        self._recovering = recovering
        self._asked: set[Tail] = set()
        self._batcher = Batcher(identity.agent, identity.host, settings.zstd_level, identity.timezone)
        self._applier = AckApplier(tailer, metrics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="deckwatch-tail")
        self._turn = 0
        self._size = Size.full(settings.batch_bytes)
        self._most_body_bytes = 1 << 62
        self._most_chunk_bytes = tailer.settings.chunk_bytes
        self._told_lag_bytes = 0
        self._remembering = Remembering(identity.state_dir, self._snapshot, metrics, clock)
        self._remembering.written = self._delete_spool_files
        self._slot = asyncio.Semaphore(1)
        self._outbox: asyncio.Queue[Sealed] = asyncio.Queue(1)
        self._stirred = asyncio.Event()
        self._sources_changed = True
        self._hungry = asyncio.Event()
        self._greeted = asyncio.Event()
        self._backoff = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._trouble = ""
        tailer.hidden = frozenset({SPOOL_SOURCE})

    async def _do(self, act: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, *args)

    async def run(self) -> None:
        await self._look()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_looking(), name="agent-look")
            tasks.create_task(self._keep_building(), name="agent-build")
            tasks.create_task(self._keep_sending(), name="agent-send")
            saving = self._remembering.keep_saving(max(0.05, self._settings.checkpoint_s))
            tasks.create_task(saving, name="agent-checkpoint")

    # Looking ----------------------------------------------------------------------------------------------------

    def sources_changed(self) -> None:
        """To be called in the event loop when discovery or the spool have changed."""
        self._sources_changed = True
        self._stirred.set()

    def drop_spool_file(self, path: Path) -> None:
        """Declare what of a spool file is not acked, and delete it."""
        self._thread.submit(self._drop_spool_file, dict(self._sources()), path)

    def _drop_spool_file(self, sources: Mapping[str, LogSource], path: Path) -> None:
        self._tailer.sync(sources)
        self._tailer.drop(SPOOL_SOURCE, str(path), GapReason.SPOOL_FULL)
        path.unlink(missing_ok=True)
        self._metrics.spool_dropped.inc()

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        fd = self._tailer.changes.fileno()

        def stir() -> None:
            loop.remove_reader(fd)
            self._stirred.set()

        try:
            while True:
                if fd >= 0:
                    loop.add_reader(fd, stir)
                wait_s = await self._do(self._tailer.next_poll_in)
                due = wait_s <= LEAST_POLL_S  # a busy writer stirs us all the time
                try:
                    async with asyncio.timeout(wait_s):  # wait_for (3.11) may swallow a cancellation
                        await self._stirred.wait()
                except TimeoutError:
                    due = True
                if due:
                    await self._do(self._tailer.poll)
                self._stirred.clear()
                await self._look()
                await self._clock.sleep(_STIR_S)
        finally:
            if fd >= 0:
                loop.remove_reader(fd)

    async def _look(self) -> None:
        sources = dict(self._sources()) if self._sources_changed else None
        self._sources_changed = False
        if await self._do(self._look_in_thread, sources):
            self._hungry.set()

    def _look_in_thread(self, sources: Mapping[str, LogSource] | None) -> bool:
        if sources is not None:
            self._tailer.sync(sources)
        self._tailer.take_changes()
        return self._tailer.hungry

    # Building ---------------------------------------------------------------------------------------------------

    async def _keep_building(self) -> None:
        await self._greeted.wait()
        pace = Pace(self._settings.settle_s, self._settings.batch_age_s)
        last_built, last_full = 0.0, False
        while True:
            await self._slot.acquire()
            sealed: Sealed | None = None
            while sealed is None:
                was_idle = not self._hungry.is_set()
                await self._hungry.wait()
                now = self._clock.monotonic()
                wait_s = pace.wait_s(now=now, last_built=last_built, last_full=last_full, was_idle=was_idle)
                if wait_s:
                    await self._clock.sleep(wait_s)
                if self._recovering:
                    await self._ask_for_names()
                self._hungry.clear()
                last_built = self._clock.monotonic()
                sealed, more = await self._do(self._build)
                last_full = more and sealed is not None
                if more:
                    self._hungry.set()
            await self._outbox.put(sealed)

    def _build(self) -> tuple[Sealed | None, bool]:
        tailer = self._tailer
        chunk_bytes = min(self._most_chunk_bytes, self._size.now_bytes)
        sealed = self._batcher.seal(
            tailer.pieces(self._size.now_bytes, chunk_bytes),
            tailer.closed.values(),
            lag_bytes=tailer.lag_bytes,
            now_ns=self._clock.now_ns(),
            turn=self._turn,
        )
        self._remembering.new_names = self._remembering.new_names or tailer.has_new_names
        tailer.has_new_names = False
        self._metrics.read_bytes.inc(sealed.raw_bytes)
        if len(sealed.body) > self._most_body_bytes:
            self._shrink(sealed.raw_bytes)
            return None, True
        caught_up = bool(self._told_lag_bytes) and not sealed.lag_bytes
        return (None if sealed.empty and not caught_up else sealed), bool(tailer.has_ready)

    async def _delete_spool_files(self, checkpoint: Checkpoint) -> None:
        """Those whose frames are all acked. Not before that is remembered: whoever starts again and finds a file gone
        that was open when the checkpoint was written must declare a gap."""
        done = [s for s in checkpoint.streams if s.source == SPOOL_SOURCE and s.closed_ns and s.listed]
        if done:
            await self._do(self._delete_files_of, done)

    def _delete_files_of(self, done: list[StreamState]) -> None:
        for state in done:
            Path(state.path).unlink(missing_ok=True)
            self._tailer.unlisted(state)

    async def _ask_for_names(self) -> None:
        """Files that were shipped under names we don't know: the collector may. Some at a time, for there are many
        names that a file may have."""
        while names := await self._do(self._tailer.positions.nameless, self._asked, _NAMELESS_AT_ONCE):
            keys = [key for candidates in names.values() for key in candidates]
            welcome = await self._hello(keys)
            self._asked.update(names)
            await self._do(self._tailer.positions.recover_all, names, welcome.positions)
        self._asked = {tail for tail in self._asked if tail.file is not None and not tail.generation}

    # Sending ----------------------------------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        await self._greet()
        self._greeted.set()
        while True:
            sealed = await self._outbox.get()
            self._slot.release()
            if sealed.turn == self._turn:
                await self._deliver(sealed)
            else:
                self._metrics.batches.labels("dropped").inc()
            if self._told_lag_bytes and not self._hungry.is_set() and not await self._do(self._tailer.lag_bytes):
                self._hungry.set()  # an empty batch tells the collector that we have caught up

    async def _deliver(self, sealed: Sealed) -> None:
        """Until there is an answer. Whatever is uncertain is sent again: the collector knows what it has."""
        while True:
            try:
                await self._remembering.save_names()
                answer = await self._client.send(sealed.body)
            except Retry as fault:
                await self._wait(fault)
                continue
            if isinstance(answer, Smaller):
                await self._make_smaller(sealed, answer)
                return
            await self._take(sealed, answer)
            return

    async def _take(self, sealed: Sealed, ack: Ack) -> None:
        applied = await self._do(self._apply, sealed, ack)
        self._told_lag_bytes = sealed.lag_bytes
        self._size = self._size.taken()
        self._metrics.batches.labels("acked").inc()
        self._metrics.sent_bytes.inc(len(sealed.body))
        self._metrics.acked_bytes.inc(applied.acked_bytes)
        self._remembering.changed = self._remembering.changed or bool(sealed.parts) or bool(sealed.closed)
        if applied.rewound:
            self._hungry.set()
        if ack.epoch != self._epoch:
            log.info("the collector was restored, or started again after a crash: comparing all positions")
            await self._greet()
        if applied.retry:
            await self._wait(Retry(applied.retry))
        else:
            self._recovered()

    def _apply(self, sealed: Sealed, ack: Ack) -> Applied:
        applied = self._applier.apply(sealed, ack)
        self._turn += applied.rewound
        return applied

    async def _make_smaller(self, sealed: Sealed, answer: Smaller) -> None:
        self._metrics.batches.labels("too_large").inc()
        hopeless = self._size.is_least
        await self._do(self._shrink, sealed.raw_bytes)
        self._hungry.set()
        if hopeless:
            await self._wait(Retry(f"even the smallest batch is refused ({answer.why}); raise the collector's limits"))

    def _shrink(self, was_bytes: int) -> None:
        self._size = self._size.refused(was_bytes)
        self._tailer.rewind()
        self._turn += 1

    async def _greet(self) -> None:
        """Tell the collector which streams we know; it tells how much of them it has."""
        keys = await self._do(self._tailer.positions.keys)
        welcome = await self._hello(keys)
        self._most_body_bytes = welcome.max_batch_bytes
        self._most_chunk_bytes = min(self._tailer.settings.chunk_bytes, welcome.max_chunk_bytes)
        await self._do(self._settle, frozenset(keys), welcome.positions)
        self._epoch = welcome.epoch
        self._remembering.changed = True
        self._hungry.set()

    def _settle(self, asked: frozenset[str], theirs: Mapping[str, Position]) -> None:
        self._tailer.positions.settle_all(asked, theirs)
        self._tailer.rewind()
        self._turn += 1

    async def _hello(self, keys: list[str]) -> Welcome:
        hello = Hello((WIRE_VERSION,), self._identity.agent, self._identity.host, tuple(keys))
        while True:
            try:
                welcome = _understood(await self._client.hello(hello))
            except Retry as fault:
                await self._wait(fault)
                continue
            self._metrics.hellos.inc()
            self._recovered()
            return welcome

    async def _wait(self, fault: Retry) -> None:
        self._metrics.retries.inc()
        self._metrics.collector_up.set(0)
        if not self._trouble:
            log.warning("%s; reading waits, nothing is lost", fault)
        self._trouble = str(fault)
        await self._clock.sleep(self._backoff.next_s(fault.after_s))

    def _recovered(self) -> None:
        self._metrics.collector_up.set(1)
        if self._trouble:
            log.info("the collector answers again after %d tries", self._backoff.failures)
        self._trouble = ""
        self._backoff.reset()

    async def _snapshot(self) -> Checkpoint:
        streams = tuple(await self._do(self._tailer.states))
        return Checkpoint(VERSION, self._identity.agent, self._epoch, self._clock.now_ns(), streams)

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str:
        """Why nothing is sent at the moment; empty where all is well."""
        return self._trouble

    async def left(self) -> Left:
        """After a fresh look at every file."""
        sources = dict(self._sources()) if self._sources_changed else None
        self._sources_changed = False
        return await self._do(self._left, sources)

    def _left(self, sources: Mapping[str, LogSource] | None) -> Left:
        if sources is not None:
            self._tailer.sync(sources)
        lag = self._tailer.lag_bytes(fresh=True)
        left = Left(lag, self._tailer.hidden_lag_bytes(), len(self._tailer.tails()))
        self._metrics.lag_bytes.set(left.lag_bytes)
        self._metrics.spool_bytes.set(left.spool_bytes)
        self._metrics.streams.set(left.streams)
        self._metrics.linked_bytes.set(self._tailer.links.kept_bytes())
        return left

    async def tails(self) -> list[Tail]:
        return await self._do(self._tailer.tails)

    async def ledger(self) -> list[StreamState]:
        """Streams that were read to their end and let go."""
        return await self._do(list, self._tailer.memory.ledger())

    async def waiting(self) -> list[tuple[StreamState, int]]:
        """Streams of before the start that are to be found again, with the sizes of their files."""
        return await self._do(self._tailer.waiting)

    async def drain(self, limit_s: float) -> Left:
        """Wait until all is acked, at most so long. `run` must be running."""
        until = self._clock.monotonic() + limit_s
        while True:
            left = await self.left()
            if left.nothing or self._clock.monotonic() >= until:
                return left
            self._hungry.set()
            await self._clock.sleep(0.05)

    async def close(self) -> None:
        """The last checkpoint, then the files. After `run` has ended."""
        await self._remembering.try_to_save()
        await self.abandon()

    async def abandon(self) -> None:
        """Let go of everything as it is."""
        await self._do(self._tailer.close)
        self._thread.shutdown()


def _understood(welcome: Welcome) -> Welcome:
    """A collector that is being updated may speak ours soon. Raises Retry."""
    if welcome.version != WIRE_VERSION:
        raise Retry(
            f"the collector wants version {welcome.version}, this agent speaks {WIRE_VERSION}; update the older"
        )
    return welcome
