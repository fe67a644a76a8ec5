"""Our position against the collector's: who goes where. The decision is pure; `settle` acts on a tail."""

from __future__ import annotations

from enum import StrEnum

from agent.tail.mark import START, Mark, holds
from agent.tail.state import PlannedGap
from agent.tail.tail import Tail
from deckwatch.runtime.files import told_path
from deckwatch.wire.model import GapReason, Position


class Standing(StrEnum):
    SAME = "same"
    AHEAD = "ahead"  # an ack was lost: the collector has more than we know of
    BEHIND = "behind"  # it was restored from a backup, or never fsynced what it acked
    DIVERGED = "diverged"  # other bytes under the same name


class Settlement(StrEnum):
    AGREED = "agreed"
    MOVED = "moved"  # our position is the collector's now, in either direction
    GAP = "gap"  # the collector lost bytes that we don't have either: declared
    DIVERGE = "diverge"  # the file has to go as a new stream


def standing(ours: Position, theirs: Position) -> Standing:
    if theirs.offset == ours.offset:
        return Standing.SAME if theirs.crc == ours.crc else Standing.DIVERGED
    return Standing.AHEAD if theirs.offset > ours.offset else Standing.BEHIND


def settle(tail: Tail, theirs: Position, ts_ns: int) -> Settlement:
    """Bring a tail to the collector's position, never without having seen the bytes' CRC there. Raises OSError."""
    stands = standing(tail.acked.position, theirs)
    if stands is Standing.SAME:
        return Settlement.AGREED
    if stands is Standing.DIVERGED:
        return Settlement.DIVERGE
    if tail.file is not None and holds(tail.file, _readable_before(tail, theirs), theirs):
        tail.ack(tail.mark_at(theirs))
        tail.rewind()
        return Settlement.MOVED
    if stands is Standing.AHEAD:
        if tail.file is not None:
            return Settlement.DIVERGE
        tail.ack(Mark(theirs.offset, theirs.crc))  # nothing left to compare with: the collector's word holds
        tail.rewind()
        return Settlement.MOVED
    _declare_restored(tail, theirs, ts_ns)
    return Settlement.GAP


def _readable_before(tail: Tail, theirs: Position) -> Mark:
    """From where the CRC is counted: bytes of a planned gap can't be read."""
    behind = (gap.behind for gap in tail.gaps if 0 <= gap.end <= theirs.offset)
    return max(behind, key=lambda mark: mark.offset, default=tail.acked)


def _declare_restored(tail: Tail, theirs: Position, ts_ns: int) -> None:
    ours = tail.acked
    detail = f"{told_path(tail.path)}: acked to {ours.offset}, the collector is back at {theirs.offset}"
    later = [gap for gap in tail.gaps if gap.start >= ours.offset]
    gap = PlannedGap(theirs.offset, ours.offset, ours, GapReason.RESTORED, ts_ns, detail)
    tail.acked = Mark(theirs.offset, theirs.crc) if theirs.offset else START
    tail.gaps = (gap, *later)
    tail.over = False
    tail.rewind()
