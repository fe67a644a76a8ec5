"""Files that are kept open and read again and again from their beginning.

Reading a cgroup file anew with pread(2) spares the path look-up, open and close of each sweep. A descriptor of a
removed cgroup answers ENODEV, for ever, also when another cgroup of the same name has come: that is how a restarted
container is noticed.
"""

from __future__ import annotations

import errno
import os
import resource

_READ_BYTES = 8192
_WHOLE_BYTES = 3072
"""seq_file fills at most a page (4096) a read: a shorter answer than this was the whole file (a record is < 1 KiB)."""

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""The kernel's own files know no waiting. A FIFO that stands in the place of one would: opened so, it answers ESPIPE
to a read with a position, and only that file is missing."""

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESRCH})
"""What was there is no longer: vanishing between two looks is normal."""
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.EINVAL})
"""PSI switched off at boot, cgroup.procs of a threaded group, files that can only be written."""


class DescriptorPool:
    """How many descriptors may be kept. Beyond the limit files are opened for each read."""

    def __init__(self, limit: int = 0) -> None:
        """0: half of this process's limit of open files."""
        self.limit = limit or resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self.kept = 0

    def take(self) -> bool:
        if self.kept >= self.limit:
            return False
        self.kept += 1
        return True

    def give_back(self) -> None:
        self.kept -= 1


class KeptFile:
    __slots__ = ("_fd", "_missing", "_pool", "path")

    def __init__(self, path: str, pool: DescriptorPool) -> None:
        self.path = path
        self._pool = pool
        self._fd = -1
        self._missing = False

    def read(self) -> bytes | None:
        """The file's whole text; None where there is no such file (any more), or this kernel doesn't support it.

        What was missing once is taken as missing until `retry`. Raises OSError on a true failure (EIO, EACCES).
        """
        if self._fd < 0:
            return None if self._missing else self._open_and_read()
        try:
            data = os.pread(self._fd, _READ_BYTES, 0)
            return data if len(data) < _WHOLE_BYTES else _rest(self._fd, data)
        except OSError as error:
            self._note_absence(error)
            return None

    def retry(self) -> None:
        """Look for a missing file again at the next read: controllers and modules can be switched on later."""
        self._missing = False

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._pool.give_back()
        self._missing = False

    def _open_and_read(self) -> bytes | None:
        try:
            fd = os.open(self.path, _FLAGS)
        except OSError as error:
            self._note_absence(error)
            return None
        kept = self._pool.take()
        if kept:
            self._fd = fd
        try:
            return _rest(fd, os.pread(fd, _READ_BYTES, 0))
        except OSError as error:
            self._note_absence(error)
            return None
        finally:
            if not kept:
                os.close(fd)

    def _note_absence(self, error: OSError) -> None:
        self.close()  # also after a true failure: what stands at the path by the next look may be another file
        if error.errno not in GONE and error.errno not in _UNSUPPORTED:
            raise error
        self._missing = True


def read_once(path: str) -> bytes | None:
    """A file that is not worth a descriptor. None and OSError as in KeptFile.read."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in GONE or error.errno in _UNSUPPORTED:
            return None
        raise
    try:
        return _rest(fd, os.pread(fd, _READ_BYTES, 0))
    except OSError as error:
        if error.errno in GONE or error.errno in _UNSUPPORTED:
            return None
        raise
    finally:
        os.close(fd)


def _rest(fd: int, data: bytes) -> bytes:
    if len(data) < _WHOLE_BYTES:
        return data
    parts = [data]
    at = len(data)
    while more := os.pread(fd, _READ_BYTES, at):
        parts.append(more)
        at += len(more)
    return b"".join(parts)
