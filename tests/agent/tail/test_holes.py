"""Holes are declared, and nothing else is: real files, a real agent, rotations of every kind."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from agent.tail.birthtime import born_ns
from agent.tail.holes import Chain, has_lost_its_first, may_have_hole, missing_numbers
from deckwatch.wire.model import Format, Gap, GapReason
from tests.fixtures.agent_rig import AgentRig, tail_settings
from tests.fixtures.fake_collector import FakeCollector


@pytest.mark.parametrize(
    ("chain", "may"),
    [
        (Chain(present=True, newer=2, max_files=3), False),
        (Chain(present=False, newer=2, max_files=3), True),  # as many as Docker keeps: others may have been dropped
        (Chain(present=False, newer=1, max_files=3), False),  # removed by hand: Docker still had room
        (Chain(present=False, newer=0, max_files=1), True),  # nothing is ever kept
        (Chain(present=True, newer=0, max_files=1), False),
        (Chain(present=False, newer=0, max_files=0), False),  # rm by hand
        (Chain(present=False, newer=1, max_files=0), True),  # logrotate: how many it keeps is not known
        (Chain(present=False, newer=2, max_files=3, born_since=1), False),  # the rotation that dropped it was the last
        (Chain(present=False, newer=2, max_files=3, born_since=2), True),
        (Chain(present=False, newer=2, max_files=0, born_since=0), False),
        (Chain(present=False, newer=2, max_files=0, born_since=1), True),  # Docker's order, or logrotate's?
        (Chain(present=False, newer=0, max_files=1, born_since=1), True),  # only one is ever there
    ],
)
def test_may_have_hole(chain: Chain, may: bool) -> None:
    assert may_have_hole(chain) is may


@pytest.mark.parametrize(
    ("max_files", "rotated", "born_ns", "started_ns", "lost"),
    [
        (3, 1, None, 5, False),
        (3, 2, None, 5, True),
        (0, 9, 7, 5, False),  # it never rotates
        (1, 0, 4, 5, False),  # made when the container was started
        (1, 0, 7, 5, True),
        (1, 0, None, 5, False),  # its file system does not tell
        (1, 0, 7, None, False),
    ],
)
def test_has_lost_its_first(
    max_files: int, rotated: int, born_ns: int | None, started_ns: int | None, lost: bool
) -> None:
    assert has_lost_its_first(max_files, rotated, born_ns, started_ns) is lost


@pytest.mark.parametrize(
    ("known", "listed", "missing"),
    [
        ("a.log.3", ["a.log.1.gz", "a.log.2", "a.log.3"], []),
        ("a.log.3", ["a.log.1", "a.log.3"], [2]),
        ("a.log.3.gz", ["a.log.3.gz", "a.log.4.gz"], [1, 2]),
        ("a.log.1", ["a.log.1", "a.log.3"], []),  # older than the known one
        ("a.log", ["a.log.2"], []),
        ("a.log.20260102", ["a.log.20260101", "a.log.20260102"], []),
        ("", ["a.log.2"], []),
    ],
)
def test_missing_numbers(known: str, listed: list[str], missing: list[int]) -> None:
    assert missing_numbers("a.log", known, listed) == missing


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture(params=[True, False], ids=["inotify", "polling"])
async def agent(tmp_path: Path, collector: FakeCollector, request: pytest.FixtureRequest) -> AsyncIterator[AgentRig]:
    rig = AgentRig(tmp_path / "state", collector, tail=tail_settings(inotify=request.param))
    yield rig
    await rig.stop()


class Log:
    """Numbered lines, ten to a generation."""

    def __init__(self, path: Path, keep: int = 3) -> None:
        self.path = path
        self.keep = keep
        self.written = 0

    def write(self) -> None:
        with self.path.open("ab") as file:
            for _ in range(10):
                self.written += 1
                file.write(b"number %d\n" % self.written)

    def rotate(self, suffix: str = "") -> None:
        """As Docker does; with `.gz` as logrotate, which compresses beside the running log."""
        if self.keep == 1:
            self.path.unlink()
        else:
            Path(f"{self.path}.{self.keep - 1}{suffix}").unlink(missing_ok=True)
            for n in range(self.keep - 2, 0, -1):
                if Path(f"{self.path}.{n}{suffix}").exists():
                    Path(f"{self.path}.{n}{suffix}").rename(f"{self.path}.{n + 1}{suffix}")
            self.path.rename(f"{self.path}.1")
        if suffix:
            plain = Path(f"{self.path}.1")
            Path(f"{self.path}.1{suffix}.tmp").write_bytes(gzip.compress(plain.read_bytes()))
            Path(f"{self.path}.1{suffix}.tmp").rename(f"{self.path}.1{suffix}")
            plain.unlink()
        self.write()

    def copytruncate(self) -> None:
        Path(f"{self.path}.2").unlink(missing_ok=True)
        if Path(f"{self.path}.1").exists():
            Path(f"{self.path}.1").rename(f"{self.path}.2")
        shutil.copyfile(self.path, f"{self.path}.1")
        with self.path.open("r+b") as file:
            file.truncate(0)
        self.write()

    def recreate(self) -> None:
        self.path.unlink()
        self.write()

    def replace(self) -> None:
        """As an editor or `mv new log` does."""
        live, self.path = self.path, self.path.with_name("fresh")
        self.write()
        self.path.rename(live)
        self.path = live


def gaps(collector: FakeCollector, source: str) -> list[Gap]:
    return [gap for held in collector.of_source(source) for gap in held.gaps]


def missing(collector: FakeCollector, source: str, log: Log) -> set[int]:
    found = [int(line.split()[1]) for held in collector.of_source(source) for line in bytes(held.data).splitlines()]
    assert len(set(found)) == len(found)
    return set(range(1, log.written + 1)) - set(found)


async def rest(agent: AgentRig) -> None:
    """Everything is acked and nothing is in doubt any more."""
    await agent.drained()
    await asyncio.sleep(0.7)
    await agent.drained()


@pytest.mark.parametrize("act", [Log.rotate, Log.copytruncate, Log.recreate, Log.replace], ids=lambda act: act.__name__)
@pytest.mark.parametrize("away", [False, True], ids=["collector up", "collector away"])
async def test_what_was_followed_is_no_hole(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, act: Callable[[Log], None], away: bool
) -> None:
    log = Log(tmp_path / "a.log")
    log.write()
    source = agent.follow(log.path)
    await agent.start()
    await agent.drained()
    if away:
        await collector.stop()
    for _ in range(4):
        act(log)
        await asyncio.sleep(0.3)
    if away:
        await collector.start()
    await rest(agent)
    assert not missing(collector, source.name, log)
    assert gaps(collector, source.name) == []


async def test_compressed_rotations_are_no_hole(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = Log(tmp_path / "a.log")
    log.write()
    source = agent.follow(log.path)
    await agent.start()
    await agent.drained()
    for _ in range(4):
        log.rotate(".gz")
        await asyncio.sleep(0.3)
    await rest(agent)
    assert not missing(collector, source.name, log)
    assert gaps(collector, source.name) == []


@pytest.mark.parametrize("keep", [1, 3])
async def test_a_burst_between_two_looks_is_declared_once(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, keep: int
) -> None:
    log = Log(tmp_path / "a.log", keep=keep)
    log.write()
    source = agent.follow(log.path, max_files=keep)
    await agent.start()
    await agent.drained()
    known_end = log.path.stat().st_size
    with held_up(agent):
        for _ in range(8):
            log.rotate()
    await rest(agent)
    assert len(missing(collector, source.name, log)) == (8 - keep) * 10
    [gap] = gaps(collector, source.name)
    assert (gap.start, gap.end, gap.reason) == (known_end, -1, GapReason.ROTATED_AWAY)
    await agent.stop()
    await agent.start()
    await rest(agent)
    assert len(gaps(collector, source.name)) == 1


class held_up:
    """Nobody in the agent gets to look."""

    def __init__(self, agent: AgentRig) -> None:
        assert agent.tailer is not None
        self._lock = agent.tailer.catcher._lock

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_a_log_that_was_never_opened_is_declared_under_a_name_of_its_own(
    tmp_path: Path, collector: FakeCollector
) -> None:
    agent = AgentRig(tmp_path / "state", collector)
    log = Log(tmp_path / "a.log", keep=1)
    source = agent.follow(log.path, max_files=1)
    await agent.start()
    await agent.drained()
    try:
        with held_up(agent):
            for _ in range(3):
                log.write()
                log.path.unlink()
        await collector.until(lambda: len(gaps(collector, source.name)) == 1)
        [held] = collector.of_source(source.name)
        assert held.info.id.generation.startswith("0-")
        assert (held.gaps[0].start, held.gaps[0].end) == (0, -1)
    finally:
        await agent.stop()


@pytest.mark.parametrize("rotations", range(1, 7))
@pytest.mark.parametrize("ended", [False, True], ids=["running", "it had ended"])
async def test_rotations_while_the_agent_is_down(
    tmp_path: Path, collector: FakeCollector, rotations: int, ended: bool
) -> None:
    """What is missing is declared, once; nothing else is."""
    agent = AgentRig(tmp_path / "state", collector)
    log = Log(tmp_path / "a.log")
    log.write()
    source = agent.follow(log.path, max_files=3, ended=ended)
    await agent.start()
    await rest(agent)
    await agent.kill() if rotations % 2 else await agent.stop()
    for _ in range(rotations):
        log.rotate()
    for _ in range(2):
        await agent.start()
        await rest(agent)
        lost = missing(collector, source.name, log)
        assert len(lost) == 10 * max(0, rotations - 3)
        assert len(gaps(collector, source.name)) == (rotations >= 3)  # the third drops the known file: no proof is left
        await agent.stop()


@pytest.mark.parametrize("rotations", range(2, 6))
@pytest.mark.parametrize("killed", [False, True])
async def test_a_link_proves_that_nothing_came_between(
    tmp_path: Path, collector: FakeCollector, rotations: int, killed: bool
) -> None:
    agent = AgentRig(tmp_path / "state", collector)
    agent.links = True
    log = Log(tmp_path / "a.log")
    log.write()
    source = agent.follow(log.path, max_files=3)
    await agent.start()
    await rest(agent)
    await agent.kill() if killed else await agent.stop()
    log.write()
    for _ in range(rotations):
        await asyncio.sleep(0.05)  # more than a tick of the clock that files are stamped by
        log.rotate()
    for _ in range(2):
        await agent.start()
        await rest(agent)
        assert len(missing(collector, source.name, log)) == 10 * max(0, rotations - 3)
        assert len(gaps(collector, source.name)) == (rotations > 3)
        await agent.stop()


async def test_a_rotated_file_that_was_removed_unread(tmp_path: Path, collector: FakeCollector) -> None:
    agent = AgentRig(tmp_path / "state", collector)
    log = Log(tmp_path / "a.log", keep=5)
    log.write()
    source = agent.follow(log.path, max_files=5)
    await agent.start()
    await rest(agent)
    await agent.stop()
    for _ in range(3):
        log.rotate()
    (tmp_path / "a.log.2").unlink()
    for _ in range(2):
        await agent.start()
        await rest(agent)
        [gap] = gaps(collector, source.name)
        assert "removed that nobody could read: .2" in gap.detail
        assert missing(collector, source.name, log) == set(range(11, 21))
        await agent.stop()
    log.rotate()
    await agent.start()
    await rest(agent)
    assert len(gaps(collector, source.name)) == 1
    await agent.stop()


async def test_the_hole_outlives_a_crash(tmp_path: Path, collector: FakeCollector) -> None:
    agent = AgentRig(tmp_path / "state", collector, tail=tail_settings(late_write_s=1.0))
    log = Log(tmp_path / "a.log")
    log.write()
    source = agent.follow(log.path, max_files=3)
    await agent.start()
    await agent.drained()
    with held_up(agent):
        for _ in range(8):
            log.rotate()
    await collector.until(lambda: not missing(collector, source.name, log) - set(range(11, 61)))
    assert gaps(collector, source.name) == []  # its writer may still hold the file before
    await agent.kill()
    await agent.start()
    await rest(agent)
    assert len(gaps(collector, source.name)) == 1
    await agent.stop()


async def test_a_container_whose_log_was_found_late(tmp_path: Path, collector: FakeCollector) -> None:
    agent = AgentRig(tmp_path / "state", collector)
    await agent.start()
    log = Log(tmp_path / "a.log")
    log.write()
    for _ in range(5):
        log.rotate()
    old = agent.follow(log.path, max_files=3, created_ns=1, format=Format.PLAIN)
    await rest(agent)
    assert gaps(collector, old.name) == []  # from before our time
    other = Log(tmp_path / "b.log")
    other.write()
    for _ in range(5):
        other.rotate()
    source = agent.follow(other.path, max_files=3, created_ns=1 << 62)
    await rest(agent)
    assert len(gaps(collector, source.name)) == 1
    await agent.stop()


@pytest.mark.parametrize("rotations", [0, 1, 3])
async def test_a_log_without_rotated_files_that_was_found_late(
    tmp_path: Path, collector: FakeCollector, rotations: int
) -> None:
    """max-file=1: each rotation deletes all that was written before. The time of its birth is what is left of it."""
    agent = AgentRig(tmp_path / "state", collector)
    await agent.start()
    log = Log(tmp_path / "a.log", keep=1)
    log.write()
    if born_ns(str(log.path)) is None:
        pytest.skip("the file system does not tell when a file was born")
    await asyncio.sleep(0.05)
    started_ns = time.time_ns()
    await asyncio.sleep(0.05)
    for _ in range(rotations):
        log.rotate()
    source = agent.follow(log.path, max_files=1, created_ns=1 << 62, started_ns=started_ns)
    await rest(agent)
    assert len(missing(collector, source.name, log)) == 10 * rotations
    assert len(gaps(collector, source.name)) == (rotations > 0)
    await agent.stop()


async def test_an_overflow_of_inotify_is_a_look_at_everything(tmp_path: Path, collector: FakeCollector) -> None:
    """No poll comes to the rescue; a rotation that nobody counted is no hole where the old file is still there."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 40_000:
        pytest.skip(f"fs.inotify.max_queued_events is {limit}: it would take too long to fill")
    agent = AgentRig(tmp_path / "state", collector, tail=msgspec.structs.replace(tail_settings(), poll_s=60))
    logs = [Log(tmp_path / name) for name in ("a.log", "b.log")]
    for log in logs:
        log.write()
    sources = [agent.follow(log.path, max_files=3) for log in logs]
    await agent.start()
    await agent.drained()
    with held_up(agent):
        for n in range(limit // 2 + 100):
            (tmp_path / f"noise{n}").touch()
            (tmp_path / f"noise{n}").unlink()
        logs[0].rotate()
        logs[1].write()
    for log, source in zip(logs, sources, strict=True):
        while missing(collector, source.name, log):
            await asyncio.sleep(0.05)
        assert gaps(collector, source.name) == []
    await agent.stop()
