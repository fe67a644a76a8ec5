"""Speaks to the collector's intake. One connection, kept alive."""

from __future__ import annotations

import io
import ssl
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from agent.ship.answer import Smaller, Taken, Wait, judge
from agent.ship.settings import ShipSettings
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.reach import daemon_url, why_unreachable
from deckwatch.runtime.settings_fields import Secret
from deckwatch.wire.codec import ACK_TYPE, BATCH_TYPE, decode_ack
from deckwatch.wire.model import Ack, Hello, Welcome

_MOST_ANSWER_BYTES = 64 << 20
_HELLO_KEYS = 20_000
"""Keys in one Hello; more are asked for in several."""


def collector_url(text: str) -> URL:
    """Raises Unusable."""
    return daemon_url(text, "--collector", example="http://collector.example:9428")


class Client:
    """Make and close it inside the running loop."""

    def __init__(
        self, url: URL, settings: ShipSettings, *, token: Secret | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._batch_url = url / "api/v1/ingest"
        self._hello_url = url / "api/v1/ingest/hello"
        headers = {"User-Agent": "deckwatch-agent", "Accept": ACK_TYPE}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_timeout_s, sock_read=settings.answer_timeout_s
        )
        connector = aiohttp.TCPConnector(limit=2, keepalive_timeout=60.0, ssl=tls if tls is not None else True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.close()

    async def hello(self, hello: Hello) -> Welcome:
        """Asks for all positions. Raises Retry."""
        keys, positions = hello.streams, {}
        while True:
            asked = msgspec.structs.replace(hello, streams=keys[:_HELLO_KEYS])
            answer = await self._post(self._hello_url, msgspec.json.encode(asked), "application/json")
            if isinstance(answer, Smaller):
                raise Retry(f"the collector refuses our Hello: {answer.why}")
            try:
                welcome = msgspec.json.decode(answer, type=Welcome)
            except msgspec.DecodeError as error:
                raise Retry(f"{self._hello_url}: the answer is no Welcome: {error}") from None
            positions.update(welcome.positions)
            keys = keys[_HELLO_KEYS:]
            if not keys:
                return msgspec.structs.replace(welcome, positions=positions)

    async def send(self, body: bytes) -> Ack | Smaller:
        """Raises Retry: whether the batch was taken is not known then; it is safe to send it again."""
        answer = await self._post(self._batch_url, body, BATCH_TYPE)
        if isinstance(answer, Smaller):
            return answer
        try:
            return decode_ack(answer)
        except Reject as error:
            raise Retry(f"{self._batch_url}: {error}") from None

    async def _post(self, url: URL, body: bytes, content_type: str) -> bytes | Smaller:
        try:
            # BytesIO shares the bytes and is written piece by piece
            async with self._session.post(
                url, data=io.BytesIO(body), headers={"Content-Type": content_type}, allow_redirects=False
            ) as response:
                answer = await response.content.read(_MOST_ANSWER_BYTES)
                while not response.content.at_eof() and len(answer) < _MOST_ANSWER_BYTES:
                    answer += await response.content.read(_MOST_ANSWER_BYTES)
                verdict = judge(response.status, response.headers, answer)
        except (aiohttp.ClientError, OSError) as error:
            reason = why_unreachable(error, url, options="agent.tls.")
            raise Retry(f"can't reach the collector at {url.origin()}: {reason}") from None
        except TimeoutError:
            raise Retry(f"can't reach the collector at {url.origin()}: no answer in time") from None
        match verdict:
            case Taken():
                return answer
            case Wait(why, after_s):
                raise Retry(f"{url.origin()}: {why}", after_s=after_s)
            case Smaller():
                return verdict
