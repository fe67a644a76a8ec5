"""Images and volumes of a real engine; and of one that takes its time, or goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from agent.discover.settings import DiscoverSettings, DockerSettings
from agent.engine import app as engine_app
from agent.engine.app import STALE_AFTER, EngineMeter
from agent.engine.settings import EngineSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Samples
from tests.agent.sample.trees import Series
from tests.fixtures.docker_engine import Engine

FAST = EngineSettings(interval_s=10, emit_s=1)


class Watching:
    def __init__(self) -> None:
        self.frames: list[Samples] = []
        self.registry = CollectorRegistry()

    @property
    def series(self) -> Series:
        return merged(self.frames[-1]) if self.frames else {}

    def looks(self, what: str, outcome: str) -> float:
        labels = {"what": what, "outcome": outcome}
        return self.registry.get_sample_value("deckwatch_engine_looks_total", labels) or 0.0

    async def until(self, true: Callable[[], object], timeout_s: float = 30) -> None:
        async with asyncio.timeout(timeout_s):
            while not true():
                await asyncio.sleep(0.02)


def merged(frame: Samples) -> Series:
    """The host is one target in several parts."""
    series: Series = {}
    for target in frame.targets:
        columns = frame.schemas[target.schema]
        values = struct.unpack(f"<{len(columns)}d", target.values)
        series |= {(column.name, column.labels): value for column, value in zip(columns, values, strict=True)}
    return series


@asynccontextmanager
async def measuring(socket: Path, settings: EngineSettings = FAST, **docker: float) -> AsyncIterator[Watching]:
    watching = Watching()
    discover = DiscoverSettings(docker=DockerSettings(socket=str(socket), **docker))  # type: ignore[arg-type]
    meter = EngineMeter(settings, discover, "default", watching.frames.append, SystemClock(), watching.registry)
    task = asyncio.create_task(meter.run())
    try:
        yield watching
    finally:
        assert not task.done(), "it ended by itself"
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_app, "START_AFTER_S", 0.0)


@pytest.mark.docker
async def test_a_real_engine(docker_engine: Engine) -> None:
    volume = f"dw-{uuid.uuid4().hex[:8]}"
    host_config = {"Binds": [f"{volume}:/data"]}
    ident = await asyncio.to_thread(
        docker_engine.run, volume, "dd if=/dev/zero of=/data/x bs=1k count=64; sleep 100", host_config=host_config
    )
    await asyncio.sleep(1)
    labels = (("driver", "local"), ("volume", volume))
    async with measuring(docker_engine.socket) as watching:
        await watching.until(lambda: watching.series.get(("container_volume_size_bytes", labels), 0) >= 65536)
        series = watching.series
    await asyncio.to_thread(docker_engine.rm, ident)
    await asyncio.to_thread(docker_engine.api.call, "DELETE", f"/volumes/{volume}")
    assert {name for name, _ in series} <= set(CATALOGUE)
    assert series["container_volume_containers", labels] == 1
    assert series["container_volume_created_time_seconds", labels] > 1.7e9
    sizes = {dict(own)["image"]: value for (name, own), value in series.items() if name == "container_image_size_bytes"}
    assert sizes[f"{docker_engine.image}:latest"] > 500_000
    users = {dict(own)["image"]: n for (name, own), n in series.items() if name == "container_image_containers"}
    assert users[f"{docker_engine.image}:latest"] >= 1
    assert series["container_images", (("state", "tagged"),)] >= 1
    assert series["container_image_layers_size_bytes", ()] > 500_000


class SlowEngine:
    """Lists at once; adds up sizes for as long as it is told to."""

    def __init__(self, api: str = "1.41") -> None:
        self.api = api
        self.df_s = 0.0
        self.broken = False
        self.asked: list[str] = []

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs.removeprefix(f"/v{self.api}")
        self.asked.append(path)
        if self.broken:
            return web.Response(status=500, text="no")
        if path.startswith("/system/df"):
            await asyncio.sleep(self.df_s)
        return web.Response(body=json.dumps(self._body(path)).encode(), content_type="application/json")

    def _body(self, path: str) -> object:
        if path == "/version":
            return {"ApiVersion": self.api, "Version": "0"}
        if path.startswith("/system/df"):
            return {"LayersSize": 7, "Volumes": [], "BuildCache": []}
        return {"Volumes": []} if path == "/volumes" else {} if path == "/info" else []


async def test_sizes_that_take_long_keep_nobody_waiting(tmp_path: Path) -> None:
    engine, socket = SlowEngine(), tmp_path / "docker.sock"
    engine.df_s = 30
    async with engine.serving(socket), measuring(socket, EngineSettings(emit_s=1, usage_timeout_s=0.3)) as watching:
        await watching.until(lambda: watching.looks("usage", "failed") == 1 and len(watching.frames) >= 2)
        await asyncio.sleep(1.0)
        assert engine.asked.count("/system/df") == 1
    assert watching.series["container_images", (("state", "tagged"),)] == 0
    assert ("container_image_layers_size_bytes", ()) not in watching.series


@pytest.mark.parametrize(("api", "query"), [("1.41", ""), ("1.44", "?type=image&type=volume&type=build-cache")])
async def test_newer_engines_leave_out_the_containers(tmp_path: Path, api: str, query: str) -> None:
    engine, socket = SlowEngine(api), tmp_path / "docker.sock"
    async with engine.serving(socket), measuring(socket) as watching:
        await watching.until(lambda: watching.looks("usage", "done") == 1)
        await watching.until(lambda: ("container_image_layers_size_bytes", ()) in watching.series)
    assert f"/system/df{query}" in engine.asked


async def test_without_an_engine_what_was_known_ends(tmp_path: Path) -> None:
    engine, socket = SlowEngine(), tmp_path / "docker.sock"
    async with engine.serving(socket), measuring(socket, EngineSettings(interval_s=0.1)) as watching:
        await watching.until(lambda: watching.series)
        engine.broken = True
        await watching.until(lambda: watching.looks("lists", "failed") >= STALE_AFTER)
        await watching.until(lambda: watching.frames[-1].ended == ((),))
        engine.broken = False
        await watching.until(lambda: watching.series)
    assert sum(frame.ended == ((),) for frame in watching.frames) == 1
