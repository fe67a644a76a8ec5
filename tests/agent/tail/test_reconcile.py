from __future__ import annotations

from pathlib import Path

import pytest

from agent.model import LogSource
from agent.tail.logfile import open_log
from agent.tail.reconcile import Settlement, Standing, settle, standing
from agent.tail.rotation import Place
from agent.tail.tail import Tail
from deckwatch.wire.identity import crc32c, fingerprint
from deckwatch.wire.model import Format, GapReason, Position

TEXT = b"".join(b"line %d\n" % i for i in range(1000))


def at(offset: int, text: bytes = TEXT) -> Position:
    return Position(offset, crc32c(text[:offset]))


@pytest.mark.parametrize(
    ("ours", "theirs", "stands"),
    [
        (Position(5, 1), Position(5, 1), Standing.SAME),
        (Position(5, 1), Position(5, 2), Standing.DIVERGED),
        (Position(5, 1), Position(9, 2), Standing.AHEAD),
        (Position(5, 1), Position(0, 0), Standing.BEHIND),
    ],
)
def test_standing(ours: Position, theirs: Position, stands: Standing) -> None:
    assert standing(ours, theirs) is stands


class Alone:
    """A log that has no other files."""

    def name_generation(self, first_bytes: bytes) -> str:
        return fingerprint(first_bytes)


def tail_at(tmp_path: Path, acked: int, *, file: bool = True) -> Tail:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    source = LogSource("s", str(path), format=Format.PLAIN)
    tail = Tail("agent", source, open_log(str(path)), Place.LIVE, 0.0, Alone())
    tail.name_now()
    tail.ack(tail.mark_at(at(acked)))
    if not file:
        opened = tail.lose(GapReason.DELETED, 0.0)
        assert opened
        opened.close()
    return tail


@pytest.mark.parametrize(
    ("theirs", "file", "result", "acked"),
    [
        (at(2000), True, Settlement.AGREED, 2000),
        (at(5000), True, Settlement.MOVED, 5000),  # an ack was lost
        (at(5000, b"?" + TEXT), True, Settlement.DIVERGE, 2000),
        (at(len(TEXT)), True, Settlement.MOVED, len(TEXT)),
        (Position(len(TEXT) + 1, 7), True, Settlement.DIVERGE, 2000),  # the file is shorter than what they have
        (Position(2000, 7), True, Settlement.DIVERGE, 2000),
        (at(1000), True, Settlement.MOVED, 1000),  # restored: sent again
        (Position(0, 0), True, Settlement.MOVED, 0),
        (Position(1000, 7), True, Settlement.GAP, 1000),  # restored to other bytes than the file's
        (at(5000), False, Settlement.MOVED, 5000),  # no file to compare with: their word
        (at(1000), False, Settlement.GAP, 1000),
    ],
)
def test_settle(tmp_path: Path, theirs: Position, file: bool, result: Settlement, acked: int) -> None:
    tail = tail_at(tmp_path, 2000, file=file)
    assert settle(tail, theirs, ts_ns=1) is result
    assert tail.acked.offset == tail.read.offset == acked
    gaps = [(gap.start, gap.end, gap.behind.position) for gap in tail.gaps if gap.reason is GapReason.RESTORED]
    assert gaps == ([(acked, 2000, at(2000))] if result is Settlement.GAP else [])
    tail.close()


def test_after_the_gap_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    tail = tail_at(tmp_path, 2000)
    settle(tail, Position(1000, 7), ts_ns=1)
    gap, chunk = tail.next_piece(1 << 20, 0.0, 5.0), tail.next_piece(1 << 20, 0.0, 5.0)
    assert gap
    assert gap.gap
    assert chunk
    assert (chunk.start.position, chunk.data) == (at(2000), TEXT[2000:])
    tail.close()
