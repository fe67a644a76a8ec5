"""Open log files: plain ones, and gzip'd ones read as the stream of their text.

An open descriptor keeps a rotated or deleted file's bytes alive; that is why the tailer opens early and closes late.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from typing import Protocol

import msgspec

from agent.tail.mark import PROBE_BYTES, Readable

_GZIP_WBITS = 31  # zlib: 15 bits of window, gzip wrapper
_INFLATE_BYTES = 1 << 18
BLOCK_BYTES = 4096
"""A disk that can't read one byte can't read its page: the kernel answers for whole ones."""


class FileId(msgspec.Struct, frozen=True, gc=False):
    """Of the file that is open. A hint only, once it is closed: inodes are used again."""

    device: int
    inode: int


NO_FILE = FileId(0, 0)
"""Nothing was ever opened: no file system gives this inode to a file."""


_DEVICES: dict[int, int] = {}  # numbers of devices, to themselves: thousands of files are on one


class FileStat(msgspec.Struct, frozen=True, gc=False):
    size: int | None  # of the text; None: not known before the end of a compressed file was reached
    stored_bytes: int  # on disk
    links: int
    mtime_ns: int


class LogFile(Readable, Protocol):
    id: FileId
    path: str
    """The name under which it was opened."""

    def salvage(self, length: int, offset: int) -> bytes:
        """What of a range can be read before its first damage."""
        ...

    def stat(self) -> FileStat: ...

    def close(self) -> None:
        """Idempotent."""
        ...


class TornGzip(OSError):
    """The compressed file ends in the middle or is damaged there: it is being written, was cut, or bytes flipped."""


class PlainFile:
    __slots__ = ("_fd", "id", "own_links", "path")

    def __init__(self, path: str, fd: int = -1) -> None:
        """`fd`: it is open already. Raises OSError."""
        self.path = path
        self.own_links = 0  # names that are ours (`links`) and none of the file's: `stat` leaves them out
        self._fd = fd if fd >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.id = FileId(_DEVICES.setdefault(found.st_dev, found.st_dev), found.st_ino)

    def again(self) -> PlainFile:
        """The same file, to be closed on its own. Raises OSError."""
        return PlainFile(self.path, os.dup(self._fd))

    def pread(self, length: int, offset: int) -> bytes:
        """A read that meets a bad page gives what is before it: only the next one tells that from the end."""
        data = os.pread(self._fd, length, offset)
        while data and len(data) < length and (more := os.pread(self._fd, length - len(data), offset + len(data))):
            data += more
        return data

    def salvage(self, length: int, offset: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            at = offset + len(data)
            step = min(length - len(data), BLOCK_BYTES - at % BLOCK_BYTES)
            try:
                block = os.pread(self._fd, step, at)
            except OSError:
                break
            data += block
            if len(block) < step:
                break
        return bytes(data)

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
    """Reads forwards; going back further than a probe starts over. Holds what was inflated from there on."""

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
        self._damage = ""
        self._damaged_ns = 0  # mtime of the file that was found damaged

    def pread(self, length: int, offset: int) -> bytes:
        if offset < self._held_at or (self._damage and self._file.stat().mtime_ns != self._damaged_ns):
            self._restart()
        while not self._at_end and self._held_at + len(self._held) < offset + length:
            self._inflate_more()
            self._forget_before(offset - PROBE_BYTES)
        return self._part(length, offset)

    def salvage(self, length: int, offset: int) -> bytes:
        with contextlib.suppress(OSError):
            return self.pread(length, offset)
        return self._part(length, offset)

    def _part(self, length: int, offset: int) -> bytes:
        at = offset - self._held_at
        return bytes(self._held[at : at + length])

    def _forget_before(self, offset: int) -> None:
        drop = min(len(self._held), offset - self._held_at)
        if drop > 0:
            del self._held[:drop]
            self._held_at += drop

    def _inflate_more(self) -> None:
        if self._damage:
            raise TornGzip(errno.EBADMSG, self._damage)
        if not self._input:
            self._read_more()
        if self._at_end:
            return
        if self._inflate.eof:
            self._input = self._input.lstrip(b"\0")  # padding, as tapes and block devices leave it
            if not self._input:
                return
            self._inflate = zlib.decompressobj(_GZIP_WBITS)  # another member follows, as `cat a.gz b.gz` makes them
        before = self._inflate.copy()
        try:
            self._held += self._inflate.decompress(self._input, _INFLATE_BYTES)
        except zlib.error as error:
            self._held += _before_damage(before, self._input)
            self._damage, self._damaged_ns = f"the compressed file is damaged: {error}", self._file.stat().mtime_ns
            return
        self._input = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _read_more(self) -> None:
        """Raises OSError."""
        try:
            self._input = self._file.pread(_INFLATE_BYTES, self._stored_at)
        except OSError:
            self._input = self._file.salvage(_INFLATE_BYTES, self._stored_at)
            if not self._input:
                raise
        self._stored_at += len(self._input)
        if self._input:
            return
        if not self._inflate.eof and self._stored_at:
            raise TornGzip(errno.EBADMSG, "the compressed file ends in the middle")
        self._at_end = True
        self._size = self._held_at + len(self._held)

    def stat(self) -> FileStat:
        found = self._file.stat()
        return FileStat(self._size, found.stored_bytes, found.links, found.mtime_ns)

    def close(self) -> None:
        self._file.close()
        self._held = bytearray()


def _before_damage(inflate: zlib._Decompress, data: bytes) -> bytes:
    """The text in front of a damage: zlib throws away what it has inflated in the call that meets it."""
    text = bytearray()
    with contextlib.suppress(zlib.error):
        for at in range(len(data)):
            text += inflate.decompress(data[at : at + 1])
    return bytes(text)


def open_log(path: str) -> LogFile:
    """Raises OSError."""
    return GzipFile(path) if path.endswith(".gz") else PlainFile(path)
