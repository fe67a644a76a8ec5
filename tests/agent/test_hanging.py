"""The whole agent beside an engine that accepts and never answers, and a FIFO where a log should be."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
from pathlib import Path

from msgspec.structs import replace

from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.sample.settings import SampleSettings
from agent.settings import AgentSettings
from deckwatch.wire.model import Samples
from tests.agent.test_app import get, running
from tests.fixtures.agent_rig import SHIP, tail_settings
from tests.fixtures.fake_collector import FakeCollector


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_hung_engine_and_a_fifo_hold_up_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.log")
    (tmp_path / "other.log").write_bytes(b"one\ntwo\n")
    async with FakeCollector() as collector, await asyncio.start_unix_server(never_answer, tmp_path / "engine.sock"):
        settings = AgentSettings(
            collector=collector.url,
            state_dir=tmp_path / "state",
            logs=(str(tmp_path / "*.log"),),
            discover=DiscoverSettings(
                docker=DockerSettings(
                    socket=str(tmp_path / "engine.sock"),
                    containers_dir=str(tmp_path / "containers"),
                    connect_timeout_s=0.5,
                    request_timeout_s=30,
                ),
                cri=CriSettings(enabled=False),
            ),
            tail=tail_settings(),
            ship=SHIP,
            sample=replace(SampleSettings(), interval_s=1.0),
        )
        begun = time.monotonic()
        async with running(settings) as (address, _):
            assert time.monotonic() - begun < 10
            async with asyncio.timeout(30):
                while len(stamps(collector)) < 4:
                    await asyncio.sleep(0.05)
            times = stamps(collector)
            assert max(later - sooner for sooner, later in pairwise(times)) < 2.5e9
            assert collector.text_of(str(tmp_path / "other.log")) == b"one\ntwo\n"
            _, own = await get(f"{address}/metrics")
    assert "deckwatch_discover_engine_up 0.0" in own
    assert 'deckwatch_agent_sample_looks_total{outcome="late"' not in own


def stamps(collector: FakeCollector) -> list[int]:
    return [frame.ts_ns for frame in collector.frames() if isinstance(frame, Samples) and frame.source == "host"]
