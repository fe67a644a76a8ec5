"""A data directory that was restored is known by itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from collector.intake.epoch import is_own, mark_sealed, open_epoch, take_sealed


def test_a_clean_end_keeps_the_epoch(tmp_path: Path) -> None:
    first = open_epoch(tmp_path)
    assert not take_sealed(tmp_path)
    mark_sealed(tmp_path)
    assert take_sealed(tmp_path)
    assert not take_sealed(tmp_path), "once"
    assert open_epoch(tmp_path) == first
    assert open_epoch(tmp_path, renew=True) != first


def test_a_copy_is_another_directory(tmp_path: Path) -> None:
    open_epoch(tmp_path)
    mark_sealed(tmp_path)
    copy = tmp_path.with_name("copy")
    shutil.copytree(tmp_path, copy)
    assert not is_own(copy)
    assert not take_sealed(copy)


def test_a_copy_that_got_the_very_inode_is_known_by_its_time_of_change(tmp_path: Path) -> None:
    """As where the directory was removed and copied back: nothing but the ctime tells."""
    open_epoch(tmp_path)
    mark_sealed(tmp_path)
    path = tmp_path / "epoch"
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))  # what `cp -a` does at the end
    assert is_own(tmp_path)
    assert not take_sealed(tmp_path)


def test_a_mark_of_an_older_version_renews_the_epoch(tmp_path: Path) -> None:
    open_epoch(tmp_path)
    (tmp_path / "sealed").write_bytes(b"")
    assert not take_sealed(tmp_path)
