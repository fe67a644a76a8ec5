"""Random lives of a log, read by the real tailer and shipped to the real rules of admission, against a model.

No thread, no HTTP and no waiting: hypothesis decides what happens next, and shrinks what went wrong to a few steps.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client import CollectorRegistry

from agent.model import LogSource
from agent.ship.batcher import Batcher, Sealed
from agent.ship.metrics import ShipMetrics
from agent.ship.outcome import AckApplier
from agent.tail.settings import TailSettings
from agent.tail.state import StreamMemory, StreamState
from agent.tail.tailer import Tailer
from deckwatch.wire.codec import decode_batch
from deckwatch.wire.model import Ack
from tests.agent.tail.modelled_log import ModelledLog
from tests.fixtures.fake_collector import FakeCollector

AGENT = "machine-1"
TAIL = TailSettings(
    chunk_bytes=4096, inotify=False, poll_s=0.5, late_write_s=1.0, settle_s=1.0, absent_s=2.0, ledger_entries=1000
)


class StepClock:
    """Real wall time, so that files' time stamps fit, plus what was stepped over."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_ns(self) -> int:
        return time.time_ns() + int(self.ahead_s * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps here")


class AgentModel:
    """Tailer, batcher and acks as the pipe puts them together, one step at a time."""

    def __init__(self, source: LogSource, collector: FakeCollector, clock: StepClock) -> None:
        self.source = source
        self.collector = collector
        self.clock = clock
        self.tailer: Tailer | None = None
        self.on_way: list[Sealed] = []
        self._checkpoint: tuple[StreamState, ...] | None = None
        self._batcher = Batcher(AGENT, "host", 1)
        self._turn = 0

    @property
    def running(self) -> Tailer:
        assert self.tailer is not None
        return self.tailer

    def start(self) -> None:
        first = self._checkpoint is None
        self.tailer = Tailer(TAIL, AGENT, StreamMemory(self._checkpoint or ()), self.clock, first_start=first)
        self._applier = AckApplier(self.tailer, ShipMetrics(CollectorRegistry()))
        self.on_way.clear()
        self.look()
        self._greet()

    def _greet(self) -> None:
        keys = self.running.positions.keys()
        known = {key: self.collector.positions[key] for key in keys if key in self.collector.positions}
        self.running.positions.settle_all(frozenset(keys), known)
        self.running.rewind()
        self._turn += 1

    def end(self, *, killed: bool) -> None:
        if not killed:
            self.save()
        self.running.close()
        self.tailer = None

    def save(self) -> None:
        self._checkpoint = tuple(self.running.states())

    def look(self) -> None:
        """At all that is due: without inotify, time must pass until it is."""
        self.clock.ahead_s += 1.2 * TAIL.poll_s
        self.running.sync({self.source.name: self.source})
        self.running.poll()

    def build(self, limit_bytes: int) -> None:
        tailer = self.running
        pieces = tailer.pieces(limit_bytes, TAIL.chunk_bytes)
        now_ns = self.clock.now_ns()
        closed = tailer.closed.values()
        sealed = self._batcher.seal(pieces, closed, lag_bytes=tailer.lag_bytes, now_ns=now_ns, turn=self._turn)
        if tailer.has_new_names:  # durable before anything of it is sent
            tailer.has_new_names = False
            self.save()
        if not sealed.empty:
            self.on_way.append(sealed)

    def taken(self) -> Ack:
        """The collector takes the next batch; whoever sent it may hear of that or not."""
        return self.collector.take(decode_batch(self.on_way[0].body, limit_bytes=1 << 30))

    def deliver(self, *, first_ack_lost: bool = False) -> None:
        if first_ack_lost:
            self.taken()
        sealed, ack = self.on_way[0], self.taken()
        del self.on_way[0]
        if self._applier.apply(sealed, ack).rewound:
            self._turn += 1
        self.on_way = [one for one in self.on_way if one.turn == self._turn]

    def shrink(self) -> None:
        """The collector wants smaller batches: everything again."""
        self.on_way.clear()
        self.running.rewind()
        self._turn += 1


class TailerLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="deckwatch-model-"))
        self.collector = FakeCollector()
        self.clock = StepClock()

    @initialize(banner=st.booleans(), keep=st.integers(1, 4))
    def begin(self, banner: bool, keep: int) -> None:
        path = self.folder / "app.log"
        self.log = ModelledLog(path, self.collector, keep=keep, banner=banner)
        self.log.create()
        self.agent = AgentModel(LogSource(str(path), str(path), f"{path}.*"), self.collector, self.clock)
        self._start()

    def _start(self) -> None:
        self.agent.start()
        self.log.looked()

    @property
    def up(self) -> bool:
        return self.agent.tailer is not None

    # The log ----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.log.exists)
    @rule(lines=st.integers(1, 5), size=st.sampled_from((3, 30, 300, 3000)))
    def write(self, lines: int, size: int) -> None:
        self.log.write(lines, size)

    @precondition(lambda self: self.log.exists)
    @rule()
    def write_part(self) -> None:
        self.log.write_part()

    @precondition(lambda self: self.log.exists)
    @rule()
    def write_longer_than_a_chunk(self) -> None:
        self.log.write(1, 9000)

    @precondition(lambda self: self.log.exists)
    @rule(copy=st.booleans())
    def rotate(self, copy: bool) -> None:
        self.log.rotate(copy=copy)

    @rule()
    def compress(self) -> None:
        self.log.compress()

    @precondition(lambda self: self.log.exists)
    @rule()
    def truncate(self) -> None:
        self.log.truncate()

    @precondition(lambda self: self.log.exists)
    @rule()
    def delete(self) -> None:
        self.log.delete()

    @precondition(lambda self: not self.log.exists)
    @rule()
    def recreate(self) -> None:
        self.log.create()

    # The agent --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.up)
    @rule()
    def look(self) -> None:
        self.agent.look()
        self.log.looked()

    @precondition(lambda self: self.up and len(self.agent.on_way) < 2)
    @rule(limit_bytes=st.sampled_from((4096, 65536)))
    def build(self, limit_bytes: int) -> None:
        self.agent.build(limit_bytes)

    @precondition(lambda self: self.up and self.agent.on_way)
    @rule(first_ack_lost=st.booleans())
    def deliver(self, first_ack_lost: bool) -> None:
        self.agent.deliver(first_ack_lost=first_ack_lost)

    @precondition(lambda self: self.up)
    @rule(times=st.integers(1, 3))
    def ship(self, times: int) -> None:
        """All of these, as on a good day."""
        for _ in range(times):
            self.look()
            self.agent.build(65536)
            while self.agent.on_way:
                self.agent.deliver()

    @precondition(lambda self: self.up)
    @rule()
    def shrink(self) -> None:
        self.agent.shrink()

    @precondition(lambda self: self.up)
    @rule()
    def save(self) -> None:
        self.agent.save()

    @precondition(lambda self: self.up)
    @rule()
    def stop(self) -> None:
        self.agent.end(killed=False)
        self.log.agent_ended()

    @precondition(lambda self: self.up)
    @rule(taken_first=st.booleans())
    def kill(self, taken_first: bool) -> None:
        if taken_first and self.agent.on_way:
            self.agent.taken()
        self.agent.end(killed=True)
        self.log.agent_ended()

    @precondition(lambda self: not self.up)
    @rule()
    def start(self) -> None:
        self._start()

    @rule(seconds=st.sampled_from((0.3, 1.2, 5.0)))
    def pause(self, seconds: float) -> None:
        self.clock.ahead_s += seconds

    # The verdict ------------------------------------------------------------------------------------------------

    @invariant()
    def never_more_than_was_written(self) -> None:
        written = sum(len(generation.text) for generation in self.log.generations)
        assert sum(len(held.data) for held in self.collector.of_source(str(self.log.path))) <= written

    def teardown(self) -> None:
        try:
            if hasattr(self, "agent"):
                self._drain()
                self.log.check()
        finally:
            if hasattr(self, "agent") and self.up:
                self.agent.end(killed=True)
            shutil.rmtree(self.folder)

    def _drain(self) -> None:
        """Long enough for everything that only time decides."""
        if not self.up:
            self._start()
        quiet = 0
        for _ in range(400):
            self.agent.look()
            self.log.looked()
            self.agent.build(65536)
            quiet = 0 if self.agent.on_way else quiet + 1
            while self.agent.on_way:
                self.agent.deliver()
            if quiet > 12 and not self.agent.running.lag_bytes():
                return
        raise AssertionError(f"not drained: a lag of {self.agent.running.lag_bytes()} bytes")


LONG = ("write", {"lines": 1, "size": 9000})
SHIP = ("ship", {"times": 1})


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([LONG, ("rotate", {"copy": False}), ("compress", {}), SHIP], id="compressed before it was read"),
        pytest.param(
            [LONG, SHIP, ("rotate", {"copy": True}), LONG, LONG, SHIP], id="grown again with the same KiB there"
        ),
        pytest.param(
            [LONG, ("rotate", {"copy": True}), ("look", {}), ("rotate", {"copy": False})], id="copied, dropped"
        ),
    ],
)
def test_lives_that_went_wrong_once(steps: list[tuple[str, dict[str, Any]]]) -> None:
    life = TailerLife()
    life.begin(banner=False, keep=1)
    for name, arguments in steps:
        getattr(life, name)(**arguments)
    life.teardown()


EXAMPLES = int(os.environ.get("DECKWATCH_EXAMPLES", "0"))
"""How many other lives to try; 0: always the same few."""

TestTailerLife = TailerLife.TestCase
TestTailerLife.settings = settings(
    max_examples=EXAMPLES or 100,
    derandomize=not EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
