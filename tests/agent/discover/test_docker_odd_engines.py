"""What a healthy engine does not do at our wish: an engine of our own words, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.model import ContainerState
from deckwatch.runtime.clock import SystemClock
from tests.agent.discover.trees import container_id, write_container
from tests.agent.discover.watching import Watcher, watching


class OddEngine:
    """Serves what its fields say; a container's description may be a status, or None for no answer at all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.described: dict[str, dict[str, Any] | int | None] = {}
        self.listed: list[str] = []
        self.replayed: list[bytes] = []  # sent at the begin of every stream
        self.since: list[str] = []
        self._streams: list[web.StreamResponse] = []
        self._over = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Watcher]:
        app = web.Application()
        app.router.add_get("/version", self._version)
        app.router.add_get("/_ping", self._ping)
        app.router.add_get("/{version}/info", self._info)
        app.router.add_get("/{version}/containers/json", self._list)
        app.router.add_get("/{version}/containers/{id}/json", self._inspect)
        app.router.add_get("/{version}/events", self._events)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.root / "docker.sock")).start()
        settings = DockerSettings(socket=str(self.root / "docker.sock"), request_timeout_s=1, retry_most_s=0.2)
        try:
            async with watching(DiscoverSettings(docker=settings, cri=CriSettings(enabled=False))) as watcher:
                await watcher.until(lambda: watcher.metric("engine_up") == 1 and bool(self._streams), "in session")
                yield watcher
        finally:
            await runner.cleanup()

    async def send(self, *lines: bytes) -> None:
        await self._streams[-1].write(b"".join(line + b"\n" for line in lines))

    def end_stream(self) -> None:
        self._streams.clear()
        self._over.set()

    async def _version(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"Version": "0", "ApiVersion": "1.41"})

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="OK")

    async def _info(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"DockerRootDir": str(self.root), "LoggingDriver": "json-file"})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([{"Id": ident} for ident in self.listed])

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        described = self.described.get(request.match_info["id"], 404)
        if described is None:
            await asyncio.sleep(60)
        if isinstance(described, int):
            return web.json_response({"message": "no"}, status=described)
        return web.json_response(described)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.since.append(request.query["since"])
        self._over.clear()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"".join(line + b"\n" for line in self.replayed))
        self._streams.append(response)
        await self._over.wait()
        return response


def event(action: str, ident: str, *, name: str = "web", after_s: float = 0.0, **told: str) -> bytes:
    actor = {"ID": ident, "Attributes": {"name": name, "image": "nginx", **told}}
    time_ns = SystemClock().now_ns() + int(after_s * 1e9)
    return json.dumps({"Type": "container", "Action": action, "Actor": actor, "timeNano": time_ns}).encode()


def running(name: str) -> dict[str, Any]:
    return {"Name": f"/{name}", "State": {"Status": "running", "Running": True, "StartedAt": "2026-01-01T00:00:00Z"}}


@pytest.fixture
async def engine(tmp_path: Path) -> OddEngine:
    return OddEngine(tmp_path)


async def test_a_container_whose_lock_is_held_is_read_from_disk(engine: OddEngine) -> None:
    """While the engine starts a container it answers nothing about it."""
    ident = write_container(engine.root / "containers", "web", like="dw-created", labels={"app": "shop"}, log=None)
    engine.described[ident] = None
    async with engine.serving() as watcher:
        await engine.send(event("create", ident))
        took_s = await watcher.until(lambda: watcher.source(ident) is not None, "listed", timeout_s=0.8)
        assert took_s < 0.8  # before the engine's time is over
        assert (source := watcher.source(ident))
        assert source.container
        assert source.container.labels == (("app", "shop"),)


@pytest.mark.parametrize("answer", [500, None, {"Name": 7}])
async def test_a_container_that_the_engine_cant_describe(engine: OddEngine, answer: Any) -> None:
    """It is read from disk, and the session goes on."""
    ident = write_container(engine.root / "containers", "web")
    engine.listed, engine.described[ident] = [ident], answer
    async with engine.serving() as watcher:
        await watcher.until_container(ident, lambda seen: seen.container.name == "web", "from disk")
        other = container_id("other")
        engine.described[other] = running("other")
        await engine.send(event("start", other))
        await watcher.until_container(other, lambda seen: seen.state is ContainerState.RUNNING, "the next one")
        assert watcher.metric("engine_sessions_total") == 1


async def test_gone_from_engine_and_disk(engine: OddEngine) -> None:
    ident = container_id("gone")
    async with engine.serving() as watcher:
        await engine.send(event("die", ident, name="gone", exitCode="0", app="shop", secret="x"))
        await watcher.until_listed(ident)
        source = watcher.ever[f"{ident}/json.log"]
        assert source.path == f"{engine.root}/containers/{ident}/{ident}-json.log"
        assert source.ended
        assert source.container
        assert (source.container.name, source.container.image) == ("gone", "nginx")
        assert source.container.labels == (("app", "shop"),)


async def test_events_come_once_over_reconnects(engine: OddEngine) -> None:
    ident = container_id("web")
    engine.described[ident] = running("web")
    async with engine.serving() as watcher:
        create, start, die = event("create", ident), event("start", ident), event("die", ident, exitCode="0")
        await engine.send(create, start)
        await watcher.until_actions(ident, "create", "start")
        engine.replayed = [create, start, die]  # `die` happened while the stream was broken
        engine.end_stream()
        await watcher.until_actions(ident, "create", "start", "die")
        assert watcher.actions(ident) == ["create", "start", "die"]
        assert watcher.metric("repeated_events_total") == 2
        assert float(engine.since[1]) == pytest.approx(json.loads(start)["timeNano"] / 1e9 - 1, abs=0.001)


async def test_what_is_no_event_is_counted(engine: OddEngine) -> None:
    ident = container_id("web")
    engine.described[ident] = running("web")
    async with engine.serving() as watcher:
        await engine.send(b"{", b'{"Type":7}', b"", event("start", ident))
        await watcher.until_actions(ident, "start")
        assert watcher.metric("faults_total", part="docker", reason="event") == 2
        assert watcher.metric("engine_sessions_total") == 1


async def test_a_container_that_no_event_tells_of(engine: OddEngine) -> None:
    """Second sight: its folder appears."""
    (engine.root / "containers").mkdir()
    async with engine.serving() as watcher:
        engine.described[container_id("silent")] = running("by the engine")
        ident = write_container(engine.root / "containers", "silent")
        await watcher.until_container(ident, lambda seen: seen.container.name == "by the engine", "seen")
        assert watcher.events == []


async def test_a_container_removed_while_the_stream_was_broken(engine: OddEngine) -> None:
    ident = container_id("web")
    engine.listed, engine.described[ident] = [ident], running("web")
    async with engine.serving() as watcher:
        assert watcher.container(ident)
        engine.listed = []
        del engine.described[ident]
        engine.end_stream()
        await watcher.until_gone(ident)
        assert (source := watcher.source(ident))
        assert source.ended
