"""Questions to the other storage, over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import aiohttp
import msgspec

from collector.metrics.backend.settings import BackendSettings
from collector.metrics.promql.faults import ErrorType, QueryError
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.http_client import HttpClient
from deckwatch.wire.model import DEFAULT_TENANT

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SHOWN = 300
_REST_S = 5.0
"""After a selector that got no answer the next ones fail at once: a group of a hundred rules must not wait a hundred
timeouts."""


class Reply(msgspec.Struct, frozen=True):
    status: int
    content_type: str
    body: bytes


class Backend:
    """Built inside the event loop, which does all the talking; `fetch` is for other threads."""

    def __init__(self, settings: BackendSettings) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self.settings = settings
        self._base = settings.url.rstrip("/")
        self._http = HttpClient(settings)
        self._loop = asyncio.get_running_loop()
        self._rests_until = 0.0
        self._trouble = ""

    def serves(self, tenant: str) -> bool:
        return bool(self.settings.tenant_header) or tenant == DEFAULT_TENANT

    async def ask(self, method: str, path: str, tenant: str, data: bytes = b"") -> Reply:
        """A client's question; its answer, whatever it is, but for one that only tells of a fault between us. Raises
        QueryError (unavailable, timeout)."""
        timeout_s = duration_s(self.settings.query_timeout)
        reply = await self._exchange(method, path, tenant, FORM if data else {}, data, timeout_s, bounded=False)
        if reply.status >= 500 and reply.content_type != "application/json":
            raise self._unavailable(_told(reply))
        return reply

    def fetch(self, path: str, tenant: str, *, headers: Mapping[str, str], data: bytes) -> bytes:
        """A rule's question, from a thread that may wait. Raises QueryError."""
        if time.monotonic() < self._rests_until:
            raise QueryError(self._trouble, ErrorType.UNAVAILABLE)
        asked = asyncio.run_coroutine_threadsafe(self._fetch(path, tenant, headers, data), self._loop)
        try:
            return asked.result()
        except QueryError as fault:
            if fault.kind in (ErrorType.TIMEOUT, ErrorType.UNAVAILABLE):
                self._trouble, self._rests_until = str(fault), time.monotonic() + _REST_S
            raise

    async def close(self) -> None:
        await self._http.close()

    def malformed(self, reason: object) -> QueryError:
        return self._unavailable(f"its answer can't be read: {reason}")

    def check_size(self, size_bytes: int) -> None:
        """Of an answer to a rule, packed or not. Raises QueryError."""
        if size_bytes > self.settings.max_answer_bytes:
            raise QueryError(
                f"{self._named()} answers with more than {self.settings.max_answer_bytes} bytes: narrow the selector,"
                " or raise max_answer_bytes of collector.metrics.backend"
            )

    async def _fetch(self, path: str, tenant: str, headers: Mapping[str, str], data: bytes) -> bytes:
        timeout_s = duration_s(self.settings.rule_timeout)
        reply = await self._exchange("POST", path, tenant, headers, data, timeout_s, bounded=True)
        if reply.status != 200:
            raise self._failure(reply)
        return reply.body

    async def _exchange(
        self,
        method: str,
        path: str,
        tenant: str,
        headers: Mapping[str, str],
        data: bytes,
        timeout_s: float,
        *,
        bounded: bool,
    ) -> Reply:
        own = {self.settings.tenant_header: tenant} if self.settings.tenant_header else {}
        given = {**self.settings.headers, **own, **headers}
        try:
            async with (
                asyncio.timeout(timeout_s),
                await self._http.request(method, self._base + path, headers=given, data=data or None) as answer,
            ):
                reply = Reply(answer.status, answer.content_type, await self._body(answer, bounded=bounded))
        except TimeoutError:
            raise QueryError(f"{self._named()} gave no answer within {timeout_s:g} s", ErrorType.TIMEOUT) from None
        except (aiohttp.ClientError, OSError, Retry, ValueError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from None
        if reply.status in (401, 403):
            raise self._unavailable(
                f"it answered {reply.status}: check authorization or basic_auth of collector.metrics.backend"
            )
        return reply

    async def _body(self, answer: aiohttp.ClientResponse, *, bounded: bool) -> bytes:
        pieces, size = [], 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            if bounded:
                self.check_size(size)
            pieces.append(piece)
        return b"".join(pieces)

    def _failure(self, reply: Reply) -> QueryError:
        told = _told(reply)
        if reply.status in (404, 405) and self.settings.selectors == "remote_read":
            told += "; where it has no remote read, set selectors: query in collector.metrics.backend"
        if reply.status in (404, 405, 429) or reply.status >= 500:
            return self._unavailable(told)
        return QueryError(f"{self._named()}: {told}")

    def _unavailable(self, reason: str) -> QueryError:
        return QueryError(f"{self._named()} can't be asked: {reason}", ErrorType.UNAVAILABLE)

    def _named(self) -> str:
        return f"the storage of samples at {self._base}"


def _told(reply: Reply) -> str:
    text = reply.body[:_SHOWN].decode("utf-8", "replace").strip()
    return f"it answered {reply.status}" + (f": {text}" if text else "")
