"""What the kernel tells of, and whom it concerns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.tail.changes import Changed, Changes
from agent.tail.listing import Listings


def touched(changes: Changes) -> Changed:
    return changes.read()


def test_writes_and_renames_are_told_apart(tmp_path: Path) -> None:
    changes = Changes()
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    log.touch()
    other.touch()
    assert changes.follow("a", str(log))
    assert changes.follow("b", str(other))
    log.write_bytes(b"x\n")
    assert touched(changes) == Changed(frozenset({"a"}), frozenset())
    log.rename(tmp_path / "a.log.1")
    assert touched(changes) == Changed(frozenset({"a"}), frozenset({"a"}))
    (tmp_path / "a.log.1.gz").touch()  # a file of nobody's, but its name begins like a's
    assert touched(changes).names == {"a"}
    changes.close()


def test_the_folder_behind_a_link_is_watched_too(tmp_path: Path) -> None:
    changes = Changes()
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.log").touch()
    (tmp_path / "link.log").symlink_to(tmp_path / "real" / "x.log")
    changes.follow("a", str(tmp_path / "link.log"))
    (tmp_path / "real" / "x.log").write_bytes(b"x\n")
    assert touched(changes).files == {"a"}
    changes.close()


def test_nobody_is_told_after_it_was_forgotten(tmp_path: Path) -> None:
    changes = Changes()
    changes.follow("a", str(tmp_path / "a.log"))
    changes.forget("a")
    (tmp_path / "a.log").touch()
    assert not touched(changes).files
    changes.close()


def test_a_folder_that_is_gone_and_comes_back_can_be_followed_again(tmp_path: Path) -> None:
    changes = Changes()
    folder = tmp_path / "sub"
    folder.mkdir()
    changes.follow("a", str(folder / "a.log"))
    folder.rmdir()
    assert "a" in touched(changes).names
    folder.mkdir()
    assert changes.follow("a", str(folder / "a.log"))
    (folder / "a.log").touch()
    assert touched(changes).files == {"a"}
    changes.close()


def test_without_inotify_nothing_is_covered(tmp_path: Path) -> None:
    changes = Changes(enabled=False)
    assert changes.fileno() == -1
    assert not changes.follow("a", str(tmp_path / "a.log"))
    assert not touched(changes).files


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.log.*", ["a.log.2.gz", "a.log.1"]),
        ("a.log.[0-9]", ["a.log.1"]),
        ("*.gz", ["a.log.2.gz"]),
        ("", []),
        ("missing/*", []),
    ],
)
def test_rotated_files_oldest_first(tmp_path: Path, pattern: str, found: list[str]) -> None:
    for age, name in enumerate(["a.log", "a.log.1", "a.log.2.gz", "a.log.3.gz.tmp", "b.log"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    listed = Listings().rotated(str(tmp_path / pattern) if pattern else "", str(tmp_path / "a.log"))
    assert [Path(one.path).name for one in listed] == found


def test_a_listing_is_shared_until_the_folder_changes(tmp_path: Path) -> None:
    listings = Listings()
    (tmp_path / "a.log.1").touch()
    os.utime(tmp_path, (1000, 1000))
    before = listings.changed_ns(str(tmp_path / "a.log.*"))
    assert len(listings.rotated(str(tmp_path / "a.log.*"), "")) == 1
    (tmp_path / "a.log.2").touch()
    assert listings.changed_ns(str(tmp_path / "a.log.*")) != before
    assert len(listings.rotated(str(tmp_path / "a.log.*"), "")) == 2
