"""The whole agent against a fake collector: files, samples, its own server, its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from agent.app import DrainReport, run
from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.settings import AgentSettings
from agent.ship.checkpoint import VERSION
from agent.status import AgentStatus
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Samples
from tests.fixtures.agent_rig import SHIP, tail_settings
from tests.fixtures.fake_collector import FakeCollector

NO_CONTAINERS = DiscoverSettings(docker=DockerSettings(enabled=False), cri=CriSettings(enabled=False))
TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, collector: FakeCollector) -> AgentSettings:
    return AgentSettings(
        collector=collector.url,
        state_dir=tmp_path / "state",
        host="host1",
        logs=(str(tmp_path / "*.log"),),
        discover=NO_CONTAINERS,
        tail=tail_settings(),
        ship=SHIP,
    )


@contextlib.asynccontextmanager
async def running(
    settings: AgentSettings, env: dict[str, str] | None = None
) -> AsyncIterator[tuple[str, Callable[[], Awaitable[DrainReport]]]]:
    """The agent's address, and how to stop it."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(settings, stop=stop, ready=address.set_result, env=env or {}))

    async def end() -> DrainReport:
        stop.set()
        return await task

    await asyncio.wait([task, address], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield address.result(), end
    finally:
        await end()


async def get(url: str, token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        return response.status, await response.text()


async def lag(address: str) -> int:
    _, text = await get(f"{address}/metrics")
    found = re.search(r"^deckwatch_agent_lag_bytes (\S+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


async def until_drained(address: str) -> None:
    async with asyncio.timeout(10):
        while await lag(address):
            await asyncio.sleep(0.02)


async def test_files_and_samples_arrive(tmp_path: Path, collector: FakeCollector, settings: AgentSettings) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\n")
    async with running(settings) as (address, end):
        assert (tmp_path / "state" / "address").read_text().strip() == address
        await until_drained(address)
        assert collector.text_of(str(log)) == b"one\ntwo\n"
        await collector.until(lambda: any(isinstance(frame, Samples) for frame in collector.frames()))
        report = await end()
    assert report.drained
    assert report.acked_bytes >= 8
    assert not (tmp_path / "state" / "address").exists()


@pytest.mark.parametrize("timezone", ["", "Europe/Berlin"])
async def test_the_zone_of_a_hosts_lines_goes_with_them(
    tmp_path: Path, collector: FakeCollector, settings: AgentSettings, timezone: str
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"2026-01-02 03:04:05 one\n")
    async with running(msgspec.structs.replace(settings, timezone=timezone)) as (address, _):
        await until_drained(address)
    contexts = {context for batch in collector.batches for context in batch.contexts if context.path == str(log)}
    assert {context.timezone for context in contexts} == {timezone}


async def test_lag_counts_what_the_collector_does_not_have(
    tmp_path: Path, collector: FakeCollector, settings: AgentSettings
) -> None:
    log = tmp_path / "app.log"
    async with running(settings) as (address, _):
        log.write_bytes(b"one\n")
        await collector.until(lambda: collector.text_of(str(log)) == b"one\n")
        await until_drained(address)
        await collector.stop()
        with log.open("ab") as file:
            file.write(b"two\nthree\nunfinished")
        assert await lag(address) >= 10  # at once, however little was read; the unfinished end at most once more
        async with asyncio.timeout(5):
            while await lag(address) != 10:
                await asyncio.sleep(0.02)
        await collector.start()
        await until_drained(address)
    assert collector.text_of(str(log)) == b"one\ntwo\nthree\n"


async def test_status_tells_each_stream(tmp_path: Path, settings: AgentSettings) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\nthr")
    async with running(settings) as (address, _):
        await until_drained(address)
        _, text = await get(f"{address}/status")
    status = msgspec.json.decode(text, type=AgentStatus)
    stream = next(stream for stream in status.streams if stream.source == str(log))
    assert (stream.size_bytes, stream.read_bytes, stream.acked_bytes, stream.lag_bytes) == (11, 8, 8, 0)
    assert status.host == "host1"
    assert not status.trouble


async def test_the_server_asks_for_the_token(collector: FakeCollector, settings: AgentSettings) -> None:
    collector.token = TOKEN
    async with running(settings, env={"DECKWATCH_TOKEN": TOKEN}) as (address, end):
        assert (await get(f"{address}/healthz"))[0] == 200
        assert (await get(f"{address}/metrics"))[0] == 401
        assert (await get(f"{address}/metrics", TOKEN))[0] == 200
        assert (await end()).drained  # the collector has seen the token too


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"collector": "collector.example:9428"}, "expected an address like http://"),
        ({"listen": "0.0.0.0:0"}, "no bearer token is set"),
        ({"listen": "nonsense"}, "expected HOST:PORT"),
    ],
)
async def test_unusable_settings(settings: AgentSettings, change: dict[str, str], says: str) -> None:
    with pytest.raises(Unusable, match=re.escape(says)):
        await run(msgspec.structs.replace(settings, **change), stop=asyncio.Event(), env={})


async def test_one_agent_a_state_directory(settings: AgentSettings) -> None:
    async with running(settings):
        with pytest.raises(Unusable, match="in use by process"):
            await run(settings, stop=asyncio.Event(), env={})


async def test_a_newer_checkpoint_is_refused(settings: AgentSettings) -> None:
    async with running(settings) as (_, end):
        await end()
    assert settings.state_dir is not None
    checkpoint = settings.state_dir / "checkpoint.json"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b'"version":%d' % VERSION, b'"version":%d' % (VERSION + 1)))
    with pytest.raises(Unusable, match="newer agent"):
        await run(settings, stop=asyncio.Event(), env={})
