"""When a file was created: statx(2) by ctypes, for os.stat does not tell it on Linux."""

from __future__ import annotations

import ctypes
import os
import struct

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_MASK = struct.Struct("=I")
_TIME = struct.Struct("=qI")
_BTIME_AT = 80  # of `stx_btime` in struct statx, <linux/stat.h>
_libc = ctypes.CDLL(None, use_errno=True)


def born_ns(path: str) -> int | None:
    """Wall time, in steps of the kernel's clock tick. None: it is not there, or its file system does not know."""
    found = ctypes.create_string_buffer(256)
    if _libc.statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found):
        return None
    if not _MASK.unpack_from(found)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = _TIME.unpack_from(found, _BTIME_AT)
    return int(seconds * 1_000_000_000 + nanoseconds)
