"""Names of incidents: short, in the order of their opening, and not to be guessed from one another.

Fourteen characters of Crockford's base 32 (https://www.crockford.com/base32.html; no i, l, o, u), lower case: eight of
the milliseconds since 2020, which last until 2054, then six (30 bits) of chance.
"""

from __future__ import annotations

import re
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH_MS = 1_577_836_800_000
_TIME_DIGITS, _CHANCE_DIGITS = 8, 6
_SHAPE = re.compile(rf"[{_ALPHABET}]{{{_TIME_DIGITS + _CHANCE_DIGITS}}}")


def new_id(now_ns: int) -> str:
    since_ms = max(0, now_ns // 1_000_000 - _EPOCH_MS)
    return _digits(since_ms, _TIME_DIGITS) + _digits(secrets.randbits(5 * _CHANCE_DIGITS), _CHANCE_DIGITS)


def is_id(text: str) -> bool:
    return _SHAPE.fullmatch(text) is not None


def _digits(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
