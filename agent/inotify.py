"""inotify(7) by ctypes: the kernel tells of changes in watched folders and files, so that nobody has to poll fast.

A hint, never a proof: queues overflow, network file systems stay silent, watches are limited
(fs.inotify.max_user_watches). Whoever uses it looks again now and then on his own account.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from enum import IntFlag

import msgspec


class Change(IntFlag):
    """<sys/inotify.h>"""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    OVERFLOW = 0x4000  # events were lost: look at everything
    IGNORED = 0x8000  # the watch is gone: its object was deleted, or it was removed
    ONLYDIR = 0x1000000
    ISDIR = 0x40000000


ENTRIES = Change.CREATE | Change.MOVED_TO | Change.MOVED_FROM | Change.DELETE | Change.DELETE_SELF | Change.MOVE_SELF
"""What changes the list of a folder's entries, and the folder's own end."""

_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC
_HEADER = struct.Struct("iIII")  # wd, mask, cookie, length of the name with its NULs
_READ_BYTES = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class Notice(msgspec.Struct, frozen=True):
    """One event. `watch` is -1 for OVERFLOW. `cookie` joins the two halves of a rename."""

    watch: int
    change: Change
    cookie: int
    name: str  # of the folder's entry, empty where the watched object itself is meant


class Inotify:
    """One inotify descriptor. `fileno()` becomes readable when `read()` has something; `read()` never blocks."""

    def __init__(self) -> None:
        """Raises OSError (EMFILE: fs.inotify.max_user_instances are in use)."""
        self._fd = _checked(_libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC), "inotify_init1")

    def fileno(self) -> int:
        return self._fd

    def watch(self, path: str, changes: Change) -> int:
        """The watch's number; the same again where the object is watched already (its mask is replaced).

        Raises OSError: ENOENT, EACCES, ENOSPC (fs.inotify.max_user_watches reached), ENOTDIR with ONLYDIR.
        """
        return _checked(_libc.inotify_add_watch(self._fd, os.fsencode(path), int(changes)), path)

    def unwatch(self, watch: int) -> None:
        """No fault where the watch went with its object."""
        if _libc.inotify_rm_watch(self._fd, watch) < 0 and (code := ctypes.get_errno()) != errno.EINVAL:
            raise OSError(code, os.strerror(code))

    def read(self) -> list[Notice]:
        """What has come since the last call; empty where nothing has."""
        try:
            return parse(os.read(self._fd, _READ_BYTES))
        except BlockingIOError:
            return []

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def parse(data: bytes) -> list[Notice]:
    """struct inotify_event, one after the other; the kernel hands on whole ones only."""
    notices, at = [], 0
    while at < len(data):
        watch, mask, cookie, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
        notices.append(Notice(watch, Change(mask), cookie, name))
        at += length
    return notices


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return int(result)
