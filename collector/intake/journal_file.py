"""One file of the journal, as bytes. The format::

file   = magic (8 bytes, b"DWJRNL" + format version as u16 little endian) | first seq (u64) | record*
record = length of the payload (u32) | CRC-32C of all that follows (u32) | seq (u64) | received, Unix ns (i64)
         | kind (u8) | payload
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path

import msgspec

from deckwatch.runtime.faults import Unusable
from deckwatch.wire.identity import crc32c

MAGIC = b"DWJRNL"
FORMAT = 1
FILE_HEADER = struct.Struct("<6sHQ")
RECORD_HEADER = struct.Struct("<IIQqB")
COVERED = struct.Struct("<QqB")
_HOLE = struct.Struct("<Q")
_SECTOR_BYTES = 512  # the least that a disk writes
_MOST_ENDS = 16  # places where a record of a broken length may end: the next number may stand in its payload, too


class Kind(IntEnum):
    BATCH = 1
    DECISION = 2  # of the parser: groups closed by time
    REDRIVE = 4  # dead letters are to be tried again: collector/deadletters/redrive.py
    HOLE = 3  # the numbers of its payload (first, u64) up to its own were given once and are gone with damage


class Entry(msgspec.Struct, frozen=True):
    seq: int
    received_ns: int
    kind: Kind
    payload: bytes


class Segment(msgspec.Struct):
    first_seq: int
    path: Path
    size: int
    last_seq: int  # first_seq - 1 while it is empty


def hole(first_seq: int, last_seq: int) -> Entry:
    return Entry(last_seq, 0, Kind.HOLE, _HOLE.pack(first_seq))


def first_seq_of(entry: Entry) -> int:
    """Of the numbers that an entry stands for; all but a hole stand for their own."""
    return int(_HOLE.unpack(entry.payload)[0]) if entry.kind is Kind.HOLE else entry.seq


def record_of(entry: Entry) -> tuple[bytes, bytes]:
    covered = COVERED.pack(entry.seq, entry.received_ns, entry.kind)
    crc = crc32c(entry.payload, crc32c(covered))
    return struct.pack("<II", len(entry.payload), crc) + covered, entry.payload


def write_whole(descriptor: int, pieces: list[bytes]) -> None:
    """writev until all of it is written."""
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        count = os.writev(descriptor, left[:512])
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if count:
            left[0] = left[0][count:]


def check_header(path: Path, header: bytes) -> int | None:
    """The first seq of a file; None where its header is no header."""
    if len(header) < FILE_HEADER.size:
        return None
    magic, version, first_seq = FILE_HEADER.unpack(header)
    if magic != MAGIC:
        return None
    if version > FORMAT:
        raise Unusable(
            f"{path}: the journal has format {version}, this Deckwatch reads up to {FORMAT}: start the newer version"
            " that wrote it, or another data directory"
        )
    return int(first_seq)


def walk(path: Path) -> Iterator[tuple[Entry, int]]:
    """(entry, byte behind it) up to the first one that is not whole. Read without a buffer: of a write that failed it
    would keep what the file no longer has."""
    with path.open("rb", buffering=0) as file:
        if check_header(path, file.read(FILE_HEADER.size)) is None:
            return
        at = FILE_HEADER.size
        while True:
            header = file.read(RECORD_HEADER.size)
            if len(header) < RECORD_HEADER.size:
                return
            length, crc, seq, received_ns, kind = RECORD_HEADER.unpack(header)
            payload = file.read(length) if length <= 1 << 30 else b""
            if len(payload) < length or crc32c(payload, crc32c(header[8:])) != crc:
                return
            at += len(header) + length
            with contextlib.suppress(ValueError):
                yield Entry(seq, received_ns, Kind(kind), payload), at


def entries_of(path: Path) -> Iterator[Entry]:
    for entry, _ in walk(path):
        yield entry


def scan(path: Path, visit: Callable[[Entry], None] = lambda entry: None) -> tuple[Segment, int]:
    """A file's segment and how many of its bytes are good (0: not even its header). `visit` gets each good entry."""
    named = named_seq(path)
    with path.open("rb") as file:
        first_seq = check_header(path, file.read(FILE_HEADER.size))
        if first_seq != named:
            return Segment(named, path, 0, named - 1), 0
        good, last = FILE_HEADER.size, first_seq - 1
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for entry, at in _records(data):
                if first_seq_of(entry) != last + 1:
                    break
                visit(entry)
                good, last = at, entry.seq
    return Segment(named, path, good, last), good


