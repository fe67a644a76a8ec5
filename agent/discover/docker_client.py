"""The calls of the Docker Engine API that discovery makes, over the engine's unix socket.

Form: Docker Engine API 1.24 to 1.5x, of which only what is the same in all of them is used; Podman serves the same.
Every fault is one of ours: EngineAway (wait, and ask the disk meanwhile) or EngineSlow, or Gone for one container.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from typing import TypeVar

import aiohttp
import msgspec

from agent.discover.docker_container import DockerContainer, from_api
from agent.discover.docker_events import LineSplitter
from agent.discover.docker_reader import Engine
from agent.discover.finding import os_reason
from agent.discover.settings import DockerSettings
from deckwatch.runtime.faults import Reject, Retry

NEWEST_API = (1, 52)
"""What we have seen; a newer engine still serves it. An older engine is spoken to in its own version."""

T = TypeVar("T")


class EngineAway(Retry):
    """Nobody answers as an engine would. `remedy` says how to mend it, where we know."""

    def __init__(self, message: str, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.status = status  # where it did answer by HTTP


class EngineSlow(EngineAway):
    """No answer in time: the daemon hangs, or one of its locks is held."""


class Gone(Reject):
    """The engine knows no such container."""


class Component(msgspec.Struct, frozen=True, rename="pascal"):
    name: str = ""


class Version(msgspec.Struct, frozen=True, rename="pascal"):
    version: str = ""
    api_version: str = "1.24"
    components: tuple[Component, ...] | None = None

    @property
    def told(self) -> str:
        """`Docker 20.10.24, API 1.41`"""
        return f"{'Podman' if self.is_podman else 'Docker'} {self.version}, API {self.api_version}"

    @property
    def api(self) -> tuple[int, int]:
        """Of the version that we speak with it."""
        major, _, minor = spoken_version(self.api_version).partition(".")
        return int(major), int(minor)

    @property
    def is_podman(self) -> bool:
        return any("podman" in part.name.lower() for part in self.components or ())


class Info(msgspec.Struct, frozen=True, rename="pascal"):
    docker_root_dir: str = ""
    logging_driver: str = ""


class Listed(msgspec.Struct, frozen=True, rename="pascal"):
    id: str


class DockerClient:
    """One connection pool to one engine. Open it with `async with`."""

    def __init__(self, socket: str, settings: DockerSettings) -> None:
        self._socket = socket
        self._settings = settings
        self._prefix = ""
        self.version = Version()

    async def __aenter__(self) -> DockerClient:
        self._session = aiohttp.ClientSession(
            base_url="http://docker",
            connector=aiohttp.UnixConnector(self._socket, limit=2 * self._settings.inspect_concurrency + 3),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def meet(self) -> Engine:
        """Agree on a version and learn where the engine keeps its containers. Raises EngineAway."""
        self.version = _decode(Version, await self._get("/version", self._settings.connect_timeout_s))
        self._prefix = f"/v{spoken_version(self.version.api_version)}"
        info = _decode(Info, await self._get(f"{self._prefix}/info"))
        if self.version.is_podman:
            return Engine("podman", log_driver=info.logging_driver or "k8s-file")
        containers_dir = f"{info.docker_root_dir.rstrip('/')}/containers" if info.docker_root_dir else ""
        return Engine("docker", containers_dir, info.logging_driver or "json-file")

    async def ids(self) -> list[str]:
        listed = _decode(list[Listed], await self._get(f"{self._prefix}/containers/json?all=1"))
        return [container.id for container in listed]

    async def inspect(self, container_id: str) -> DockerContainer:
        """Raises Gone, Reject (the engine can't tell, or not in words that we know), EngineSlow, EngineAway."""
        try:
            answer = await self._get(f"{self._prefix}/containers/{container_id}/json")
        except EngineAway as fault:
            if fault.status is None:
                raise
            raise (Gone if fault.status == 404 else Reject)(str(fault)) from None
        return from_api(answer)

    async def ask(self, path: str, within_s: float) -> bytes:
        """The answer to another call, `/images/json`. After `meet`. Raises EngineAway."""
        return await self._get(f"{self._prefix}{path}", within_s)

    async def ping(self) -> None:
        await self._get("/_ping")

    async def events(self, since: str) -> AsyncIterator[bytes]:
        """Events of containers from `since` on, a JSON text each, as they come, until the engine ends the stream
        (EngineAway)."""
        query = {"since": since, "filters": '{"type":["container"]}'}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_s)
        splitter = LineSplitter()
        try:
            async with self._session.get(f"{self._prefix}/events", params=query, timeout=timeout) as answer:
                await self._check(answer)
                async for piece in answer.content.iter_any():
                    for line in splitter.feed(piece):
                        yield line
        except (aiohttp.ClientError, OSError) as error:
            raise away(error, self._socket) from None
        raise EngineAway("the event stream ended: the engine stops or restarts")

    async def _get(self, path: str, within_s: float | None = None) -> bytes:
        limit_s = within_s or self._settings.request_timeout_s
        timeout = aiohttp.ClientTimeout(total=limit_s, sock_connect=self._settings.connect_timeout_s)
        try:
            async with self._session.get(path, timeout=timeout) as answer:
                await self._check(answer)
                return await answer.read()
        except TimeoutError:
            raise EngineSlow(
                f"no answer to {path.partition('?')[0]} within {limit_s:g} s",
                "the daemon hangs or is overloaded; see its log",
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise away(error, self._socket) from None

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status < 400:
            return
        text = (await answer.content.read(2048)).decode(errors="replace").strip()
        raise EngineAway(f"it answered {answer.status} to {answer.url.path}: {text}", status=answer.status)


def spoken_version(engines: str) -> str:
    """The newest API version that both sides know; ours where the engine's is no version at all."""
    parts = engines.split(".")
    theirs = (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(map(str.isdecimal, parts)) else NEWEST_API
    return "{}.{}".format(*min(theirs, NEWEST_API))


def away(error: Exception, socket: str) -> EngineAway:
    """Why the socket can't be used, and how to mend it."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ENOENT:
        return EngineAway("not there", "start Docker, or name its socket in agent.discover.docker.socket")
    if code in (errno.EACCES, errno.EPERM):
        return EngineAway("permission denied", "add the agent's user to the socket's group, or run it as root")
    if code == errno.ECONNREFUSED:
        return EngineAway("nobody listens", "start Docker: its socket is there, the daemon is not")
    if isinstance(error, TimeoutError):
        return EngineSlow(f"no connection in time at {socket}", "the daemon hangs or is overloaded; see its log")
    text = os_reason(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return EngineAway(text, "is it the socket of a Docker engine?")


def _decode(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise EngineAway(f"it does not answer as a Docker engine does: {error}") from None
