"""A consistent copy of the history's folder, also while samples come.

The manifest is read, then the blocks that it lists are taken, which never change, and the WAL from the file on that it
names. Where one of them is gone when its turn comes, or the manifest is another at the end, a flush or a merge came
between, and all is looked at anew. What is copied of the newest WAL file's last record is what a crash would leave.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from collector.metrics.tsdb.store import BLOCKS, MANIFEST, WAL, read_manifest
from collector.metrics.tsdb.wal import numbered
from deckwatch.runtime.faults import Retry

_ATTEMPTS = 20

Copy = Callable[[Path, Path], None]
"""From, to. Raises FileNotFoundError where there is nothing to copy (any more)."""


def copy_history(source: Path, target: Path, copy: Copy, link: Copy) -> int:
    """`link` for what never changes. The number of blocks. `target` must not be there. Raises Retry, OSError."""
    for _ in range(_ATTEMPTS):
        try:
            return _copy(source, target, copy, link)
        except FileNotFoundError:
            continue
    raise Retry(f"{source}: blocks of samples change faster than they can be copied; try again when less is going on")


def _copy(source: Path, target: Path, copy: Copy, link: Copy) -> int:
    manifest = read_manifest(source / MANIFEST)
    copied = 0
    for tenant, names in manifest.blocks.items():
        _folder(target / BLOCKS / tenant)
        for name in names:
            if not (target / BLOCKS / tenant / name).exists():
                link(source / BLOCKS / tenant / name, target / BLOCKS / tenant / name)
            copied += 1
    _folder(target / WAL)
    for number, path in numbered(source / WAL):
        if number >= manifest.wal:
            copy(path, target / WAL / path.name)
    if read_manifest(source / MANIFEST) != manifest:
        raise FileNotFoundError(source / MANIFEST)
    if (source / MANIFEST).exists():
        copy(source / MANIFEST, target / MANIFEST)
    return copied


def _folder(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
