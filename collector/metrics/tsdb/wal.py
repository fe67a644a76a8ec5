"""What was taken since the last blocks, on disk: numbered files of records, each written and fsynced as one.

    length (u32) | CRC-32C (u32) | zstd of msgpack of Committed

The journal lets go of what its consumers have committed; a commit here is one record. A torn record at the end of the
last file was never committed and is cut off; a damaged one elsewhere ends its file, and is said aloud.

Whoever sends samples on (remote write) follows the same files with a position of his own, and holds those that he has
not read yet: see `records_from`.
"""

from __future__ import annotations

import logging
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import msgspec
import zstandard

from deckwatch.runtime.faults import Reject
from deckwatch.runtime.files import sync_directory
from deckwatch.wire.model import Samples

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<II")
_NAME = re.compile(r"(\d{8})\.wal")
_LARGEST_BYTES = 1 << 31
_FILE_BYTES = 64 << 20
"""A larger file is followed by another one: a replay holds one of them in memory, and whoever holds some for later lets
go of them one by one."""


class Write(msgspec.Struct, frozen=True, array_like=True):
    """A request of Prometheus' remote write, as it came."""

    tenant: str
    received_ms: int  # what is too old or in the future is so by this
    body: bytes  # prompb.WriteRequest as a snappy block


class Committed(msgspec.Struct, frozen=True, array_like=True):
    seq: int  # of the journal: everything up to it is in this record or before it
    frames: list[tuple[str, Samples]]  # host, what it sent; in the order of the journal
    writes: list[Write] = []  # they share no series with frames but by accident: their order among those is lost


_decoder = msgspec.msgpack.Decoder(Committed)


class Wal:
    """Raises OSError where the disk does; a record is then not committed, and may be tried again."""

    def __init__(self, folder: Path, first: int = 0, *, file_bytes: int = _FILE_BYTES) -> None:
        """`first`: number of the first file that is needed. Where blocks have taken in all there was there is none, and
        what comes must not get a smaller number: nobody would read it again."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._file_bytes = file_bytes
        self._number = max([first, *self._numbers()])
        self._file: int | None = None
        self._size_bytes = 0
        path = self._path(self._number)
        self._end = (self._number, path.stat().st_size if path.exists() else 0)

    @property
    def end(self) -> tuple[int, int]:
        """(file, bytes of it) up to where all is durable. From any thread; after the replay."""
        return self._end

    def replay(self, first: int) -> Iterator[Committed]:
        """Records of the files from `first` on. Read it to its end before the first append()."""
        numbers = [number for number in self._numbers() if number >= first]
        for number in numbers:
            yield from self._read(number, last=number == numbers[-1])

    def append(self, committed: Committed) -> None:
        """Durable when it returns."""
        if self._size_bytes >= self._file_bytes:
            self.roll()
        packed = zstandard.compress(msgspec.msgpack.encode(committed), 1)
        record = _HEAD.pack(len(packed), google_crc32c.value(packed)) + packed
        descriptor = self._open()
        try:
            at = 0
            while at < len(record):
                at += os.pwrite(descriptor, memoryview(record)[at:], self._size_bytes + at)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self._size_bytes)
            raise
        self._size_bytes += len(record)
        self._end = (self._number, self._size_bytes)

    def roll(self) -> int:
        """What comes from now on goes to a new file; its number."""
        self.close()
        self._number += 1
        self._size_bytes = 0
        self._end = (self._number, 0)
        return self._number

    def drop_before(self, number: int) -> None:
        for old in self._numbers():
            if old < number:
                self._path(old).unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            path = self._path(self._number)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size_bytes = os.fstat(self._file).st_size
            sync_directory(self.folder)
        return self._file

    def _read(self, number: int, *, last: bool) -> Iterator[Committed]:
        path = self._path(number)
        data = path.read_bytes()
        at = 0
        while at < len(data):
            record = _record(data, at)
            if record is None:
                self._cut(path, at, len(data), last=last)
                return
            yield _decoder.decode(zstandard.decompress(record, max_output_size=_LARGEST_BYTES))
            at += _HEAD.size + len(record)

    def _cut(self, path: Path, at: int, size: int, *, last: bool) -> None:
        if last:
            log.warning("%s: %d bytes behind byte %d were never committed and are cut off", path, size - at, at)
            os.truncate(path, at)
            self._end = (self._number, at)
        else:
            log.error("%s: damaged from byte %d on; the samples in its last %d bytes are lost", path, at, size - at)

    def _numbers(self) -> list[int]:
        return [number for number, _ in numbered(self.folder)]

    def _path(self, number: int) -> Path:
        return file_path(self.folder, number)


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """The files, oldest first."""
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(match[1]), path) for match, path in found if match)


def file_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08}.wal"


def records_from(path: Path, at: int, until: int) -> Iterator[tuple[int, Committed]]:
    """(position behind it, record) of those in [at, until) of a file, read one by one while others are added. `at` is
    where a record begins. Raises Reject where what was written isn't there as it was written; OSError."""
    with path.open("rb") as file:
        while at < until:
            file.seek(at)
            head = file.read(_HEAD.size)
            length, crc = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
            packed = file.read(length) if at + _HEAD.size + length <= until else b""
            if not length or len(packed) != length or google_crc32c.value(packed) != crc:
                raise Reject(f"{path}: damaged from byte {at} on")
            at += _HEAD.size + length
            yield at, _decoder.decode(zstandard.decompress(packed, max_output_size=_LARGEST_BYTES))


def _record(data: bytes, at: int) -> bytes | None:
    if at + _HEAD.size > len(data):
        return None
    length, crc = _HEAD.unpack_from(data, at)
    packed = data[at + _HEAD.size : at + _HEAD.size + length]
    return packed if len(packed) == length and google_crc32c.value(packed) == crc else None
