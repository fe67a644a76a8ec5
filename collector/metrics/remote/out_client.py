"""One request to a receiver, and what became of it.

https://prometheus.io/docs/specs/prw/remote_write_spec/: 2xx is taken; 5xx and 429 are for later, Retry-After holds;
any other 4xx is never sent again. A redirect is not followed (a POST would become a GET): it waits for somebody to
mend the address.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from collector.metrics.remote.settings import RemoteWriteSettings
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.http_client import HttpClient, start_of

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_SHOWN = 300  # of an answer's text
_LONGEST_WISH_S = 3600.0


class Taken(msgspec.Struct, frozen=True):
    pass


class Later(msgspec.Struct, frozen=True):
    reason: str
    kind: str  # for metrics: timeout | unreachable | the status
    after_s: float | None = None  # the receiver's wish
    uncertain: bool = False  # it may have been taken all the same


class Refused(msgspec.Struct, frozen=True):
    status: int
    reason: str


Outcome = Taken | Later | Refused


class OutClient:
    """In the event loop."""

    def __init__(self, settings: RemoteWriteSettings, clock: Clock) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self._settings = settings
        self._clock = clock
        self._timeout_s = duration_s(settings.remote_timeout)
        self._http = HttpClient(msgspec.structs.replace(settings, follow_redirects=False))

    async def post(self, body: bytes) -> Outcome:
        headers = {**self._settings.headers, **HEADERS}
        url = self._settings.url
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                await self._http.request("POST", url, headers=headers, data=body) as answer,
            ):
                text = (await start_of(answer.content, _SHOWN)).decode("utf-8", "replace").strip()
                return judged(answer.status, text, answer.headers.get("Retry-After", ""), self._clock.now_ns() / 1e9)
        except TimeoutError:
            return Later(f"no answer within {self._timeout_s:g} s", "timeout", uncertain=True)
        except Retry as fault:
            return Later(str(fault), "credentials")
        except aiohttp.ClientConnectorError as error:
            return Later(f"it can't be reached: {error}", "unreachable")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Later(str(error) or type(error).__name__, "unreachable", uncertain=True)

    async def close(self) -> None:
        await self._http.close()


def judged(status: int, text: str, retry_after: str, now_s: float) -> Outcome:
    told = f"it answered {status}" + (f": {text}" if text else "")
    if 200 <= status < 300:
        return Taken()
    if 300 <= status < 400:
        return Later(f"{told}; redirects are not followed: configure the address that it moved to", str(status))
    if status == 429 or status >= 500:
        return Later(told, str(status), wish_s(retry_after, now_s), uncertain=status >= 500)
    return Refused(status, told)


def wish_s(retry_after: str, now_s: float) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None: none that could be read."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:10]), _LONGEST_WISH_S)
    try:
        at: datetime = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return min(max(0.0, at.timestamp() - now_s), _LONGEST_WISH_S)
