"""Remote writes in the history: taken once, durable with a commit, each sample that can't be taken told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cramjam
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.promql.source import STALE
from collector.metrics.remote.encode import encode_labels, write_request
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.wal import Write
from collector.metrics.tsdb.writes import Verdict, rounds
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject, Retry
from tests.collector.metrics.frames import T0_NS, frame, labels

T0_MS = T0_NS // 1_000_000
Given = Mapping[str, Sequence[tuple[float, float]]]
"""`name,label=value` -> [(seconds after T0, value)]"""


def body(given: Given) -> bytes:
    series = []
    for text, points in given.items():
        name, _, rest = text.partition(",")
        times = [T0_MS + round(at_s * 1000) for at_s, _ in points]
        pairs = (*(((NAME_LABEL, name),) if name else ()), *labels(rest))
        series.append((encode_labels(pairs), times, [value for _, value in points]))
    return bytes(cramjam.snappy.compress_raw(write_request(series)))


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(T0_NS)
        self.open()

    def open(self) -> None:
        self.registry = CollectorRegistry()
        self.store = SampleStore(self.folder, HistorySettings(), self.clock, self.registry)

    def write(self, given: Given, received_s: float = 100, tenant: str = "default") -> Verdict:
        return self.store.take_write(Write(tenant, T0_MS + int(received_s * 1000), body(given)))

    def found(self, name: str, tenant: str = "default") -> list[list[tuple[float, float]]]:
        known = self.store.tenant(tenant)
        assert known is not None
        got = known.select([Matcher(NAME_LABEL, MatchOp.EQUAL, name)], -(1 << 60), 1 << 60)
        pairs = list(zip(((got.times_ms - T0_MS) / 1000).tolist(), got.values.tolist(), strict=True))
        return [pairs[low:high] for low, high in zip(got.offsets[:-1], got.offsets[1:], strict=True)]

    def flush(self) -> None:
        self.store.commit(0)
        written = self.store.flush()
        assert written is not None
        assert written.result(20)

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("deckwatch_history_samples_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "samples")
    yield desk
    desk.store.close()


def test_series_with_times_of_their_own(desk: Desk) -> None:
    assert desk.write({"a,x=1": [(0, 1), (15, 2)], "a,x=2": [(3.5, 7)], "b": [(1, 1)]}) == Verdict()
    assert desk.write({"a,x=2": [(20, 8)], "a,x=1": [(30, 3)]}) == Verdict()
    assert desk.found("a") == [[(0, 1), (15, 2), (30, 3)], [(3.5, 7), (20, 8)]]
    assert (desk.count("added"), desk.count("repeated"), desk.count("late")) == (6, 0, 0)


def test_frames_of_agents_and_writes_live_side_by_side(desk: Desk) -> None:
    desk.store.take("h1", frame(0, {"name=web": {"a": 1}}))
    desk.write({"a,x=1": [(0, 1)]})
    desk.store.take("h1", frame(10, {"name=web": {"a": 2}}))
    assert desk.found("a") == [[(0, 1), (10, 2)], [(0, 1)]]


def test_bits_of_values_are_kept(desk: Desk) -> None:
    desk.write({"a": [(0, math.nan), (1, float(STALE)), (2, -0.0), (3, math.inf)]})
    for _ in range(2):
        known = desk.store.tenant("default")
        assert known is not None
        got = known.select([Matcher(NAME_LABEL, MatchOp.EQUAL, "a")], T0_MS, T0_MS + 10_000)
        wanted = np.array([math.nan, STALE, -0.0, math.inf]).view(np.uint64).tolist()
        assert got.values.view(np.uint64).tolist() == wanted
        if not known.blocks:
            desk.flush()


@pytest.mark.parametrize("flushed", [False, True])
def test_what_was_committed_is_there_after_a_kill(desk: Desk, flushed: bool) -> None:
    desk.write({"a": [(0, 1), (15, 2)]})
    if flushed:
        desk.flush()
    desk.write({"a": [(30, 3)], "b": [(0, 1)]})
    desk.write({"a": [(10, 9)]})  # out of order, then as now
    desk.store.commit(0)
    desk.write({"a": [(45, 4)]})
    desk.open()
    assert desk.found("a") == [[(0, 1), (15, 2), (30, 3)]]
    assert desk.found("b") == [[(0, 1)]]
    assert desk.write({"a": [(45, 4)]}) == Verdict()
    assert desk.found("a") == [[(0, 1), (15, 2), (30, 3), (45, 4)]]


def test_a_request_that_comes_again_is_no_fault(desk: Desk) -> None:
    given: Given = {"a": [(0, 1), (15, 2), (30, 3)], "b": [(0, 1)]}
    desk.write(given)
    assert desk.write(given) == Verdict()
    assert desk.found("a") == [[(0, 1), (15, 2), (30, 3)]]
    assert (desk.count("added"), desk.count("repeated"), desk.count("late")) == (4, 4, 0)


@pytest.mark.parametrize(
    ("given", "reason", "example"),
    [
        ({"a": [(5, 1)]}, "out of order sample", '{__name__="a"} at 1700000005.000'),
        ({"a": [(60, 1), (50, 1)]}, "out of order sample", '{__name__="a"} at 1700000050.000'),
        ({"old,x=1": [(-16 * 86400, 1)]}, "too old sample: older than what is kept", '{__name__="old", x="1"} at'),
        ({"new": [(702, 1)]}, "out of bounds: more than 10 minutes in the future", '{__name__="new"} at'),
        ({",x=1": [(0, 1)]}, "invalid series: a series has no metric name", "series 0 of the request"),
    ],
)
def test_what_can_never_be_taken_is_told_and_the_rest_is_kept(
    desk: Desk, given: Given, reason: str, example: str
) -> None:
    desk.write({"a": [(10, 1)]})
    verdict = desk.write({**given, "good": [(0, 1)]})
    assert verdict.refused == {reason: 1}
    assert verdict.example.startswith(example)
    assert desk.found("good") == [[(0, 1)]]


def test_a_body_that_is_none(desk: Desk) -> None:
    for bad, word in ((b"", "snappy"), (b"\xff\xff\xff\xff\x0f", "at most"), (b"\x04\x0cabcd", "not a WriteRequest")):
        with pytest.raises(Reject, match=word):
            desk.store.take_write(Write("default", T0_MS, bad))
    desk.store.commit(5)
    desk.open()
    assert desk.store.position() == 5


def test_a_refusing_disk_keeps_a_write_for_the_next_commit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write({"a": [(0, 1)]})
    with monkeypatch.context() as broken:
        broken.setattr("os.fdatasync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(Retry, match="No space left"):
            desk.store.commit(0)
    desk.store.commit(0)
    desk.open()
    assert desk.found("a") == [[(0, 1)]]


def test_tenants_are_kept_apart(desk: Desk) -> None:
    desk.write({"a": [(0, 1)]}, tenant="blue")
    desk.write({"a": [(0, 2)]})
    assert (desk.found("a"), desk.found("a", "blue")) == ([[(0, 2)]], [[(0, 1)]])


def test_a_sender_of_old_samples_does_not_make_a_block_of_each_request(desk: Desk) -> None:
    for step in range(10):
        desk.write({"a": [(-86_400 + step, step)]})
        desk.store.commit(step)
        desk.clock.jump_wall(1)
    known = desk.store.tenant("default")
    assert known is not None
    desk.store.close()
    assert len(known.blocks) == 1


def test_rounds() -> None:
    places = np.array([3, 1, 3, 3, 2, 1])
    assert [sorted(part.tolist()) for part in rounds(places)] == [[0, 1, 4], [2, 5], [3]]
    assert list(rounds(np.empty(0, np.int64))) == []
