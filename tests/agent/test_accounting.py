"""The agent's account of its logs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agent.accounting import OTHER, LogAccount, LogMetrics, StreamStatus, accounts, largest
from agent.settings import AgentSettings
from agent.status import AgentStatus
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import StreamId
from tests.agent.test_app import NO_CONTAINERS, get, running, until_drained
from tests.fixtures.agent_rig import SHIP, tail_settings
from tests.fixtures.fake_collector import FakeCollector


def stream(source: str, size: int | None, acked: int, lag: int) -> StreamStatus:
    return StreamStatus("", source, "1-0", f"/{source}", "default", "web", "live", size, acked, acked, lag, 0)


@pytest.mark.parametrize(
    ("size", "acked", "lag", "written", "unterminated"),
    [
        (100, 100, 0, 100, 0),
        (100, 60, 30, 100, 10),
        (0, 0, 0, 0, 0),
        (None, 60, 30, 90, 0),  # the file is gone: what is left of it is to be declared lost
    ],
)
def test_a_stream_balances(size: int | None, acked: int, lag: int, written: int, unterminated: int) -> None:
    one = stream("a", size, acked, lag)
    assert (one.written_bytes, one.unterminated_bytes) == (written, unterminated)
    assert one.written_bytes == one.acked_bytes + one.lag_bytes + one.unterminated_bytes


def test_generations_of_a_log_are_one_account() -> None:
    logs = accounts([stream("b", 10, 10, 0), stream("a", 100, 100, 0), stream("a", 50, 20, 25)])
    assert [log.source for log in logs] == ["a", "b"]
    assert logs[0] == LogAccount("a", "/a", "web", 2, 150, 120, 120, 25, 5)


def test_metrics_tell_the_largest_logs_apart() -> None:
    streams = [stream(str(n), n, n, 0) for n in range(1, 6)] + [stream("1", 1, 1, 0)]
    few = largest(lambda: streams, most=2)
    assert [(log.source, log.written_bytes, log.streams) for log in few] == [("4", 4, 1), ("5", 5, 1), (OTHER, 7, 4)]
    logs = largest(lambda: streams, most=5)
    assert logs == accounts(streams)
    registry, metrics = CollectorRegistry(), LogMetrics()
    registry.register(metrics)
    metrics.tell(logs)
    text = generate_latest(registry).decode()
    assert 'deckwatch_agent_log_written_bytes{container="web",source="5"} 5.0' in text


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[AgentSettings]:
    async with FakeCollector() as collector:
        yield AgentSettings(
            collector=collector.url,
            state_dir=tmp_path / "state",
            host="host1",
            logs=(str(tmp_path / "*.log"),),
            discover=NO_CONTAINERS,
            tail=tail_settings(),
            ship=SHIP,
        )


async def test_the_account_of_real_files(tmp_path: Path, settings: AgentSettings) -> None:
    """A rotated generation counts on, an unterminated line is told apart, and the keys are the collector's."""
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\n")
    async with running(settings) as (address, _):
        await until_drained(address)
        log.rename(tmp_path / "app.log.1")
        log.write_bytes(b"three\nfou")
        async with asyncio.timeout(10):
            while True:
                status = msgspec.json.decode((await get(f"{address}/status"))[1], type=AgentStatus)
                account = next(one for one in status.logs if one.source == str(log))
                if (account.acked_bytes, account.lag_bytes) == (14, 0):
                    break
                await asyncio.sleep(0.05)
        text = (await get(f"{address}/metrics"))[1]
    assert (account.written_bytes, account.unterminated_bytes, account.streams) == (17, 3, 2)
    streams = [one for one in status.streams if one.source == str(log)]
    assert [one.key for one in streams] == [
        stream_key(StreamId(status.agent, one.source, one.generation)) for one in streams
    ]
    assert re.search(rf'deckwatch_agent_log_acked_bytes{{container="",source="{re.escape(str(log))}"}} 14.0', text)
