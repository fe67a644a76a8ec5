"""Open log files: plain ones, and gzip'd ones read as the stream of their text.

An open descriptor keeps a rotated or deleted file's bytes alive; that is why the tailer opens early and closes late.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from typing import Protocol

import msgspec

from agent.tail.mark import Readable

_GZIP_WBITS = 31  # zlib: 15 bits of window, gzip wrapper
_INFLATE_BYTES = 1 << 18


class FileId(msgspec.Struct, frozen=True):
    """Of the file that is open. A hint only, once it is closed: inodes are used again."""

    device: int
    inode: int


NO_FILE = FileId(0, 0)
"""Nothing was ever opened: no file system gives this inode to a file."""


class FileStat(msgspec.Struct, frozen=True):
    size: int | None  # of the text; None: not known before the end of a compressed file was reached
    stored_bytes: int  # on disk
    links: int
    mtime_ns: int


class LogFile(Readable, Protocol):
    id: FileId
    path: str
    """The name under which it was opened."""

    def stat(self) -> FileStat: ...

    def close(self) -> None:
        """Idempotent."""
        ...


class TornGzip(OSError):
    """The compressed file ends in the middle: it is being written, or was cut."""


class PlainFile:
    own_links = 0
    """Of ours (`links`): they are no names of the file, and `stat` leaves them out."""

    def __init__(self, path: str, fd: int = -1) -> None:
        """`fd`: it is open already. Raises OSError."""
        self.path = path
        self._fd = fd if fd >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.id = FileId(found.st_dev, found.st_ino)

    def again(self) -> PlainFile:
        """The same file, to be closed on its own. Raises OSError."""
        return PlainFile(self.path, os.dup(self._fd))

    def pread(self, length: int, offset: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def stat(self) -> FileStat:
        found = os.fstat(self._fd)
        return FileStat(found.st_size, found.st_size, max(0, found.st_nlink - self.own_links), found.st_mtime_ns)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class GzipFile:
    """Reads forwards; going back starts over. Holds what was inflated behind the last asked offset."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = PlainFile(path)
        self.id = self._file.id
        self._size: int | None = None
        self._restart()

    def _restart(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP_WBITS)
        self._stored_at = 0
        self._input = b""
        self._held = bytearray()
        self._held_at = 0
        self._at_end = False

    def pread(self, length: int, offset: int) -> bytes:
        if offset < self._held_at:
            self._restart()
        while not self._at_end and self._held_at + len(self._held) < offset + length:
            self._inflate_more()
            self._forget_before(offset)
        self._forget_before(offset)
        return bytes(self._held[:length])

    def _forget_before(self, offset: int) -> None:
        drop = min(len(self._held), offset - self._held_at)
        if drop > 0:
            del self._held[:drop]
            self._held_at += drop

    def _inflate_more(self) -> None:
        if not self._input:
            self._input = self._file.pread(_INFLATE_BYTES, self._stored_at)
            self._stored_at += len(self._input)
        if not self._input:
            if self._inflate.eof or not self._stored_at:
                self._end()
                return
            raise TornGzip(f"{self.path}: the compressed file ends in the middle")
        if self._inflate.eof:  # another member follows, as `cat a.gz b.gz` makes them
            self._inflate = zlib.decompressobj(_GZIP_WBITS)
        try:
            self._held += self._inflate.decompress(self._input, _INFLATE_BYTES)
        except zlib.error as error:
            raise TornGzip(f"{self.path}: the compressed file is damaged: {error}") from None
        self._input = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _end(self) -> None:
        self._at_end = True
        self._size = self._held_at + len(self._held)

    def stat(self) -> FileStat:
        found = self._file.stat()
        return FileStat(self._size, found.stored_bytes, found.links, found.mtime_ns)

    def close(self) -> None:
        self._file.close()
        self._held = bytearray()


def open_log(path: str) -> LogFile:
    """Raises OSError."""
    return GzipFile(path) if path.endswith(".gz") else PlainFile(path)
