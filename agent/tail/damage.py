"""Where a file can't be read, in whole lines: a bad disk gives EIO for some pages, a damaged .gz ends at a point.

What can be read in front of a damage is read up to its last line's end; behind it, reading goes on with the first whole
line. A line that the damage tears is lost with it: half of it would be taken for a line.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.tail.logfile import BLOCK_BYTES, LogFile
from agent.tail.mark import PROBE_BYTES, Mark
from deckwatch.wire.identity import crc32c

_STEP_BYTES = 1 << 18
_CLOSE_BLOCKS = 64
"""Looked at one by one; a damage that goes further is crossed in doubled steps: each try may take a disk seconds."""


class Damage(msgspec.Struct, frozen=True):
    """Bytes [start, end) are lost, both at a line's end; `end` -1: all that follows, however much it is. `behind`: what
    reading goes on from; a CRC begins anew there, since nobody knows the bytes before it."""

    start: int
    end: int
    behind: Mark = Mark()


def survey(file: LogFile, offset: int) -> Damage | None:
    """The first damage behind a line's beginning; None: all can be read from there to the end. Raises OSError where
    the file can't even be looked at."""
    start, bad = _last_line_end(file, offset)
    if bad is None:
        return None
    size = file.stat().size
    if size is None:
        return Damage(start, -1)
    good, end = _next_line(file, bad, size)
    return Damage(start, end, _mark_from(file, good, end))


def _last_line_end(file: LogFile, offset: int) -> tuple[int, int | None]:
    """Where the last line ends before the first damage, and where that is; None: there is none."""
    at = line_end = offset
    while True:
        data = file.salvage(_STEP_BYTES, at)
        if newline := data.rfind(b"\n") + 1:
            line_end = at + newline
        at += len(data)
        if len(data) == _STEP_BYTES:
            continue
        if _can_read(file, at):
            return line_end, None
        return line_end, at


def _can_read(file: LogFile, offset: int) -> bool:
    try:
        file.pread(1, offset)
    except OSError:
        return False
    return True


def _next_line(file: LogFile, bad: int, size: int) -> tuple[int, int]:
    """From where it can be read again, and where the first line begins there; both are `size` where nothing follows."""
    while (good := next_readable(lambda offset: _can_read(file, offset), bad, size)) is not None:
        at = good
        while data := file.salvage(min(_STEP_BYTES, size - at), at):
            if (newline := data.find(b"\n")) >= 0:
                return good, at + newline + 1
            at += len(data)
        if at >= size:
            break
        bad = at
    return size, size


def next_readable(can_read: Callable[[int], bool], bad: int, size: int) -> int | None:
    """The first block behind `bad` that can be read; None: there is none before `size`. Behind many bad ones in a row
    blocks are skipped, and the border is searched between the last bad and the first good one."""
    block = bad // BLOCK_BYTES
    step, last = 1, -(-size // BLOCK_BYTES)
    for tried in range(last):
        worse, block = block, min(block + step, last - 1)
        if block <= worse:
            break
        if can_read(block * BLOCK_BYTES):
            return _border(can_read, worse, block) * BLOCK_BYTES
        step = step * 2 if tried >= _CLOSE_BLOCKS else 1
    return None


def _border(can_read: Callable[[int], bool], bad: int, good: int) -> int:
    while good - bad > 1:
        middle = (bad + good) // 2
        if can_read(middle * BLOCK_BYTES):
            good = middle
        else:
            bad = middle
    return good


def _mark_from(file: LogFile, good: int, end: int) -> Mark:
    """Its probe lies behind the damage."""
    length = min(PROBE_BYTES, end - good)
    probe = file.pread(length, end - length) if length else b""
    return Mark(end, 0, len(probe), crc32c(probe))
