"""Runs the `deckwatch` command with a wall clock that is moved while it runs; monotonic time stays.

    python shifted.py OFFSET_FILE agent ...

The file holds 8 bytes: nanoseconds to add, signed, little endian. Time stamps of files stay the kernel's, so a log file
written now is from the past or the future then: what a jump of the clock leaves behind.
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from pathlib import Path

OFFSET = struct.Struct("<q")


def set_offset(path: Path, seconds: float) -> None:
    """For whoever started it: its clock is `seconds` ahead of ours from now on."""
    if not path.exists():
        path.write_bytes(bytes(OFFSET.size))
    with path.open("r+b") as file:
        file.write(OFFSET.pack(int(seconds * 1e9)))


def shift(path: Path) -> None:
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)
    real_ns = time.time_ns

    def time_ns() -> int:
        return real_ns() + int(OFFSET.unpack_from(shared)[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if __name__ == "__main__":
    shift(Path(sys.argv.pop(1)))
    from deckwatch.cli import main

    main()
