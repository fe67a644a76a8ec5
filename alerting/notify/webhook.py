"""One POST to a receiver, and what its answer means."""

from __future__ import annotations

import email.utils
import json
import time

import aiohttp

from alerting.notify.receivers import Receiver, host_of
from deckwatch.runtime.faults import Reject, Retry

USER_AGENT = "Deckwatch"
_AGAIN = (408, 425, 429)
MOST_RETRY_AFTER_S = 3600.0
"""A receiver that wishes for more is asked after this all the same."""


class RetryAnswer(Retry):
    """It came with an HTTP answer; `code` goes into the receipt."""

    def __init__(self, message: str, code: int, after_s: float | None) -> None:
        super().__init__(message, after_s=after_s)
        self.code = code


class RejectAnswer(Reject):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


async def post(
    session: aiohttp.ClientSession, receiver: Receiver, body: dict[str, object], key: str, *, timeout_s: float
) -> int:
    """The code of an answer that means success. Raises Retry (no answer, 5xx, 408, 425, 429) or Reject (the rest,
    redirects too: a message is not sent to where nobody configured it)."""
    url = receiver.url()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "Idempotency-Key": key,
        **receiver.headers(),
    }
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    data = json.dumps(body, ensure_ascii=False).encode()
    where = f"receiver {receiver.name} at {host_of(url)}"
    try:
        async with session.post(url, data=data, headers=headers, timeout=timeout, allow_redirects=False) as answer:
            code, after = answer.status, answer.headers.get("Retry-After")
    except TimeoutError:
        raise Retry(f"{where} did not answer within {timeout_s:g} s") from None
    except aiohttp.InvalidURL:
        raise Retry(f"{where}: the URL is not valid") from None
    except (aiohttp.ClientError, OSError) as error:
        raise Retry(f"{where} can't be reached: {_reason(error)}") from None
    if 200 <= code < 300:
        return code
    if code in _AGAIN or code >= 500:
        raise RetryAnswer(f"{where} answered {code}", code, retry_after_s(after, time.time()))
    raise RejectAnswer(f"{where} refused the message with {code}", code)


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Of the header's two forms, seconds and a date (RFC 9110, 10.2.3); None where it is neither."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(float(value), MOST_RETRY_AFTER_S)
    try:
        wish_s = email.utils.parsedate_to_datetime(value).timestamp() - now_s
        return min(max(0.0, wish_s), MOST_RETRY_AFTER_S)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    """Without the URL, which aiohttp puts into some of its messages."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(error).__name__
