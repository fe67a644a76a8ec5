"""The client of the collector's log API. Faults: Unusable where it was asked wrongly, Retry where it may work later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec

from deckwatch.logs.target import Target
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.faults import Fault, Retry, Unusable
from deckwatch.runtime.reach import why_unreachable

Parameters = Mapping[str, str]

_SILENCE_S = 40.0
"""A tail sends a heartbeat each 15 s: after two that are missing the connection is taken for dead."""

_FIRST_S = 10.0

_NOTICES_HEADER = "X-Deckwatch-Notices"
"""JSON, as collector/api/notices.py makes it."""
_COMPLETE_HEADER = "Deckwatch-Complete"


class Progress(msgspec.Struct, frozen=True):
    scanned: int
    total: int


class Event(msgspec.Struct, frozen=True):
    """Of a tail. `data` is empty where only the id moves on; a record, or with the kind `gap` what was lost."""

    id: str
    data: bytes
    kind: str = ""


class Notice(msgspec.Struct, frozen=True):
    """What the collector tells beside an answer."""

    message: str


class LogClient:
    """An async context manager. Records are the bytes of a JSON object, as they came."""

    def __init__(self, target: Target, *, notice: Callable[[str], None] = lambda message: None) -> None:
        """`notice` takes what the collector tells beside its answers, each message once."""
        self._target = target
        self._session: aiohttp.ClientSession | None = None
        self._notice = notice
        self._told: set[str] = set()
        self.gaps = 0  # by which lines may be missing in what was searched last

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_FIRST_S, sock_read=None)
        connector = aiohttp.TCPConnector(ssl=self._target.tls or True)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._target.headers(), timeout=timeout, trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def search(self, parameters: Parameters) -> AsyncGenerator[bytes | Progress]:
        """Records, and how far the scan is between them."""
        async with self._get("/api/v1/logs", {**parameters, "progress": "true"}) as answer:
            self.gaps = _gaps(answer.headers.get(_COMPLETE_HEADER, ""))
            async for line in _lines(answer):
                if line.startswith(b'{"deckwatch.progress"'):
                    yield msgspec.json.decode(line, type=dict[str, Progress])["deckwatch.progress"]
                elif not line.startswith(b'{"deckwatch.cursor"'):
                    yield line

    async def documents(self, path: str, parameters: Parameters) -> AsyncGenerator[bytes]:
        """The lines of another endpoint that answers NDJSON."""
        async with self._get(path, parameters) as answer:
            async for line in _lines(answer):
                yield line

    async def histogram(self, parameters: Parameters) -> dict[str, Any]:
        async with self._get("/api/v1/logs/histogram", parameters) as answer:
            return msgspec.json.decode(await answer.read(), type=dict[str, Any])

    async def context(self, stream: str, offset: int, around: int, tenant: str = "") -> list[bytes]:
        parameters = {"stream": stream, "offset": str(offset), "before": str(around), "after": str(around)}
        parameters |= {"tenant": tenant} if tenant else {}
        async with self._get("/api/v1/logs/context", parameters) as answer:
            return [line async for line in _lines(answer)]

    async def tail(self, parameters: Parameters, after: str | None = None) -> AsyncGenerator[Event]:
        """One connection, resumed behind `after`. Ends when the server ends it; raises Retry when it breaks."""
        headers = {} if after is None else {"Last-Event-ID": after}
        async with self._get("/api/v1/logs/tail", parameters, headers, silence_s=_SILENCE_S) as answer:
            id_, data, kind = after or "", b"", ""
            async for line in _lines(answer):
                name, _, value = line.partition(b": ")
                if not line:
                    if kind == "notice":
                        self._tell(data)
                    else:
                        yield Event(id_, data, kind)
                    data, kind = b"", ""
                elif name == b"id":
                    id_ = value.decode()
                elif name == b"event":
                    kind = value.decode()
                elif name == b"data":
                    data = value

    async def follow(
        self, parameters: Parameters, after: str, *, lost: Callable[[Fault], None], found: Callable[[], None]
    ) -> AsyncGenerator[Event]:
        """A tail over any number of connections: nothing is lost or repeated. `lost` is called once when a connection
        breaks, `found` when there is one again."""
        backoff = Backoff(first_s=0.2, most_s=5.0)
        while True:
            fault: Fault = Retry("the collector ended the connection")
            try:
                async for event in self.tail(parameters, after):
                    if backoff.failures:
                        backoff.reset()
                        found()
                    after = event.id
                    yield event
            except Retry as broken:
                fault = broken
            if not backoff.failures:
                lost(fault)
            await asyncio.sleep(backoff.next_s())

    @asynccontextmanager
    async def _get(
        self, path: str, parameters: Parameters, headers: Parameters | None = None, silence_s: float | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "use `async with`"  # noqa: S101
        url = self._target.url.joinpath(path.lstrip("/"))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_FIRST_S, sock_read=silence_s)
        try:
            async with self._session.get(
                url, params=parameters, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                await self._check(answer)
                self._tell(answer.headers.get(_NOTICES_HEADER, "[]").encode())
                yield answer
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Retry(self._unreachable(why_unreachable(error, url, options="--"))) from None
        except aiohttp.ClientError as error:
            raise Retry(f"the answer of {self._target.url} broke off: {error}") from None
        except TimeoutError:
            raise Retry(self._unreachable("it doesn't answer")) from None

    def _unreachable(self, reason: str) -> str:
        return (
            f"can't reach the collector at {self._target.url} (from {self._target.origin}): {reason}; "
            "start one with `deckwatch up`, or name it with --collector URL"
        )

    def _tell(self, notices: bytes) -> None:
        for one in msgspec.json.decode(notices, type=list[Notice]):
            if one.message not in self._told:
                self._told.add(one.message)
                self._notice(one.message)

    async def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status == 200:
            return
        body = _fault_of(await answer.read())
        if answer.status in (401, 403):
            raise Unusable(f"{self._target.url} wants a token, or another: --token-file FILE, or DECKWATCH_TOKEN")
        if answer.status == 400 and body:
            raise AskedWrongly(body)
        if answer.status == 404 and not body:
            raise Unusable(f"{self._target.url} is no Deckwatch collector: it doesn't know {answer.url.path}")
        reason = body.get("error") or answer.reason
        raise Retry(f"the collector at {self._target.url} answered {answer.status}: {reason}")


class AskedWrongly(Unusable):
    """The collector's words about a query or an option that it can't take."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("error", "")))
        self.body = body


def _gaps(complete: str) -> int:
    """From `true` or `gaps=N`."""
    name, _, number = complete.partition("=")
    return int(number) if name == "gaps" and number.isdecimal() else 0


def _fault_of(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


async def _lines(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Lines of any length, without their newlines. (readline() of aiohttp refuses long ones.)"""
    rest: list[bytes] = []
    async for piece in answer.content.iter_any():
        *complete, last = piece.split(b"\n")
        for line in complete:
            yield b"".join([*rest, line])
            rest.clear()
        rest.append(last)
    if last := b"".join(rest):
        yield last
