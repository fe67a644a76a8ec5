"""One answer of one target."""

from __future__ import annotations

import asyncio
from enum import StrEnum

import aiohttp
import msgspec

from agent.scrape.exposition import ACCEPT, OPENMETRICS_TYPE
from agent.scrape.target import Target
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.http_client import HttpClient


class Outcome(StrEnum):
    OK = "ok"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STATUS = "status"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    LIMIT = "limit"
    UNEXPECTED = "unexpected"


class ScrapeFault(Retry):
    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Answer(msgspec.Struct, frozen=True):
    body: bytes
    openmetrics: bool


async def fetch(target: Target, client: HttpClient, *, limit_bytes: int) -> Answer:
    """Within the target's timeout, body included. Raises ScrapeFault."""
    headers = {"Accept": ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout_s:g}"}
    try:
        async with asyncio.timeout(target.timeout_s), await client.request("GET", target.url, headers=headers) as got:
            return Answer(await _body(got, limit_bytes), got.content_type == OPENMETRICS_TYPE)
    except TimeoutError:
        raise ScrapeFault(Outcome.TIMEOUT, f"no whole answer within {target.timeout_s:g} s") from None
    except ScrapeFault:
        raise
    except (aiohttp.ClientError, OSError, Retry, ValueError) as error:
        raise ScrapeFault(Outcome.UNREACHABLE, str(error) or type(error).__name__) from None


async def _body(got: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """Unpacked; no more than one piece beyond the limit is ever held."""
    if got.status != 200:
        raise ScrapeFault(Outcome.STATUS, f"it answered {got.status} {got.reason or ''}".rstrip())
    pieces, size = [], 0
    async for piece in got.content.iter_any():
        size += len(piece)
        if limit_bytes and size > limit_bytes:
            raise ScrapeFault(Outcome.TOO_LARGE, f"the answer is larger than body_size_limit ({limit_bytes} bytes)")
        pieces.append(piece)
    return b"".join(pieces)
