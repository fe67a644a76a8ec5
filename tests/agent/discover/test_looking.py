"""Looking again and again: woken by inotify, paced by what a look costs, and silent while nothing changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.discover import folder_watch
from agent.discover.finding import Finding, count
from agent.discover.folder_watch import FolderWatch
from agent.discover.looking import Looked, Looking, tell_changes
from agent.discover.metrics import DiscoverMetrics
from agent.discover.view import View
from agent.model import LogSource
from deckwatch.runtime.clock import SystemClock


@pytest.fixture
async def watch() -> AsyncIterator[FolderWatch]:
    watcher = FolderWatch("test")
    yield watcher
    watcher.close()
    watcher.close()


async def settled(watch: FolderWatch) -> None:
    while await watch.wait(0.05):
        pass


async def test_a_new_watch_asks_for_one_more_look(watch: FolderWatch, tmp_path: Path) -> None:
    """What changed between the look and the watch would be missed else."""
    watch.watch_only([str(tmp_path)])
    assert await watch.wait(1)
    watch.watch_only([str(tmp_path)])
    assert not await watch.wait(0.05)


async def test_entries_wake_and_writes_do_not(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    watch.watch_only([str(tmp_path)])
    await settled(watch)
    (tmp_path / "old").write_text("more")
    assert not await watch.wait(0.1)
    (tmp_path / "new").write_text("")
    assert await watch.wait(1)


async def test_only_what_was_named_last(watch: FolderWatch, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    watch.watch_only([str(a), str(b)])
    watch.watch_only([str(b)])
    await settled(watch)
    (a / "x").write_text("")
    assert not await watch.wait(0.1)
    (b / "x").write_text("")
    assert await watch.wait(1)


async def test_a_folder_that_went_and_came_is_watched_again(watch: FolderWatch, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    watch.watch_only([str(folder)])  # not there yet
    assert not await watch.wait(0.05)
    for _ in range(2):
        folder.mkdir()
        watch.watch_only([str(folder)])
        await settled(watch)
        (folder / "x").write_text("")
        assert await watch.wait(1)
        (folder / "x").unlink()
        folder.rmdir()
        await settled(watch)


async def test_watches_are_bounded(watch: FolderWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "MOST_WATCHES", 1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    watch.watch_only([str(tmp_path / "a"), str(tmp_path / "b")])
    await settled(watch)
    (tmp_path / "b" / "x").write_text("")
    assert not await watch.wait(0.1)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ([], [Finding("a", True, "there")], []),
        ([Finding("a", True, "1 file")], [Finding("a", True, "2 files")], []),
        (
            [Finding("a", True, "there")],
            [Finding("a", False, "gone", "mend it")],
            [(logging.WARNING, "a: gone (mend it)")],
        ),
        ([Finding("a", False, "gone")], [Finding("a", True, "back")], [(logging.INFO, "a: back")]),
        ([Finding("a", False, "gone")], [Finding("a", False, "gone for long")], []),
    ],
)
def test_losses_and_returns_are_logged(
    before: list[Finding], after: list[Finding], lines: list[tuple[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tell_changes(tuple(before), tuple(after))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == lines


async def test_changes_are_told_and_only_changes() -> None:
    names, told = ["a"], []

    def look() -> Looked:
        return Looked(View(sources={name: LogSource(name, f"/{name}") for name in names}))

    metrics = DiscoverMetrics(CollectorRegistry())
    looking = Looking("test", look, 60.0, lambda: told.append(list(looking.view().sources)), SystemClock(), metrics)
    await looking.look()
    await looking.look()
    names.append("b")
    await looking.look()
    assert told == [["a"], ["a", "b"]]


async def test_time_looks_again_where_nothing_can_be_watched() -> None:
    looks: list[int] = []

    def look() -> Looked:
        looks.append(1)
        return Looked(View())

    looking = Looking("test", look, 0.05, lambda: None, SystemClock(), DiscoverMetrics(CollectorRegistry()))
    task = asyncio.create_task(looking.run())
    async with asyncio.timeout(10):
        while len(looks) < 4:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_costly_look_is_made_rarely() -> None:
    looks: list[int] = []

    def look() -> Looked:
        looks.append(1)
        until_s = time.thread_time() + 0.01
        while time.thread_time() < until_s:
            pass
        return Looked(View())

    looking = Looking("test", look, 0.001, lambda: None, SystemClock(), DiscoverMetrics(CollectorRegistry()))
    task = asyncio.create_task(looking.run())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(looks) == 1  # the next one is due after 400 times its cost


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (1234, "1,234 files")])
def test_count(number: int, text: str) -> None:
    assert count(number, "file") == text
