"""Two agents of one host on the same files, by mistake: each line is taken once, whoever looks when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.agent_rig import AgentRig
from tests.fixtures.fake_collector import FakeCollector


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_a_new_file_gets_one_name_though_each_sees_more_of_it_or_less(
    tmp_path: Path, collector: FakeCollector
) -> None:
    """Both have run before: neither has a reason to ask the collector for names."""
    agents = [AgentRig(tmp_path / f"state-{n}", collector) for n in range(2)]
    old = tmp_path / "old.log"
    old.write_bytes(b"old\n")
    for agent in agents:
        agent.follow(old)
        await agent.start()
        await agent.drained()
        await agent.stop()
    for agent in agents:
        await agent.start()
    names = [str(tmp_path / f"new-{n}.log") for n in range(10)]
    written = dict.fromkeys(names, b"")
    for turn in range(20):
        for number, name in enumerate(names):
            line = b"%s line %d\n" % (name.encode()[-9:], turn)
            written[name] += line
            append(Path(name), line)
            if turn == number % 4:
                agents[number % 2].follow(Path(name))
            if turn == number % 4 + 3:
                agents[1 - number % 2].follow(Path(name))
        await asyncio.sleep(0.02)
    for agent in agents:
        await agent.drained()
    for name in names:
        [held] = collector.of_source(name)  # one stream
        assert bytes(held.data) == written[name]
    for agent in agents:
        await agent.stop()


async def test_what_begins_with_one_banner_is_told_apart_by_both(tmp_path: Path, collector: FakeCollector) -> None:
    """The first line is all of the name; numbers behind it tell namesakes apart, and checksums whose they are."""
    log = tmp_path / "a.log"
    agents = [AgentRig(tmp_path / f"state-{n}", collector) for n in range(2)]
    for agent in agents:
        agent.follow(log)
        await agent.start()
    written = []
    for turn in range(5):
        text = b"banner\n" + b"".join(b"life %d line %d\n" % (turn, n) for n in range(200))
        if log.exists():
            log.rename(tmp_path / f"a.log.{turn}")
        for at in range(0, len(text), 1000):
            append(log, text[at : at + 1000])
            await asyncio.sleep(0.01)
        written.append(text)
        await asyncio.sleep(0.1)
    for agent in agents:
        await agent.drained()
        await agent.stop()
    assert sorted(bytes(held.data) for held in collector.of_source(str(log))) == sorted(written)
