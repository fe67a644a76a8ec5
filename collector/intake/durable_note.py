"""How far the journal is durable, noted beside it: a start tells by it what was acked and is damaged now from what a
crash left unfinished.

One record, written anew in place behind each group's fsync, without an fsync of its own. After a crash of the process
the kernel has it as it was written. After a power failure it may be older than the journal, or gone: it never says too
much, and what it does not cover is judged by its form alone (`journal_file.tail_is_torn`). It names itself and the file
by device and inode: in a copy of the folder it says nothing. The format::

    CRC-32C of all that follows (u32) | device, inode of the note (2 x u64) | device, inode of the file (2 x u64)
    | first seq of the file (u64) | its durable bytes (u64) | last durable seq (u64), all little endian
"""

from __future__ import annotations

import logging
import os
import struct
from pathlib import Path

import msgspec

from deckwatch.wire.identity import crc32c

log = logging.getLogger(__name__)

NOTE_FILE = "durable"
_CRC = struct.Struct("<I")
_FIELDS = struct.Struct("<7Q")

FileId = tuple[int, int]
"""(device, inode)"""


class Durable(msgspec.Struct, frozen=True):
    """Of the file that was written to last."""

    file: FileId
    first_seq: int
    size_bytes: int
    last_seq: int

    def bytes_of(self, path: Path) -> int:
        """How many bytes of this file were durable for certain: 0 of any other file."""
        return self.size_bytes if file_id(path.stat()) == self.file else 0


def file_id(status: os.stat_result) -> FileId:
    return status.st_dev, status.st_ino


def read_note(folder: Path) -> Durable | None:
    """None: there is none, or one that does not hold. Raises OSError."""
    try:
        with (folder / NOTE_FILE).open("rb") as file:
            data, own = file.read(), file_id(os.fstat(file.fileno()))
    except FileNotFoundError:
        return None
    if len(data) != _CRC.size + _FIELDS.size or _CRC.unpack_from(data)[0] != crc32c(data[_CRC.size :]):
        return None
    device, inode, file_device, file_inode, first_seq, size, last_seq = _FIELDS.unpack_from(data, _CRC.size)
    return Durable((file_device, file_inode), first_seq, size, last_seq) if (device, inode) == own else None


class DurableNote:
    """For one thread at a time. Opened with the first word."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTE_FILE
        self._descriptor = -1
        self._own: FileId = (0, 0)
        self._complained = False

    def write(self, durable: Durable) -> None:
        """What it says is on disk already. Where it can't be written that is told, and nothing else is wrong."""
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._own = file_id(os.fstat(self._descriptor))
            fields = _FIELDS.pack(
                *self._own, *durable.file, durable.first_seq, durable.size_bytes, max(0, durable.last_seq)
            )
            os.pwrite(self._descriptor, _CRC.pack(crc32c(fields)) + fields, 0)
        except OSError as error:
            if not self._complained:
                log.warning(
                    "%s: can't be written: %s; after a crash, damage to the end of the journal might pass for an "
                    "unfinished write; free some space", self._path, error.strerror,
                )  # fmt: skip
            self._complained = True

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def forget(folder: Path) -> None:
    """There is nothing that a note could be about. Raises OSError."""
    (folder / NOTE_FILE).unlink(missing_ok=True)
