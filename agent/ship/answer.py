"""What an HTTP answer means. Pure: the client asks, the pipe acts."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deckwatch.wire.model import Refusal


class Wait(msgspec.Struct, frozen=True):
    """Try the same again later. `ours`: the collector itself says so, not something between us and it."""

    why: str
    after_s: float | None = None
    ours: bool = False


class Smaller(msgspec.Struct, frozen=True):
    """The collector can't take a body like this; in smaller batches it may."""

    why: str


class Taken(msgspec.Struct, frozen=True):
    """Success: the body is to be decoded."""


_MOST_WAIT_S = 3600.0
_SMALLER = ("too_large", "malformed")
"""`malformed`: smaller batches find out which stream it is; nothing is dropped on that account."""


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Taken | Wait | Smaller:
    """Only our collector's own refusal, a JSON body marked `deckwatch`, can mean anything else than waiting."""
    if 200 <= status < 300:
        return Taken()
    refusal = _refusal(body)
    after_s = _seconds(headers.get("Retry-After"))
    if refusal is None:
        return Wait(f"HTTP {status}, not from a Deckwatch collector: something between us and it answered", after_s)
    if refusal.error in _SMALLER:
        return Smaller(f"{refusal.error}: {refusal.detail}")
    wish = refusal.retry_after_s if refusal.retry_after_s is not None else after_s
    if wish is not None:
        wish = min(max(0.0, wish), _MOST_WAIT_S)
    return Wait(f"{refusal.error}: {refusal.detail}", wish, ours=True)


def _refusal(body: bytes) -> Refusal | None:
    try:
        return msgspec.json.decode(body, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _seconds(text: str | None) -> float | None:
    """Retry-After in seconds; a date is left to our own back-off."""
    try:
        return None if text is None else min(max(0.0, float(text)), _MOST_WAIT_S)
    except ValueError:
        return None
