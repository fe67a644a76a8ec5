"""How much disk a folder takes, found a little at a time: a writable layer may hold millions of files."""

from __future__ import annotations

import os
from collections.abc import Generator

import msgspec

from agent.sample.kept import GONE

_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are


class DiskUse(msgspec.Struct, frozen=True):
    bytes: int
    inodes: int


def measure(top: str) -> Generator[None, None, DiskUse]:
    """Yields after each folder, so that whoever draws it can stop there for a while; its value is what was found.

    As du(1) -x counts: blocks that are allocated, of each file once whatever its names, nothing on other file systems.
    What goes meanwhile is left out. Raises OSError where `top` can't be read.
    """
    facts = os.lstat(top)
    device, used, inodes = facts.st_dev, facts.st_blocks, 1
    linked: set[int] = set()
    waiting = [top]
    while waiting:
        for entry, status in _entries(waiting.pop()):
            if status.st_dev != device or status.st_ino in linked:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif status.st_nlink > 1:
                linked.add(status.st_ino)
            used += status.st_blocks
            inodes += 1
        yield
    return DiskUse(used * _BLOCK_BYTES, inodes)


def _entries(folder: str) -> list[tuple[os.DirEntry[str], os.stat_result]]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found.append((entry, entry.stat(follow_symlinks=False)))
                except OSError as error:
                    if error.errno not in GONE:
                        raise
    except OSError as error:
        if error.errno not in GONE:
            raise
    return found
