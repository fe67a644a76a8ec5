"""Real files and the real inotify."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.inotify import Change, Notice
from agent.tail.catcher import Catcher, Caught


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    one = Catcher()
    yield one
    one.close()


class Log:
    def __init__(self, path: Path, keep: int = 3) -> None:
        self.path = path
        self.keep = keep
        self.number = 0

    def write(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"generation %d\n" % self.number)

    def rotate(self) -> None:
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self.keep))]
        names[-1].unlink(missing_ok=True)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.rename(older)
        self.number += 1
        self.write()


def settled(catcher: Catcher, source: str) -> Caught:
    """What the catcher's own thread made of it."""
    time.sleep(0.1)
    return catcher.take(source)


def texts(caught: Caught) -> list[bytes]:
    found = [file.pread(100, 0) for file in caught.files]
    for file in caught.files:
        file.close()
    return found


def test_a_new_file_is_open_before_anybody_asks(tmp_path: Path, catcher: Catcher) -> None:
    log = Log(tmp_path / "x")
    assert catcher.follow("x", str(log.path))
    for _ in range(6):
        log.write() if not log.number else None
        log.rotate()
        time.sleep(0.05)
    caught = settled(catcher, "x")
    assert caught.unseen == 0
    assert texts(caught) == [b"generation 0\n", *(b"generation %d\n" % n for n in range(1, 7))]
    assert catcher.take("x") == Caught()


def test_what_came_and_went_is_counted(tmp_path: Path, catcher: Catcher) -> None:
    log = Log(tmp_path / "x")
    log.write()
    catcher.follow("x", str(log.path))
    with catcher._lock:  # nobody looks meanwhile
        for _ in range(7):
            log.rotate()
    caught = catcher.take("x")
    assert caught.unseen == 4
    assert texts(caught) == [b"generation 5\n", b"generation 6\n", b"generation 7\n"]


def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path, catcher: Catcher) -> None:
    """Two files kept: each new one may get the inode of the one that was just deleted."""
    log = Log(tmp_path / "x", keep=1)
    log.write()
    catcher.follow("x", str(log.path))
    seen: list[bytes] = []
    for _ in range(30):
        log.rotate()
        caught = settled(catcher, "x")
        assert caught.unseen == 0
        seen += texts(caught)  # closed at once: its inode is free as soon as its name is
    assert seen == [b"generation %d\n" % n for n in range(1, 31)]


def test_thousands_of_logs_in_one_folder_do_not_meet(tmp_path: Path, catcher: Catcher) -> None:
    for n in range(2000):
        catcher.follow(f"x{n}", str(tmp_path / f"x{n}"))
    log = Log(tmp_path / "x1")
    log.write()
    log.rotate()
    caught = settled(catcher, "x1")
    assert caught.unseen == 0
    assert texts(caught)[-1] == b"generation 1\n"
    assert catcher.take("x10") == Caught()


def test_a_file_that_can_not_be_opened_is_no_hole(tmp_path: Path, catcher: Catcher) -> None:
    catcher.follow("x", str(tmp_path / "x"))
    (tmp_path / "x").symlink_to("x")  # ELOOP
    assert settled(catcher, "x") == Caught()


def test_lost_events_are_told(tmp_path: Path, catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "x")
    catcher.follow("x", str(log.path))
    overflow = Notice(-1, Change.OVERFLOW, 0, "")
    rest = iter([[overflow]])
    monkeypatch.setattr(catcher._inotify, "read", lambda: next(rest, []))
    with catcher._lock:
        catcher.catch()
    assert catcher.take("x") == Caught(uncounted=True)


def test_a_folder_that_went_is_watched_again(tmp_path: Path, catcher: Catcher) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Log(folder / "x")
    catcher.follow("x", str(log.path))
    log.write()
    time.sleep(0.05)
    log.path.unlink()
    folder.rmdir()
    time.sleep(0.05)
    assert not catcher.covers("x")
    folder.mkdir()
    assert catcher.follow("x", str(log.path))
    log.write()
    caught = settled(catcher, "x")
    assert caught.uncounted  # whatever happened between the two folders
    assert texts(caught) == [b"generation 0\n", b"generation 0\n"]


def test_without_inotify_nothing_is_covered(tmp_path: Path) -> None:
    catcher = Catcher(enabled=False)
    assert not catcher.follow("x", str(tmp_path / "x"))
    assert not catcher.covers("x")
    catcher.close()
