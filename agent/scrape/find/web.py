"""One JSON answer of a discovery's HTTP API."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.http_client import HttpClient

T = TypeVar("T")

MOST_BYTES = 64 << 20


async def get_json(client: HttpClient, url: str, kind: type[T]) -> T:
    """The caller bounds the time. Raises Retry, Reject, aiohttp.ClientError, OSError."""
    async with await client.request("GET", url, headers={"Accept": "application/json"}) as answer:
        if answer.status != 200:
            raise Retry(f"{url} answered {answer.status} {answer.reason or ''}".rstrip())
        pieces, size = [], 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            if size > MOST_BYTES:
                raise Reject(f"{url}: the answer is larger than {MOST_BYTES} bytes")
            pieces.append(piece)
    try:
        return msgspec.json.decode(b"".join(pieces), type=kind)
    except msgspec.DecodeError as error:
        raise Reject(f"{url}: the answer is not what it should be: {error}") from None
