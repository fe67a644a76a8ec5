"""Engines that misbehave: real servers on real unix sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from agent.discover.docker_client import DockerClient, EngineAway, EngineSlow, Gone, away, spoken_version
from agent.discover.settings import DockerSettings
from deckwatch.runtime.faults import Reject

ID = "4f" * 32
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def engine(path: Path, answer: Handler) -> AsyncIterator[DockerClient]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        settings = DockerSettings(connect_timeout_s=0.2, request_timeout_s=0.3)
        async with DockerClient(str(path), settings) as client:
            yield client
    finally:
        await runner.cleanup()


def saying(status: int, text: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return answer


async def silence(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def docker_like(request: web.Request) -> web.StreamResponse:
    answers = {
        "/version": '{"Version":"30.1","ApiVersion":"1.99","Components":[{"Name":"Engine"}]}',
        "/v1.52/info": '{"DockerRootDir":"/data/","LoggingDriver":"local"}',
        "/v1.52/containers/json": f'[{{"Id":"{ID}"}}]',
        f"/v1.52/containers/{ID}/json": '{"Name":"/web"}',
        "/_ping": "OK",
    }
    text = answers.get(request.path)
    return web.Response(text=text) if text else web.Response(status=404, text='{"message":"No such container"}')


async def test_meets_an_engine_newer_than_us(tmp_path: Path) -> None:
    async with engine(tmp_path / "s", docker_like) as client:
        met = await client.meet()
        assert (met.runtime, met.containers_dir, met.log_driver) == ("docker", "/data/containers", "local")
        assert client.version.told == "Docker 30.1, API 1.99"
        assert await client.ids() == [ID]
        assert (await client.inspect(ID)).name == "/web"
        await client.ping()
        with pytest.raises(Gone, match="No such container"):
            await client.inspect("5e" * 32)


async def test_meets_podman(tmp_path: Path) -> None:
    async def podman(request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response(
                {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
            )
        return web.json_response({"DockerRootDir": "/var/lib/containers/storage"})

    async with engine(tmp_path / "s", podman) as client:
        met = await client.meet()
        assert (met.runtime, met.containers_dir, met.log_driver) == ("podman", "", "k8s-file")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (saying(500, "broken"), "500"),
        (saying(404, "not found"), "404"),
        (saying(200, "<html>"), "does not answer as a Docker engine"),
        (saying(200, '{"ApiVersion":7}'), "does not answer as a Docker engine"),
        (silence, "no answer to /version within 0.2 s"),
    ],
)
async def test_no_engine_behind_the_socket(tmp_path: Path, answer: Handler, told: str) -> None:
    async with engine(tmp_path / "s", answer) as client:
        with pytest.raises(EngineAway, match=told):
            await client.meet()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (saying(404, "no such container"), Gone),
        (saying(500, "layer does not exist"), Reject),  # this container is broken, the engine is not
        (saying(200, '{"Name":7}'), Reject),
        (silence, EngineSlow),
    ],
)
async def test_one_container_that_cant_be_described(tmp_path: Path, answer: Handler, fault: type[Exception]) -> None:
    async with engine(tmp_path / "s", answer) as client:
        with pytest.raises(fault):
            await client.inspect(ID)


async def collect(client: DockerClient, lines: list[bytes]) -> None:
    async for line in client.events("12.000000003"):
        lines.append(line)


async def test_events_come_as_they_are_sent_and_their_end_is_told(tmp_path: Path) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        assert request.query["since"] == "12.000000003"
        assert request.query["filters"] == '{"type":["container"]}'
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"Action":"sta')
        await asyncio.sleep(0.4)  # longer than an answer may take
        await response.write(b'rt"}\n\n{"Action":"die"}\n')
        return response

    async with engine(tmp_path / "s", stream) as client:
        lines: list[bytes] = []
        with pytest.raises(EngineAway, match="stream ended"):
            await collect(client, lines)
        assert lines == [b'{"Action":"start"}', b'{"Action":"die"}']


async def test_nothing_at_the_path(tmp_path: Path) -> None:
    async with DockerClient(str(tmp_path / "none"), DockerSettings()) as client:
        with pytest.raises(EngineAway, match="not there") as caught:
            await client.meet()
    assert "start Docker" in caught.value.remedy


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    async with DockerClient(str(tmp_path / "s"), DockerSettings()) as client:
        with pytest.raises(EngineAway, match="nobody listens"):
            await client.meet()


@pytest.mark.parametrize(
    ("error", "told", "remedy"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied", "group"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error", "socket of a Docker engine"),
        (TimeoutError(), "no connection in time", "hangs"),
    ],
)
def test_why_and_how_to_mend_it(error: Exception, told: str, remedy: str) -> None:
    fault = away(error, "/s")
    assert told in str(fault)
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("engines", "spoken"), [("1.41", "1.41"), ("1.52", "1.52"), ("1.99", "1.52"), ("2.0", "1.52"), ("odd", "1.52")]
)
def test_spoken_version(engines: str, spoken: str) -> None:
    assert spoken_version(engines) == spoken
