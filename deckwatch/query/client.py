"""One question to the collector, or to any Prometheus."""

from __future__ import annotations

from typing import Self

import aiohttp
import msgspec

from deckwatch.logs.target import Target
from deckwatch.query.answer import Answer
from deckwatch.query.fault import explained
from deckwatch.query.question import Question
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.reach import why_unreachable

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=150.0)
"""Longer than a query may take at the collector: its own words about that are better than ours."""


class _Failure(msgspec.Struct, frozen=True):
    error: str


class QueryClient:
    """An async context manager."""

    def __init__(self, target: Target, tenant: str) -> None:
        self._target = target
        self._tenant = {"tenant": tenant} if tenant else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._target.tls or True)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._target.headers(), timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, question: Question) -> bytes:
        """The body of a good answer. Raises Retry where it may work later, Unusable where it never will like this."""
        assert self._session is not None, "use `async with`"  # noqa: S101
        url = self._target.url.joinpath("api/v1/query_range" if question.in_range else "api/v1/query")
        form = {**question.parameters(), **self._tenant}
        try:
            async with self._session.post(url, data=form, allow_redirects=False) as answer:
                body, status = await answer.read(), answer.status
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Retry(self._unreachable(why_unreachable(error, url, options="--"))) from None
        except aiohttp.ClientError as error:
            raise Retry(f"the answer of {self._target.url} broke off: {error}") from None
        except TimeoutError:
            raise Retry(self._unreachable("it doesn't answer")) from None
        if status != 200:
            raise self._fault(status, body, question.expr)
        return body

    def read(self, body: bytes) -> Answer:
        try:
            return msgspec.json.decode(body, type=Answer)
        except msgspec.DecodeError as error:
            raise Unusable(f"{self._where()} gave an answer that can't be read: {error}") from None

    def _fault(self, status: int, body: bytes, expr: str) -> Retry | Unusable:
        if status in (401, 403):
            return Unusable(f"{self._where()} wants a token, or another: --token-file FILE, or DECKWATCH_TOKEN")
        try:
            failure = msgspec.json.decode(body, type=_Failure)
        except msgspec.DecodeError:
            if status == 429 or status >= 500:
                return Retry(f"{self._where()} answered {status}; try again")
            return Unusable(f"{self._where()} answered {status}: is it a collector of this version?")
        if status in (400, 422):
            return Unusable(explained(failure.error, expr))
        return Retry(f"{self._where()} answered {status}: {failure.error}")

    def _where(self) -> str:
        return f"the collector at {self._target.url} (from {self._target.origin})"

    def _unreachable(self, reason: str) -> str:
        return f"can't reach {self._where()}: {reason}; start one with `deckwatch up`, or name it with --collector URL"
