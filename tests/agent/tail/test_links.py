"""What a hard link keeps while the agent is down, and what it must never keep."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from agent.tail.links import Links, beyond
from agent.tail.logfile import FileId, PlainFile
from agent.tail.settings import LinkSettings
from deckwatch.wire.model import Gap, GapReason
from tests.agent.tail.test_docker_burst import agent_of, drained, gaps, numbers
from tests.fixtures.agent_rig import AgentRig, tail_settings
from tests.fixtures.docker_engine import Engine
from tests.fixtures.fake_collector import FakeCollector

A, B, C = (FileId(1, n) for n in range(3))


@pytest.mark.parametrize(
    ("sizes", "limit_bytes", "dropped"),
    [
        ({}, 0, []),
        ({A: 10, B: 20}, 30, []),
        ({A: 10, B: 20}, 29, [B]),  # the largest: that costs the fewest logs
        ({A: 10, B: 20, C: 15}, 10, [B, C]),
        ({A: 10}, 0, [A]),
    ],
)
def test_beyond(sizes: dict[FileId, int], limit_bytes: int, dropped: list[FileId]) -> None:
    assert beyond(sizes, limit_bytes) == dropped


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture
async def agent(tmp_path: Path, collector: FakeCollector) -> AsyncIterator[AgentRig]:
    rig = AgentRig(tmp_path / "state", collector)
    rig.links = True
    yield rig
    await rig.stop()


def links(agent: AgentRig) -> list[Path]:
    return sorted((agent.state_dir / "links").iterdir())


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def settled() -> None:
    await asyncio.sleep(0.6)


def all_gaps(collector: FakeCollector, source: str) -> list[Gap]:
    return [gap for held in collector.of_source(source) for gap in held.gaps]


@pytest.mark.parametrize("killed", [False, True])
async def test_a_container_that_is_removed_while_the_agent_is_down(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, killed: bool
) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    await settled()
    await (agent.kill() if killed else agent.stop())
    append(log, b"two\nlast words")
    log.unlink()
    del agent.sources[source.name]
    await agent.start()
    assert agent.pipe is not None
    left = await agent.pipe.left()
    assert left.lag_bytes == len(b"two\nlast words")  # our link alone has it, and nobody has named the log
    await collector.until(lambda: collector.text_of(source.name) == b"one\ntwo\nlast words")
    await agent.drained()
    await collector.until(lambda: bool(collector.of_source(source.name)[0].ends))
    [held] = collector.of_source(source.name)  # one stream
    assert (held.gaps, held.ends[-1].listed) == ([], False)
    await settled()
    assert links(agent) == []


async def test_rotated_away_while_the_agent_is_down(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    await settled()
    await agent.stop()
    append(log, b"two\n")
    log.unlink()
    append(log, b"three\n")
    await agent.start()
    await agent.drained()
    assert sorted(bytes(held.data) for held in collector.of_source(source.name)) == [b"one\ntwo\n", b"three\n"]
    await settled()
    assert all_gaps(collector, source.name) == []


async def test_links_go_with_their_reason(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    await settled()
    [link] = links(agent)
    assert link.samefile(log)
    assert agent.tailer is not None
    assert agent.tailer.links.kept_bytes() == 0  # it has a name of its own
    log.unlink()
    assert agent.tailer.links.kept_bytes() == 4
    agent.forget(source.name)
    await collector.until(lambda: bool(collector.of_source(source.name)[0].ends))
    await settled()
    assert links(agent) == []
    assert not collector.of_source(source.name)[0].ends[-1].listed  # our link is no name of the file


async def test_a_busy_writer_does_not_keep_polls_away(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    """Links are looked at when files are polled, and the kernel tells of a change all the time."""
    agent.follow(tmp_path / "a.log")
    await agent.start()
    for n in range(300):
        append(tmp_path / "a.log", b"line %d\n" % n)
        await asyncio.sleep(0.01)
    assert len(links(agent)) == 1


async def test_a_log_that_ended_and_is_acked_leaves_no_link(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    agent.follow(log, ended=True)
    await agent.start()
    await agent.drained()
    await settled()
    assert links(agent) == []


async def test_beyond_the_limit_is_a_declared_gap(tmp_path: Path, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    agent = AgentRig(tmp_path / "state", collector)
    agent.links = True
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    await settled()
    await agent.stop()
    append(log, b"x" * 5000 + b"\n")
    log.unlink()
    del agent.sources[source.name]
    limited = msgspec.structs.replace(tail_settings(), links=LinkSettings(limit_bytes=4096))
    agent = AgentRig(tmp_path / "state", collector, tail=limited)
    agent.links = True
    await agent.start()
    try:
        await collector.until(lambda: bool(all_gaps(collector, source.name)))
        assert links(agent) == []
        [gap] = all_gaps(collector, source.name)
        assert (gap.start, gap.end, gap.reason) == (4, 5005, GapReason.HELD_TOO_MUCH)
    finally:
        await agent.stop()


def opened(path: Path, data: bytes = b"x") -> PlainFile:
    path.write_bytes(data)
    return PlainFile(str(path))


def test_the_limit_holds_while_running(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    small, large = opened(tmp_path / "small"), opened(tmp_path / "large", b"x" * 100)
    kept = Links(LinkSettings(limit_bytes=50), tmp_path / "links")
    for _ in range(2):
        kept.keep([small, large], ())
    assert [link.stat().st_size for link in (tmp_path / "links").iterdir()] == [1]
    assert len(caplog.messages) == 1
    assert "raise agent.tail.links.limit_bytes" in caplog.text
    os.truncate(tmp_path / "large", 1)
    kept.keep([small, large], ())
    assert (small.stat().links, large.stat().links) == (1, 1)
    assert len(list((tmp_path / "links").iterdir())) == 2
    for file in (small, large):
        file.close()


def test_a_start_cleans_up_what_nobody_needs(tmp_path: Path) -> None:
    folder = tmp_path / "links"
    files = [opened(tmp_path / name) for name in "abc"]
    Links(LinkSettings(), folder).keep(files, ())
    (folder / "not ours").touch()
    again = Links(LinkSettings(), folder)
    again.begin([files[0].id])
    assert {path.name for path in folder.iterdir()} == {
        "not ours", f"{files[0].id.device:x}-{files[0].id.inode:x}.link",
    }  # fmt: skip
    Links(LinkSettings(enabled=False), folder)
    assert [path.name for path in folder.iterdir()] == ["not ours"]
    for file in files:
        file.close()


def test_another_file_system_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to at /dev/shm")
    files = [opened(tmp_path / name) for name in "ab"]
    folder = elsewhere / f"deckwatch-{os.getpid()}"
    kept = Links(LinkSettings(folder=folder), tmp_path / "links")
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                kept.keep(files, ())
        assert len(caplog.messages) == 1
        assert "set agent.tail.links.folder to one in its mount" in caplog.text
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()
        for file in files:
            file.close()


def test_a_deleted_file_can_not_be_linked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = opened(tmp_path / "a")
    (tmp_path / "a").unlink()
    kept = Links(LinkSettings(), tmp_path / "links")
    kept.keep([file], ())
    assert list((tmp_path / "links").iterdir()) == []
    assert caplog.messages == []
    file.close()


@pytest.mark.docker
@pytest.mark.timeout(120)
async def test_docker_rm_while_the_agent_is_down(private_docker_engine: Engine, tmp_path: Path) -> None:
    engine = private_docker_engine
    folder = engine.data_root / "deckwatch-links"  # dockerd may have made its folder a mount of its own
    async with FakeCollector() as collector:
        agent = agent_of(tmp_path, engine, collector, links=folder)
        await asyncio.to_thread(agent.start)
        run = partial(engine.run, "removed", "seq 1 1000; sleep 4; seq 1001 2000; sleep 100")
        container = await asyncio.to_thread(run)
        while len(numbers(collector, container)) < 1000 or not list(folder.iterdir()):
            await asyncio.sleep(0.1)
        agent.kill()
        while b"\n2000\n" not in (await asyncio.to_thread(engine.logs, container))[0]:
            await asyncio.sleep(0.1)
        await asyncio.to_thread(engine.rm, container)
        await asyncio.to_thread(agent.start)
        try:
            while len(numbers(collector, container)) < 2000:
                await asyncio.sleep(0.1)
            await drained(agent)
            assert numbers(collector, container) == list(range(1, 2001))
            assert len(collector.of_source(f"{container}/json.log")) == 1
            assert gaps(collector, container) == []
            while list(folder.iterdir()):
                await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(agent.stop)
