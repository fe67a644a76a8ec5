"""The log of what was taken: followed by others while it grows, and held for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.wal import Committed, Wal, file_path, numbered, records_from
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject
from tests.collector.metrics.frames import T0_NS, frame


def committed(seq: int, values: int = 1) -> Committed:
    return Committed(seq, [("h", frame(seq, {"job=j": {f"m{{n={n}}}": float(seq * n) for n in range(values)}}))])


def everything(wal: Wal) -> list[int]:
    """Seqs of all records, read as a follower does."""
    found = []
    for number, path in numbered(wal.folder):
        until = wal.end[1] if number == wal.end[0] else path.stat().st_size
        found += [record.seq for _, record in records_from(path, 0, until)]
    return found


def test_a_follower_sees_what_is_durable_and_no_more(tmp_path: Path) -> None:
    wal = Wal(tmp_path)
    assert wal.end == (0, 0)
    wal.append(committed(1))
    first = wal.end
    wal.append(committed(2))
    path = file_path(tmp_path, 0)
    assert [(at, record.seq) for at, record in records_from(path, 0, first[1])] == [(first[1], 1)]
    assert [(at, record.seq) for at, record in records_from(path, first[1], wal.end[1])] == [(wal.end[1], 2)]
    with path.open("ab") as file:
        file.write(b"torn")
    again = Wal(tmp_path)
    assert again.end == (0, wal.end[1] + 4)
    assert [record.seq for record in again.replay(0)] == [1, 2]
    assert again.end == wal.end


def test_what_is_damaged_is_told(tmp_path: Path) -> None:
    wal = Wal(tmp_path)
    wal.append(committed(1))
    path = file_path(tmp_path, 0)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(Reject, match="damaged from byte 0 on"):
        next(records_from(path, 0, len(data)))


def test_files_are_of_a_bounded_size_and_replayed_in_order(tmp_path: Path) -> None:
    wal = Wal(tmp_path, file_bytes=2_000)
    for seq in range(40):
        wal.append(committed(seq, 50))
    assert len(numbered(tmp_path)) > 3
    assert max(path.stat().st_size for _, path in numbered(tmp_path)) < 4_000
    assert everything(wal) == list(range(40))
    assert [record.seq for record in Wal(tmp_path).replay(0)] == list(range(40))


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.store = SampleStore(self.folder, HistorySettings(), ManualClock(T0_NS), CollectorRegistry())

    def take(self, at_s: float) -> None:
        self.store.take("h", frame(at_s, {"job=j": {"m": at_s}}))
        self.store.commit(int(at_s))

    def flush(self) -> None:
        written = self.store.flush()
        assert written is not None
        assert written.result(20)

    def files(self) -> list[int]:
        return [number for number, _ in numbered(self.folder / "wal")]

    def values(self) -> list[float]:
        found = self.store.source("default").select(
            [Matcher(NAME_LABEL, MatchOp.EQUAL, "m")], -(1 << 60), 1 << 60, 1 << 30
        )
        return [float(value) for value in found.values]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_what_comes_after_a_flush_and_a_restart_survives_the_next_one(desk: Desk) -> None:
    """Nothing of the log is there then, and its next file must not get a number that a replay passes over."""
    desk.take(1)
    desk.flush()
    assert desk.files() == []
    desk.open()
    desk.take(2)
    desk.open()
    assert desk.values() == [1, 2]


@pytest.mark.parametrize(("held", "left"), [(0, [0, 1, 2]), (1, [1, 2]), (2, [2]), (9, [2])])
def test_files_that_somebody_still_needs_stay(desk: Desk, held: int, left: list[int]) -> None:
    hold: Callable[[], int] = lambda: held  # noqa: E731
    desk.store.hold_wal(lambda: 0)
    for at_s in (1, 2):
        desk.take(at_s)
        desk.flush()
    desk.take(3)
    assert desk.files() == [0, 1, 2]
    desk.store.hold_wal(hold)
    desk.store.release_wal()
    assert desk.files() == left
    desk.open()
    assert desk.values() == [1, 2, 3]
