"""A position that can be checked again: offset, running CRC, and a CRC of the bytes just before it.

The running CRC proves everything up to the offset but needs a read from the start; the probe of one KiB is cheap
enough to be checked at every look, and betrays a file that was truncated and has grown past the position again. So is
the file's head, which tells files apart that have their first line in common: that alone is in a stream's name.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from deckwatch.wire.identity import FINGERPRINT_BYTES, crc32c
from deckwatch.wire.model import Position

PROBE_BYTES = 1024
_STEP_BYTES = 1 << 20


class Readable(Protocol):
    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of what is there. Raises OSError."""
        ...


class Mark(msgspec.Struct, frozen=True, gc=False):
    offset: int = 0
    crc: int = 0  # CRC-32C of [0, offset)
    probe_bytes: int = 0
    probe_crc: int = 0  # CRC-32C of [offset - probe_bytes, offset)
    head_crc: int | None = None  # CRC-32C of [0, head_bytes); None: not known

    @property
    def head_bytes(self) -> int:
        return min(self.offset, FINGERPRINT_BYTES)

    @property
    def position(self) -> Position:
        return Position(self.offset, self.crc)


START = Mark()


def mark_behind(start: Mark, piece: bytes, file: Readable) -> Mark:
    """The mark after `piece`, which follows `start`. Only a short piece needs a look back into the file, not further
    than the probe before: what is there could be read."""
    end = start.offset + len(piece)
    probe = piece[-PROBE_BYTES:]
    if len(probe) < PROBE_BYTES and start.probe_bytes:
        before = min(PROBE_BYTES - len(probe), start.probe_bytes)
        probe = file.pread(before, start.offset - before) + probe
    return Mark(end, crc32c(piece, start.crc), len(probe), crc32c(probe), _head_behind(start, piece))


def _head_behind(start: Mark, piece: bytes) -> int | None:
    if start.offset >= FINGERPRINT_BYTES or (start.offset and start.head_crc is None):
        return start.head_crc
    return crc32c(piece[: FINGERPRINT_BYTES - start.offset], start.head_crc or 0)


def mark_at(file: Readable, position: Position, head: bytes = b"") -> Mark:
    """A position that is known to be right, with its probe taken from the file. `head`: the file's first bytes, where
    they can be had without reading all of it again."""
    length = min(PROBE_BYTES, position.offset)
    probe = file.pread(length, position.offset - length) if length else b""
    mark = Mark(position.offset, position.crc, len(probe), crc32c(probe))
    known = head[: mark.head_bytes]
    return msgspec.structs.replace(mark, head_crc=crc32c(known)) if len(known) == mark.head_bytes else mark


def probe_holds(file: Readable, mark: Mark) -> bool:
    """Are the bytes before the mark still those that were read? False too where the file has become shorter."""
    if not mark.probe_bytes:
        return True
    data = file.pread(mark.probe_bytes, mark.offset - mark.probe_bytes)
    return len(data) == mark.probe_bytes and crc32c(data) == mark.probe_crc


def head_holds(head: bytes, mark: Mark) -> bool:
    """Are a file's first bytes (FINGERPRINT_BYTES of them, where it has so many) those that were read?"""
    if mark.head_crc is None:
        return True
    known = head[: mark.head_bytes]
    return len(known) == mark.head_bytes and crc32c(known) == mark.head_crc


def crc_up_to(file: Readable, start: Position, end: int) -> int | None:
    """Running CRC at `end`, read on from `start`. None: the file does not reach that far."""
    at, crc = start.offset, start.crc
    while at < end:
        data = file.pread(min(_STEP_BYTES, end - at), at)
        if not data:
            return None
        crc = crc32c(data, crc)
        at += len(data)
    return crc


def holds(file: Readable, known: Mark, position: Position) -> bool:
    """Does the file have this position's bytes? Read on from `known` where that lies before it, else from 0."""
    start = known.position if known.offset <= position.offset and probe_holds(file, known) else Position(0, 0)
    return crc_up_to(file, start, position.offset) == position.crc


def same_text(one: Readable, other: Readable) -> bool:
    """Do two files hold the same bytes, to the end of both? Raises OSError."""
    at = 0
    while True:
        first, second = one.pread(_STEP_BYTES, at), other.pread(_STEP_BYTES, at)
        if first != second:
            return False
        if not first:
            return True
        at += len(first)