def named_seq(path: Path) -> int:
    """The first number of a file, as its name has it (also where it was set aside). Raises Unusable."""
    try:
        return int(path.name.partition(".")[0], 16)
    except ValueError:
        raise Unusable(f"{path}: no name of a journal file (16 hex digits); move it out of the way") from None


def _records(data: mmap.mmap) -> Iterator[tuple[Entry, int]]:
    """Like `walk`, of a file that nobody writes to: a start reads all of the journal, and two calls of the system for
    each record of a few KiB would take most of that time."""
    at, size, head = FILE_HEADER.size, len(data), RECORD_HEADER.size
    while at + head <= size:
        length, crc, seq, received_ns, kind = RECORD_HEADER.unpack_from(data, at)
        end = at + head + length
        if end > size:
            return
        payload = data[at + head : end]
        if crc32c(payload, crc32c(data[at + 8 : at + head])) != crc:
            return
        at = end
        with contextlib.suppress(ValueError):
            yield Entry(seq, received_ns, Kind(kind), payload), at


def most_seq(path: Path) -> int:
    """No number in a file is higher, damaged as it may be: it has a record's header for each."""
    return named_seq(path) + path.stat().st_size // RECORD_HEADER.size


def tail_is_torn(path: Path, good: int, last_seq: int) -> bool:
    """Is what follows `good` one unfinished write (a crash), rather than damage with whole records behind it?

    Whole records are looked for by their numbers, not by going on behind the broken one: its length may be what is
    broken. A record of which every byte is there is damage too, though it may be the last: a crash leaves a file that
    is too short, or where the power failed one that ends with zeros where its pages never came to the disk. What was
    written whole may have been acked. `last_seq` is that of the last good one."""
    with path.open("rb") as file:
        file.seek(good)
        rest = file.read()
    return not _is_all_there(rest, last_seq + 1) and not any(
        _has_record(rest, seq) for seq in (last_seq + 1, last_seq + 2)
    )


def _is_all_there(data: bytes, seq: int) -> bool:
    """Is the record that `data` begins with there to its end, and its end written? It is taken for one by its number,
    or, that being what is damaged, by ending where the file does."""
    if len(data) < RECORD_HEADER.size:
        return False
    length, _, found_seq, _, _ = RECORD_HEADER.unpack_from(data)
    end = RECORD_HEADER.size + length
    if end > len(data) or not (found_seq == seq or end == len(data)):
        return _is_whole_but_for_its_length(data, seq)
    tail = data[max(RECORD_HEADER.size, end - _SECTOR_BYTES) : end]
    return not tail or any(tail)


def _is_whole_but_for_its_length(data: bytes, seq: int) -> bool:
    """The checksum does not cover the length: where that alone is broken, the record is known by all of its bytes, up
    to the end of the file or to where the next number stands."""
    (crc,) = struct.unpack_from("<I", data, 4)
    following = struct.pack("<Q", seq + 1)
    at, ends = data.find(following, RECORD_HEADER.size), [len(data)]
    while at >= 0 and len(ends) < _MOST_ENDS:
        ends.append(at - 8)  # length and CRC stand before it
        at = data.find(following, at + 1)
    return any(end >= RECORD_HEADER.size and crc32c(data[8:end]) == crc for end in ends)


def _has_record(data: bytes, seq: int) -> bool:
    wanted = struct.pack("<Q", seq)
    at = data.find(wanted)
    while at >= 0:
        begin = at - 8  # length and CRC stand before it
        if begin >= 0:
            length, crc = struct.unpack_from("<II", data, begin)
            end = begin + RECORD_HEADER.size + length
            if end <= len(data) and crc32c(data[at:end]) == crc:
                return True
        at = data.find(wanted, at + 1)
    return False
