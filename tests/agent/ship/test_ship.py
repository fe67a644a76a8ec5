"""Files in, bytes at the collector out, over real HTTP: each test is a short dialogue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.agent_rig import AgentRig
from tests.fixtures.fake_collector import FakeCollector


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture
async def agent(tmp_path: Path, collector: FakeCollector) -> AsyncIterator[AgentRig]:
    rig = AgentRig(tmp_path / "state", collector)
    yield rig
    await rig.stop()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_what_is_written_arrives(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\ntwo\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    append(log, b"three\n")
    await agent.drained()
    assert collector.text_of(source.name) == b"one\ntwo\nthree\n"
    assert len(collector.streams) == 1
