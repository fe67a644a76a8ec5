"""`deckwatch gaps`, `deckwatch verify` and what `deckwatch logs` says about gaps, with the real daemons."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deckwatch.wire.model import Gap, GapReason
from tests.chaos.daemons import Pair, free_port
from tests.fixtures.push import Pusher, Stream

LINES = 500


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Shared: each test that loses something does so in a tenant of its own."""
    yield from started(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def own_pair(tmp_path: Path) -> Iterator[Pair]:
    yield from started(tmp_path)


def started(folder: Path) -> Iterator[Pair]:
    log = folder / "logs" / "app.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {n}\n" for n in range(LINES)))
    pair = Pair(folder, logs=[str(log)])
    try:
        pair.start()
        pair.wait_drained(60)
        yield pair
    finally:
        pair.stop()


def deckwatch(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "nobody's"), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, "-P", "-m", "deckwatch.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


def lose(pair: Pair, stream: Stream) -> None:
    """A gap behind a line, as an agent declares it."""

    async def push() -> None:
        async with aiohttp.ClientSession() as session:
            pusher = Pusher(pair.collector.url, session)
            await pusher.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z the last one\n")]))
            gap = Gap(0, stream.offset, stream.offset + 50, 0, GapReason.TRUNCATED, 1_780_000_000_000_000_000, "why")
            await pusher.push(stream.batch([], [gap]))

    asyncio.run(push())
    pair.wait_drained(60)


def test_nothing_is_missing(tmp_path: Path, pair: Pair) -> None:
    at = ("--collector", pair.collector.url)
    gaps = deckwatch(tmp_path, "gaps", *at)
    assert (gaps.stdout, gaps.returncode) == ("no gaps: every line accounted\n", 0)
    verified = deckwatch(tmp_path, "verify", *at, "--agent", pair.agent.url)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"complete: 2 streams of 1 log, {LINES} records" in verified.stdout
    assert "sources: 1 file on" in verified.stdout
    without = deckwatch(tmp_path, "verify", *at)
    assert without.returncode == 0
    assert "no agent is known here" in without.stdout


def test_a_declared_gap_is_told_everywhere(tmp_path: Path, pair: Pair) -> None:
    at = ("--collector", pair.collector.url, "--tenant", "declared")
    lose(pair, Stream("web", tenant="declared"))
    listed = deckwatch(tmp_path, "gaps", *at).stdout
    assert "1 gap" in listed
    for word in ("web on host-1", "truncated", "34", "84", "50 B", "why"):
        assert word in listed
    (document,) = map(json.loads, deckwatch(tmp_path, "gaps", *at, "--json").stdout.splitlines())
    assert document["deckwatch.gap.bytes"] == 50
    assert deckwatch(tmp_path, "gaps", *at, "--container", "other").stdout == "no gaps: every line accounted\n"
    verified = deckwatch(tmp_path, "verify", *at)
    assert verified.returncode == 1
    assert "web on host-1: [34, 84) 50 B, truncated" in verified.stdout
    assert "INCOMPLETE: 1 gap in 1 stream" in verified.stdout
    assert deckwatch(tmp_path, "verify", *at, "--container", "other").returncode == 0
    assert deckwatch(tmp_path, "verify", *at, "--since", "2026-06-01").returncode == 0
    result: dict[str, Any] = json.loads(deckwatch(tmp_path, "verify", *at, "--json").stdout)
    assert (result["complete"], len(result["problems"])) == (False, 1)


def test_a_segment_deleted_by_hand_is_named(tmp_path: Path, own_pair: Pair) -> None:
    own_pair.collector.stop()  # seals
    own_pair.collector.start()
    segments = list((tmp_path / "collector" / "store" / "segments").rglob("*.parquet"))
    for segment in segments:
        segment.unlink()
    verified = deckwatch(tmp_path, "verify", "--collector", own_pair.collector.url, "--agent", own_pair.agent.url)
    size = (tmp_path / "logs" / "app.log").stat().st_size
    assert verified.returncode == 1, verified.stdout + verified.stderr
    assert f"app.log on {os.uname().nodename}: [0, {size:,})" in verified.stdout
    assert "is gone" in verified.stdout


def on_a_terminal(tmp_path: Path, *arguments: str, until: str) -> str:
    """What `deckwatch` prints on a terminal, up to some words."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "nobody's"), "COLUMNS": "300"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "deckwatch.cli", *arguments], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    awaited = select.poll()  # select() takes no descriptor beyond 1023
    awaited.register(ours, select.POLLIN)
    text = ""
    try:
        while until not in text:
            assert awaited.poll(30_000), text
            text += os.read(ours, 65536).decode()
    except OSError:  # it has ended
        pass
    finally:
        process.terminate()
        process.wait()
        os.close(ours)
    return text


def test_logs_say_on_a_terminal_that_lines_are_missing(tmp_path: Path, pair: Pair) -> None:
    at = ("--collector", pair.collector.url, "--tenant", "shown")
    stream = Stream("api", tenant="shown")
    all_there = ("logs", "--collector", pair.collector.url, "-n", "1")
    assert "gap" not in on_a_terminal(tmp_path, *all_there, until="line 499\r\n")
    lose(pair, stream)
    shown = on_a_terminal(tmp_path, "logs", *at, "-n", "1", "--container", "api", until="deckwatch gaps")
    assert "a gap in this range: lines are missing; see `deckwatch gaps`" in shown
    piped = deckwatch(tmp_path, "logs", *at, "-n", "1", "--container", "api")
    assert ("gap" in piped.stdout + piped.stderr, piped.returncode) == (False, 0)
    histogram = deckwatch(tmp_path, "logs", *at, "--container", "other")
    assert "gap" not in histogram.stderr


def test_following_tells_of_a_gap(tmp_path: Path, pair: Pair) -> None:
    losing = threading.Timer(3.0, lose, (pair, Stream("db", tenant="followed")))
    losing.start()
    shown = on_a_terminal(
        tmp_path, "logs", "--collector", pair.collector.url, "--tenant", "followed", "--follow", until="deckwatch gaps"
    )
    losing.join()
    assert "a gap in db (truncated): lines are missing; see `deckwatch gaps`" in shown
    assert "the last one" in shown


def test_who_cannot_be_asked_is_told(tmp_path: Path, pair: Pair) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    store = deckwatch(tmp_path, "verify", "--collector", nobody)
    assert (store.returncode, "can't reach the collector" in store.stderr) == (2, True)
    agent = deckwatch(tmp_path, "verify", "--collector", pair.collector.url, "--agent", nobody)
    assert (agent.returncode, "can't reach the agent" in agent.stderr) == (2, True)
    wrong = deckwatch(tmp_path, "verify", "--collector", pair.collector.url, "--agent", pair.collector.url)
    assert (wrong.returncode, "nothing that an agent" in wrong.stderr) == (2, True)
    when = deckwatch(tmp_path, "gaps", "--collector", pair.collector.url, "--since", "yesterdayish")
    assert (when.returncode, "yesterdayish" in when.stderr) == (2, True)
