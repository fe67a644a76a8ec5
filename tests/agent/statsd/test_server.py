"""StatsD over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.statsd.app import StatsdServer
from agent.statsd.settings import StatsdSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Samples


class Rig:
    def __init__(self, settings: StatsdSettings) -> None:
        self.frames: list[Samples] = []
        self.registry = CollectorRegistry()
        self.server = StatsdServer(settings, self.frames.append, SystemClock(), self.registry)

    def lines(self, outcome: str) -> float:
        return self.registry.get_sample_value("deckwatch_agent_statsd_lines_total", {"outcome": outcome}) or 0

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def listening(settings: StatsdSettings, sockets: int = 1) -> AsyncIterator[Rig]:
    rig = Rig(settings)
    task = asyncio.create_task(rig.server.run())
    try:
        await rig.until(lambda: len(rig.server.bound) == sockets)
        yield rig
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_udp_and_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "statsd.sock"
    async with listening(StatsdSettings(listen="127.0.0.1:0", socket=str(path)), 2) as rig:
        udp = next(address for address in rig.server.bound if isinstance(address, tuple))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as two,
        ):
            one.sendto(b"a:1|c\na:2|c\n\nbad\n_sc|x|0\n", udp)
            two.sendto(b"a:4|c|#x:\xff", str(path))
        await rig.until(lambda: rig.lines("taken") == 3)
        assert (rig.lines("malformed"), rig.lines("unsupported")) == (1, 1)
        rig.server.flush()
        frame = rig.frames[-1]
        names = [(column.name, column.labels) for column in frame.schemas[0]]
        assert names == [("a", ()), ("a", (("x", "\ufffd"),))]
        assert struct.unpack("<2d", frame.targets[0].values) == (3, 4)
    assert not path.exists()


async def test_samples_come_every_interval() -> None:
    async with listening(StatsdSettings(listen="127.0.0.1:0", interval_s=1)) as rig:
        await asyncio.sleep(1.2)
        assert not rig.frames  # there is nothing to say
        rig.server.datagram_received(b"a:1|c", None)
        await rig.until(lambda: len(rig.frames) == 2)
        assert rig.frames[1].ts_ns - rig.frames[0].ts_ns > 500_000_000


async def test_a_socket_left_behind_is_taken_and_another_file_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "statsd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))
    async with listening(StatsdSettings(socket=str(path))):
        assert path.is_socket()
    path.write_text("mine")
    async with listening(StatsdSettings(socket=str(path)), 0) as rig:
        await rig.until(lambda: "is there and is no socket" in caplog.text)
    assert path.read_text() == "mine"


async def test_a_taken_port_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(StatsdSettings(listen="127.0.0.1:0")) as first:
        udp = first.server.bound[0]
        assert isinstance(udp, tuple)
        async with listening(StatsdSettings(listen=f"127.0.0.1:{udp[1]}"), 0) as second:
            await second.until(lambda: "Address already in use" in caplog.text)


def test_an_address_that_is_none() -> None:
    with pytest.raises(Unusable):
        Rig(StatsdSettings(listen="nonsense"))
