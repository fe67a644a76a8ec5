"""`fsck`: all that a collector keeps, looked at while no collector runs on it."""

from __future__ import annotations

from pathlib import Path

from collector.fsck.databases import check_database
from collector.fsck.journal import check_journal
from collector.fsck.report import Findings, Report
from collector.fsck.samples import check_samples
from collector.fsck.segments import SegmentCheck
from collector.intake.epoch import is_own
from collector.parse.state import decode_state
from collector.store.embedded.integrity import Integrity
from collector.store.embedded.manifest import Manifest
from collector.store.embedded.segments import SegmentFolder
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.datadir import VERSION_FILE, DataDir
from deckwatch.runtime.faults import Reject, Unusable


def check(path: Path, version: int, clock: Clock, *, repair: bool = False, adopt: bool = False) -> Report:
    """Takes the directory's lock. Raises Unusable: no collector's directory, in use, of a newer version."""
    if not (path / VERSION_FILE).exists():
        raise Unusable(f"{path}: no data directory of a collector; give it with --data-dir DIR")
    with DataDir.open(path, version, part="collector") as data_dir:
        found = Findings()
        _check_epoch(data_dir.path, found)
        sound = _check_store(data_dir.path / "store", clock, found, repair=repair, adopt=adopt)
        check_journal(data_dir.path / "journal", sound, found)
        for database in sorted((data_dir.path / "alerting").glob("*.sqlite")):
            check_database(database, found)
        check_samples(data_dir.path / "samples", found)
        return found.report()


def _check_store(folder: Path, clock: Clock, found: Findings, *, repair: bool, adopt: bool) -> int:
    """The last entry of the journal whose records the store has; -1 where that can't be told."""
    path = folder / "manifest.sqlite"
    if not path.exists():
        if any((folder / "segments").rglob("*.parquet")):
            found.wrong(path, "is missing, and there are segments", "restore it from a backup together with them")
        return -1
    if not check_database(path, found):
        return -1
    manifest = Manifest(path)
    try:
        seq, state = manifest.consumer("store")
        _check_state(path, state, found)
        segments = SegmentFolder(folder / "segments", zstd_level=1)
        integrity = Integrity(segments, manifest, clock)
        SegmentCheck(segments, manifest, integrity, found, repair=repair, adopt=adopt).run()
        letters = manifest.dead_letter_count()
        if letters:
            found.note(path, f"{letters} dead letters: see `deckwatch deadletter list`")
    finally:
        manifest.close()
    return seq


def _check_state(path: Path, state: bytes, found: Findings) -> None:
    try:
        if state:
            decode_state(state)
    except Reject as fault:
        found.wrong(path, str(fault), "restore the manifest from a backup")


def _check_epoch(folder: Path, found: Findings) -> None:
    if (folder / "epoch").exists() and not is_own(folder):
        found.note(folder / "epoch", "this directory was copied or restored: the agents will compare all positions")
