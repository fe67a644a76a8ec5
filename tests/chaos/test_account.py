"""The verifier itself: it must find a loss, a repeat, a false excuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deckwatch.wire.identity import fingerprint, stream_key
from deckwatch.wire.model import StreamId
from tests.chaos.account import account, excuse, keys_of
from tests.chaos.ledger import Ledger
from tests.chaos.row import Outcome
from tests.chaos.stored import DeclaredGap
from tests.chaos.table import heading, line, markdown
from tests.chaos.writer import LogWriter

AGENT = "machine-1"


@pytest.mark.parametrize(
    ("stored", "lost", "repeated", "balances"),
    [
        ([2, 0, 1], (), (), True),
        ([0, 2], (1,), (), False),
        ([0, 1, 2, 1], (), (1,), False),
        ([0, 2, 2, 2], (1,), (2,), False),
        ([0, 1, 2, 7], (), (), False),  # a number that nobody wrote
        ([], (0, 1, 2), (), False),
    ],
)
def test_account(stored: list[int], lost: tuple[int, ...], repeated: tuple[int, ...], balances: bool) -> None:
    found = account(3, np.array(stored, np.int64))
    assert (found.lost, found.repeated, found.balances) == (lost, repeated, balances)


def test_what_stands_on_two_disks_may_be_there_twice() -> None:
    assert account(3, np.array([0, 0, 1, 2], np.int64), copied=1).repeated == ()
    assert account(3, np.array([0, 0, 0, 1, 2, 2], np.int64), copied=1).repeated == (0, 2)


class Log:
    """30 numbers in a file; those from 20 on may be destroyed by a truncation; 10 more behind it."""

    def __init__(self, folder: Path, *, unread: bool) -> None:
        self.ledger = Ledger()
        log = LogWriter(folder / "app.log", self.ledger)
        log.write(20)
        self.read_to = log.generation.size
        log.write(10)
        self.size = log.generation.size
        log.truncate(unread_from=self.read_to if unread else None)
        log.write(10)
        log.close()

    def gap(self, start: int, end: int, *, generation: int = 0, suffix: str = "") -> DeclaredGap:
        one = self.ledger.generations[generation]
        name = fingerprint(bytes(one.head[: one.head.index(b"\n") + 1])) + suffix
        key = stream_key(StreamId(AGENT, one.path, name))
        return DeclaredGap(key, one.path, start, end, "truncated", "")


LOST = range(20, 30)


def excused(log: Log, gaps: Sequence[DeclaredGap], lost: Sequence[int] = LOST) -> tuple[int, int, int, int]:
    found = excuse(lost, log.ledger, gaps, keys_of([AGENT]))
    return len(found.excused), len(found.unexcused), found.undeclared, len(found.idle_gaps)


def test_what_was_destroyed_and_declared_is_excused(tmp_path: Path) -> None:
    log = Log(tmp_path, unread=True)
    assert excused(log, [log.gap(log.read_to, log.size)]) == (10, 0, 0, 0)
    assert excused(log, [log.gap(log.read_to, -1, suffix=".1")]) == (10, 0, 0, 0)


def test_what_was_destroyed_and_not_declared_is_not_excused(tmp_path: Path) -> None:
    log = Log(tmp_path, unread=True)
    assert excused(log, []) == (0, 10, 10, 0)
    behind = log.gap(log.size, -1)
    assert excused(log, [behind]) == (0, 10, 10, 1)
    elsewhere = log.gap(log.read_to, -1, generation=1)
    assert excused(log, [elsewhere]) == (0, 10, 10, 1)


def test_what_could_be_read_is_never_excused(tmp_path: Path) -> None:
    log = Log(tmp_path, unread=False)
    assert excused(log, [log.gap(log.read_to, log.size)]) == (0, 10, 0, 0)
    log = Log(tmp_path, unread=True)
    assert excused(log, [log.gap(0, log.size)], lost=[19, *LOST]) == (10, 1, 0, 0)


def test_a_gap_over_what_is_there_is_idle(tmp_path: Path) -> None:
    log = Log(tmp_path, unread=True)
    assert excused(log, [log.gap(log.read_to, log.size)], lost=[]) == (0, 0, 0, 1)


def test_numbers_stand_where_the_ledger_says(tmp_path: Path) -> None:
    ledger = Ledger()
    one, two = LogWriter(tmp_path / "one", ledger), LogWriter(tmp_path / "two", ledger)
    for _ in range(3):
        one.write(2)
        two.put_raw(b"banner\n")
        two.write(3)
    one.close()
    two.close()
    for number in range(ledger.sent):
        place = ledger.place(number)
        text = Path(place.generation.path).read_bytes()[place.start : place.end]
        assert text.startswith(f"number {number} of".encode())
        assert text.endswith(b"\n")


def test_table() -> None:
    good = Outcome("a row", 3, sent=1000, stored=1000, agent_rss_bytes=51_300_000, seconds=2.25)
    bad = Outcome("b", 0, sent=2, stored=2, lost=(0,), repeated=(1,), faults=("it hung",))
    skipped = Outcome("c", 0, skipped="no root")
    assert [one.good for one in (good, bad, skipped)] == [True, False, True]
    assert line(good).split() == ["a", "row", "3", "1,000", "1,000", "0", "0", "0", "0", "51.3", "2.2"]
    assert len(heading()) == len(line(good))
    assert "it hung" in line(bad)
    assert markdown([good, skipped]).splitlines()[2:] == [
        "| a row | 3 | 1,000 | 1,000 | 0 | 0 | 0 | 0 | 51.3 | 2.2 |",
        "| c | 0 | skipped: no root |  |  |  |  |  |  |  |",
    ]
