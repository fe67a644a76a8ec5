"""A consistent copy of a collector's data directory, also while the collector runs.

The order makes it consistent. The journal first: what is trimmed from it afterwards is in the manifest that is
copied next, since an entry is trimmed only when the manifest has it. Then the manifest, by SQLite's own backup. Then
the segments that it lists: they never change, so they are linked, or copied where links can't be. Where compaction or
retention has removed one meanwhile, the manifest is copied anew. Last the samples and the state of alerting: they may
be ahead of the store's position, never behind it; ahead of the copied journal's end they go back to it at the start.
The epoch and the mark of a clean end stay behind: whoever starts on the copy is another collector to its agents, and
they compare all positions with it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import msgspec

from collector.metrics.tsdb.copying import copy_history
from collector.store.embedded.manifest import Manifest, SegmentRow
from collector.store.embedded.segments import SegmentFolder
from deckwatch.runtime.datadir import VERSION_FILE
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.files import sync_directory, sync_file

_ATTEMPTS = 20
_STORE, _SEGMENTS, _MANIFEST = Path("store"), Path("store/segments"), Path("store/manifest.sqlite")
_SAMPLES = Path("samples")


class Copied(msgspec.Struct, frozen=True):
    segments: int
    records: int
    linked_bytes: int  # they take no room of their own while the original is there
    copied_bytes: int
    journal_files: int
    up_to_seq: int  # of the journal: everything up to this entry is in the segments


def backup(source: Path, target: Path, *, link: bool = True) -> Copied:
    """`target` is new or empty; it is complete once it has the VERSION file. Raises Unusable, Retry, OSError."""
    if not (source / VERSION_FILE).exists():
        raise Unusable(f"{source}: no data directory of a collector; give it with --data-dir DIR")
    if target.exists() and any(target.iterdir()):
        raise Unusable(f"{target}: is not empty; give a directory of its own for each backup")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / _SEGMENTS).mkdir(mode=0o700, parents=True)
    journal = _copy_journal(source / "journal", target / "journal")
    rows, seq = _copy_store(source, target, link=link)
    if (source / _SAMPLES).is_dir():
        copy_history(source / _SAMPLES, target / _SAMPLES, _copy, lambda old, new: _link_or_copy(old, new, link=link))
    for path in sorted((source / "alerting").glob("*.sqlite")):
        (target / "alerting").mkdir(mode=0o700, exist_ok=True)
        copy_database(path, target / "alerting" / path.name)
    _copy(source / VERSION_FILE, target / VERSION_FILE)
    sync_directory(target)
    files = [path.stat() for path in target.rglob("*") if path.is_file()]
    linked, total = sum(file.st_size for file in files if file.st_nlink > 1), sum(file.st_size for file in files)
    return Copied(len(rows), sum(row.rows for row in rows), linked, total - linked, journal, seq)


def _copy_journal(source: Path, target: Path) -> int:
    """Oldest first. A file that is gone when its turn comes was trimmed, and so were all before it. The newest is still
    written to: what is copied of its last record is what a crash would leave of it."""
    target.mkdir(mode=0o700)
    copied = 0
    for path in sorted(source.glob("*.journal")):
        try:
            _copy(path, target / path.name)
        except FileNotFoundError:
            continue
        copied += 1
    sync_directory(target)
    return copied


def _copy_store(source: Path, target: Path, *, link: bool) -> tuple[list[SegmentRow], int]:
    for _ in range(_ATTEMPTS):
        copy_database(source / _MANIFEST, target / _MANIFEST)
        manifest = Manifest(target / _MANIFEST)
        try:
            rows = manifest.segments()
            seq, _ = manifest.consumer("store")
        finally:
            manifest.close()
        if _take_segments(source, target, [row for row in rows if not row.damaged], link=link):
            _drop_others(target, rows)
            return rows, seq
    raise Retry(f"{source}: its segments change faster than they can be copied; try again when less is going on")


def _take_segments(source: Path, target: Path, rows: list[SegmentRow], *, link: bool) -> bool:
    """False: one of them is gone meanwhile."""
    there = SegmentFolder(target / _SEGMENTS, zstd_level=1)
    for row in rows:
        for path in there.files_of(row):
            original = source / path.relative_to(target)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                if not path.exists():
                    _link_or_copy(original, path, link=link)
            except FileNotFoundError:
                return False
    return True


def _drop_others(target: Path, rows: list[SegmentRow]) -> None:
    """Segments of an attempt before: the manifest has others in their place by now."""
    for path in SegmentFolder(target / _SEGMENTS, zstd_level=1).orphans(rows):
        path.unlink()


def _link_or_copy(source: Path, target: Path, *, link: bool) -> None:
    if link:
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            _copy(source, target)
    else:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    sync_file(target)


def copy_database(source: Path, target: Path) -> None:
    """As of one moment, whoever writes to it meanwhile (https://www.sqlite.org/backup.html). Raises OSError."""
    try:
        for suffix in ("", "-wal", "-shm"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        origin, copy = sqlite3.connect(f"file:{source}?mode=ro", uri=True), sqlite3.connect(target)
        try:
            origin.backup(copy)
        finally:
            origin.close()
            copy.close()
    except sqlite3.Error as error:
        raise OSError(f"{source}: can't be copied: {error}") from error
    target.chmod(0o600)
    sync_file(target)
