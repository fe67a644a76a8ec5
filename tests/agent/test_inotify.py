"""Real folders, real events."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.inotify import ENTRIES, Change, Inotify, Notice


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    watcher = Inotify()
    yield watcher
    watcher.close()
    watcher.close()


def test_tells_of_entries(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.watch(str(tmp_path), ENTRIES)
    assert inotify.read() == []
    (tmp_path / "a ü").write_text("x")
    (tmp_path / "a ü").rename(tmp_path / "b")
    (tmp_path / "folder").mkdir()
    (tmp_path / "b").unlink()
    seen = inotify.read()
    assert [(notice.change, notice.name) for notice in seen] == [
        (Change.CREATE, "a ü"),
        (Change.MOVED_FROM, "a ü"),
        (Change.MOVED_TO, "b"),
        (Change.CREATE | Change.ISDIR, "folder"),
        (Change.DELETE, "b"),
    ]
    assert seen[1].cookie == seen[2].cookie != 0
    assert {notice.watch for notice in seen} == {watch}


def test_tells_of_writes_and_of_the_end(inotify: Inotify, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("")
    watch = inotify.watch(str(file), Change.MODIFY | Change.DELETE_SELF)
    file.write_text("more")
    file.unlink()
    seen = inotify.read()
    assert Notice(watch, Change.MODIFY, 0, "") in seen
    assert seen[-2:] == [Notice(watch, Change.DELETE_SELF, 0, ""), Notice(watch, Change.IGNORED, 0, "")]
    inotify.unwatch(watch)  # gone already: no fault


def test_unwatch_silences(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.watch(str(tmp_path), ENTRIES)
    inotify.unwatch(watch)
    assert [notice.change for notice in inotify.read()] == [Change.IGNORED]
    (tmp_path / "a").write_text("")
    assert inotify.read() == []


def test_says_why_not(inotify: Inotify, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inotify.watch(str(tmp_path / "nowhere"), ENTRIES)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as caught:
        inotify.watch(str(tmp_path / "file"), ENTRIES | Change.ONLYDIR)
    assert caught.value.errno == errno.ENOTDIR
