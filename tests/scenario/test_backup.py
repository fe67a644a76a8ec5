"""Backup and restore on the real daemons, while lines are written: no line twice, none lost that still exists."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.daemons import Pair

LINES = 6000


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "logs").mkdir()
    config = tmp_path / "deckwatch.yaml"
    # Small and early sealings, so that compaction goes on while the copy is made.
    config.write_text("collector: {store: {seal_age_s: 0.3}}\nagent: {sample: {interval_s: 1}}\n")
    made = Pair(
        tmp_path,
        logs=[str(tmp_path / "logs/*.log")],
        agent=["--config", str(config)],
        collector=["--config", str(config)],
    )
    made.start()
    yield made
    for daemon in (made.agent, made.collector):
        if daemon.running:
            daemon.kill()
        daemon.stop()


class Writer(threading.Thread):
    """Numbered lines, a few at a time, for about four seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path

    def run(self) -> None:
        with self._path.open("a", buffering=1) as file:
            for number in range(LINES):
                file.write(f"number {number}\n")
                if number % 30 == 0:
                    time.sleep(0.02)


def deckwatch(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", "-m", "deckwatch.cli", *words], capture_output=True, text=True)


def messages(pair: Pair) -> list[str]:
    return [str(record["message"]) for record in pair.records()]


def gaps(pair: Pair) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{pair.collector.url}/api/v1/gaps") as answer:
        return [json.loads(line) for line in answer]


def joined(ranges: list[tuple[int, int]]) -> tuple[int, int]:
    """From the first byte to the last of ranges that must follow one another without hole or overlap."""
    ordered = sorted(ranges)
    assert all(before[1] == after[0] for before, after in pairwise(ordered)), ordered
    return ordered[0][0], ordered[-1][1]


def settled(pair: Pair, count: int) -> list[str]:
    """All that comes, once as much as is expected is there and nothing is on its way."""
    deadline = time.monotonic() + 150  # kernels that were never compiled here take a minute
    while len(messages(pair)) < count:
        assert time.monotonic() < deadline, f"{len(messages(pair))} of {count}\n{pair.agent.printed()}"
        time.sleep(0.2)
    pair.wait_drained(60)
    return messages(pair)


def restore(pair: Pair, folder: Path, copy: Path) -> None:
    pair.collector.stop()
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    folder.chmod(0o700)
    pair.collector.start()


@pytest.mark.timeout(300)
def test_a_copy_made_while_lines_come_in_is_sound_and_takes_up_where_it_was(pair: Pair, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "logs/a.log")
    writer.start()
    copies = []
    for number in range(3):
        time.sleep(1.0)
        copies.append(tmp_path / f"copy{number}")
        made = deckwatch("backup", str(copies[-1]), "--data-dir", str(tmp_path / "collector"), "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["segments"] > 0
    writer.join()
    want = [f"number {number}" for number in range(LINES)]
    assert sorted(settled(pair, LINES)) == sorted(want)
    for copy in copies:
        checked = deckwatch("fsck", "--data-dir", str(copy))
        assert checked.returncode == 0, checked.stdout
        restore(pair, tmp_path / "collector", copy)
        assert sorted(settled(pair, LINES)) == sorted(want)
    assert gaps(pair) == []


@pytest.mark.timeout(300)
def test_what_neither_side_has_any_more_is_a_gap_and_nothing_comes_twice(pair: Pair, tmp_path: Path) -> None:
    log = tmp_path / "logs/a.log"
    log.write_text("".join(f"number {number}\n" for number in range(100)))
    settled(pair, 100)
    made = deckwatch("backup", str(tmp_path / "copy"), "--data-dir", str(tmp_path / "collector"))
    assert made.returncode == 0, made.stderr
    size = log.stat().st_size
    with log.open("a") as file:
        file.write("lost on both sides\n")
    (tmp_path / "logs/b.log").write_text("of another file\n")
    settled(pair, 102)
    log.unlink()
    wait_until(lambda: "a.log" not in pair.agent.get("/status"))
    restore(pair, tmp_path / "collector", tmp_path / "copy")
    found = settled(pair, 101)
    assert sorted(found) == sorted([*(f"number {number}" for number in range(100)), "of another file"])
    wait_until(lambda: bool(gaps(pair)))
    (gap,) = gaps(pair)
    assert (gap["deckwatch.gap.reason"], gap["deckwatch.gap.start"]) == ("restored", size)
    assert gap["deckwatch.gap.end"] == size + len("lost on both sides\n")


@pytest.mark.timeout(300)
def test_a_state_folder_of_yesterday_on_the_agents_side_repeats_nothing(pair: Pair, tmp_path: Path) -> None:
    log = tmp_path / "logs/a.log"
    log.write_text("".join(f"number {number}\n" for number in range(100)))
    settled(pair, 100)
    pair.agent.stop()
    shutil.copytree(tmp_path / "agent", tmp_path / "yesterday")
    pair.agent.start()
    with log.open("a") as file:
        file.writelines(f"number {number}\n" for number in range(100, 200))
    settled(pair, 200)
    log.rename(log.with_name("a.log.1"))
    log.write_text("".join(f"number {number}\n" for number in range(200, 300)))
    settled(pair, 300)
    pair.agent.stop()
    shutil.rmtree(tmp_path / "agent")
    shutil.copytree(tmp_path / "yesterday", tmp_path / "agent")
    pair.agent.start()
    with log.open("a") as file:
        file.write("the last\n")
    assert sorted(settled(pair, 301)) == sorted([*(f"number {number}" for number in range(300)), "the last"])
    assert gaps(pair) == []


@pytest.mark.timeout(300)
def test_a_segment_that_was_deleted_by_hand_is_a_gap_until_a_backup_brings_it_back(pair: Pair, tmp_path: Path) -> None:
    log, data = tmp_path / "logs/a.log", tmp_path / "collector"
    log.write_text("".join(f"number {number}\n" for number in range(100)))
    size = log.stat().st_size
    settled(pair, 100)
    pair.collector.stop()  # seals
    made = deckwatch("backup", "--copy", str(tmp_path / "copy"), "--data-dir", str(data))
    assert made.returncode == 0, made.stderr
    segments = sorted(data.rglob("*.parquet"))  # one, or more where a batch was sealed before the next came
    for segment in segments:
        segment.unlink()
    pair.collector.start()
    with log.open("a") as file:
        file.write("behind it\n")
    assert settled(pair, 1) == ["behind it"]
    named = [(int(str(gap["deckwatch.gap.start"])), int(str(gap["deckwatch.gap.end"]))) for gap in gaps(pair)]
    assert {gap["deckwatch.gap.reason"] for gap in gaps(pair)} == {"damaged"}
    assert joined(named) == (0, size)
    assert pair.collector.metric("deckwatch_store_damaged_segments") == len(segments)
    assert pair.collector.metric("deckwatch_store_damaged_records") == 100
    verified = deckwatch("verify", "--collector", pair.collector.url, "--json")
    assert verified.returncode == 1, verified.stdout + verified.stderr
    pair.collector.stop()
    for segment in segments:
        shutil.copy(tmp_path / "copy" / segment.relative_to(data), segment)
    adopted = deckwatch("fsck", "--adopt", "--data-dir", str(data))
    assert adopted.returncode == 0, adopted.stdout
    pair.collector.start()
    assert sorted(settled(pair, 101)) == sorted([*(f"number {number}" for number in range(100)), "behind it"])
    assert gaps(pair) == []
    verified = deckwatch("verify", "--collector", pair.collector.url, "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_backup_is_refused_where_it_would_mix_with_another(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    made = deckwatch("backup", str(tmp_path / "full"), "--data-dir", str(tmp_path / "collector"))
    assert (made.returncode, "is not empty" in made.stderr) == (2, True)
    made = deckwatch("backup", str(tmp_path / "new"), "--data-dir", str(tmp_path / "logs"))
    assert (made.returncode, "no data directory of a collector" in made.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


def wait_until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)
