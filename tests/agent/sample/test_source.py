from __future__ import annotations

import logging
import threading
import time
from queue import Empty

import pytest
from prometheus_client import CollectorRegistry

from agent.sample.metrics import FaultLog, SampleMetrics
from agent.sample.source import Answers, SourceThread
from deckwatch.wire.model import Samples


class Slow:
    """A source whose looks take until they are let go, or fail."""

    name = "slow"

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.let_go.set()
        self.failure: Exception | None = None
        self.nothing = False
        self.takes_s = 0.0
        self.closed = False

    def look(self, now_ns: int) -> Samples | None:
        self.let_go.wait(30)
        time.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        if self.nothing:
            return None
        return Samples(self.name, now_ns, "default", (), ())

    def close(self) -> None:
        self.closed = True


class Rig:
    """One source's thread, and the queue that it answers to."""

    def __init__(self, source: Slow) -> None:
        self.registry = CollectorRegistry()
        self.answers = Answers()
        self.thread = SourceThread(source, SampleMetrics(self.registry), self.answers)

    def answer(self, within_s: float = 10) -> tuple[Samples, ...]:
        return self.thread.take(self.answers.get(timeout=within_s))

    def look(self, now_ns: int) -> tuple[Samples, ...]:
        assert self.thread.begin(now_ns)
        return self.answer()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"deckwatch_agent_sample_{name}", {"source": "slow", **labels})


def test_late_failed_and_well_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = Slow()
    rig = Rig(source)
    assert rig.look(1) == (Samples("slow", 1, "default", (), ()),)
    source.let_go.clear()
    assert rig.thread.begin(2)
    with pytest.raises(Empty):
        rig.answer(0.05)
    rig.thread.note_late()
    assert not rig.thread.begin(3)  # the second look is still under way
    assert rig.metric("looks_total", outcome="late") == 2
    source.let_go.set()
    (found,) = rig.answer()
    assert found.ts_ns == 2  # what the late look found, at its own time
    source.failure = OSError("no such thing")
    for _ in range(3):
        assert rig.look(5) == ()
    source.failure = None
    assert len(rig.look(6)) == 1
    assert (rig.metric("looks_total", outcome="done"), rig.metric("looks_total", outcome="failed")) == (3, 3)
    assert [record.message for record in caplog.records] == [
        "sampling slow is late; its metrics are missing until it answers",
        "sampling slow works again",
        "sampling slow failed: OSError('no such thing')",
        "sampling slow works again",
    ]
    rig.thread.close(10)
    assert source.closed


def test_how_long_and_when_last() -> None:
    source = Slow()
    rig = Rig(source)
    source.takes_s = 0.05
    rig.look(1)
    before = rig.metric("last_success_timestamp_seconds")
    assert 0.05 <= (rig.metric("duration_seconds") or 0) < 5
    assert before is not None
    assert abs(before - time.time()) < 60
    source.failure = OSError("no")
    source.takes_s = 0
    rig.look(2)
    assert rig.metric("last_success_timestamp_seconds") == before
    assert (rig.metric("duration_seconds") or 0) < 0.05
    rig.thread.close(10)


def test_a_source_that_has_nothing_new() -> None:
    source = Slow()
    rig = Rig(source)
    rig.look(1)
    source.nothing = True
    assert rig.look(2) == ()
    assert rig.metric("looks_total", outcome="done") == 2
    rig.thread.close(10)


def test_a_source_that_hangs_is_not_waited_for() -> None:
    source = Slow()
    rig = Rig(source)
    source.let_go.clear()
    rig.thread.begin(1)
    begun = time.monotonic()
    rig.thread.close(0.05)
    assert time.monotonic() - begun < 5
    assert not source.closed  # its descriptors are in use
    source.let_go.set()


def test_faults_are_counted_each_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    log = FaultLog(SampleMetrics(registry))
    for _ in range(5):
        log.note("/sys/fs/cgroup/x", PermissionError(13, "Permission denied"))
        log.note("/sys/fs/cgroup/x", ValueError("x is no number"))
    assert registry.get_sample_value("deckwatch_agent_sample_faults_total", {"reason": "EACCES"}) == 5
    assert registry.get_sample_value("deckwatch_agent_sample_faults_total", {"reason": "malformed"}) == 5
    assert len(caplog.records) == 2
    assert "its metrics are absent until it can be read" in caplog.records[0].message
