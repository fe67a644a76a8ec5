"""One question to the collector: which containers are there, and what do they use?"""

from __future__ import annotations

from typing import Self

import aiohttp
import msgspec

from deckwatch.logs.target import Target
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.reach import why_unreachable
from deckwatch.top.rows import Answer

_PATH = "api/v1/containers"
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class TopClient:
    """An async context manager."""

    def __init__(self, target: Target, tenant: str) -> None:
        self._target = target
        self._parameters = {"tenant": tenant} if tenant else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._target.tls or True)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._target.headers(), timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def containers(self) -> Answer:
        """Raises Retry where it may work later, Unusable where it never will like this."""
        assert self._session is not None, "use `async with`"  # noqa: S101
        url = self._target.url.joinpath(_PATH)
        try:
            async with self._session.get(url, params=self._parameters, allow_redirects=False) as answer:
                body, status = await answer.read(), answer.status
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Retry(self._unreachable(why_unreachable(error, url, options="--"))) from None
        except aiohttp.ClientError as error:
            raise Retry(f"the answer of {self._target.url} broke off: {error}") from None
        except TimeoutError:
            raise Retry(self._unreachable("it doesn't answer")) from None
        return self._read(status, body)

    def _read(self, status: int, body: bytes) -> Answer:
        where = f"the collector at {self._target.url} (from {self._target.origin})"
        if status in (401, 403):
            raise Unusable(f"{where} wants a token: give it with --token-file or DECKWATCH_TOKEN")
        if status >= 500 or status == 429:
            raise Retry(f"{where} answered {status}")
        if status != 200:
            raise Unusable(f"{where} answered {status} to /{_PATH}: is it a collector of this version?")
        try:
            return msgspec.json.decode(body, type=Answer)
        except msgspec.DecodeError as error:
            raise Unusable(f"{where} gave an answer that can't be read: {error}") from None

    def _unreachable(self, reason: str) -> str:
        return (
            f"can't reach the collector at {self._target.url} (from {self._target.origin}): {reason}; "
            "start one with `deckwatch up`, or name it with --collector URL"
        )
