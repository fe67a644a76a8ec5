"""The history of samples: its manifest, and every frame of every block against its checksum."""

from __future__ import annotations

from pathlib import Path

from collector.fsck.report import Findings
from collector.metrics.tsdb.block_file import Block, Damaged
from collector.metrics.tsdb.store import BLOCKS, MANIFEST, read_manifest
from deckwatch.runtime.faults import Unusable


def check_samples(folder: Path, found: Findings) -> None:
    try:
        blocks = read_manifest(folder / MANIFEST).blocks
    except Unusable as fault:
        found.wrong(folder / MANIFEST, str(fault), "restore the folder from a backup, or move it away to start afresh")
        return
    for tenant, names in blocks.items():
        for name in names:
            _check_block(folder / BLOCKS / tenant / name, found)


def _check_block(path: Path, found: Findings) -> None:
    found.checked("blocks of samples")
    try:
        Block.open(path).check()
    except Damaged as fault:
        found.wrong(path, str(fault), "restore this file from a backup; without it queries of its time lack samples")
    except OSError as error:
        found.wrong(path, f"can't be read: {error.strerror}", "restore this file from a backup")
