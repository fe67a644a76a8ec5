from __future__ import annotations

import logging
import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from agent.sample.metrics import FaultLog, SampleMetrics
from agent.sample.source import SourceThread
from deckwatch.wire.model import Samples


class Slow:
    """A source whose looks take until they are let go, or fail."""

    name = "slow"

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.let_go.set()
        self.failure: Exception | None = None
        self.closed = False

    def look(self, now_ns: int) -> Samples:
        self.let_go.wait(30)
        if self.failure is not None:
            raise self.failure
        return Samples(self.name, now_ns, "default", (), ())

    def close(self) -> None:
        self.closed = True


def soon() -> float:
    return time.monotonic() + 10


def test_late_failed_and_well_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source, registry = Slow(), CollectorRegistry()
    thread = SourceThread(source, SampleMetrics(registry))

    def count(outcome: str) -> float | None:
        return registry.get_sample_value("deckwatch_agent_sample_looks_total", {"source": "slow", "outcome": outcome})

    thread.begin(1)
    assert thread.collect(soon()) == Samples("slow", 1, "default", (), ())
    source.let_go.clear()
    thread.begin(2)
    assert thread.collect(time.monotonic() + 0.05) is None
    thread.begin(3)  # not taken: the second look is still under way
    assert thread.collect(time.monotonic()) is None
    assert count("late") == 2
    source.let_go.set()
    thread.begin(4)
    answer = thread.collect(soon())
    assert answer is not None
    assert answer.ts_ns == 2  # what the late look found, at its own time
    source.failure = OSError("no such thing")
    for _ in range(3):
        thread.begin(5)
        assert thread.collect(soon()) is None
    source.failure = None
    thread.begin(6)
    assert thread.collect(soon()) is not None
    assert (count("done"), count("failed")) == (3, 3)
    assert [record.message for record in caplog.records] == [
        "sampling slow is late; its metrics are missing until it answers",
        "sampling slow works again",
        "sampling slow failed: OSError('no such thing')",
        "sampling slow works again",
    ]
    thread.close(10)
    assert source.closed


def test_a_source_that_hangs_is_not_waited_for() -> None:
    source = Slow()
    thread = SourceThread(source, SampleMetrics(CollectorRegistry()))
    source.let_go.clear()
    thread.begin(1)
    begun = time.monotonic()
    thread.close(0.05)
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
