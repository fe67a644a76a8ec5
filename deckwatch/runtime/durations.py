"""Durations and sizes as prometheus.yml writes them: `1h30m`, `15s`, `10MB`. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

_UNITS_S = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
DURATION = r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$"
"""prometheus/common model.ParseDuration."""
SIZE = r"^\d+(\.\d+)?([KMGTPE]i?)?B?$"
"""alecthomas/units, which Prometheus uses: KB and KiB both are 1024 bytes."""
Duration = Annotated[str, Meta(pattern=DURATION, min_length=1)]
_PART = re.compile(r"(\d+)(ms|[ywdhms])")
_SIZE_PARTS = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]?)i?B?")


def duration_s(text: str) -> float:
    """Raises ValueError."""
    if not text or not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is no duration; write it like 15s, 1m or 1h30m")
    return sum(int(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))


def size_bytes(text: str) -> int:
    """0: no limit. Raises ValueError."""
    found = _SIZE_PARTS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no size; write it like 500KB or 10MB")
    return int(float(found[1]) * 1024 ** " KMGTPE".index(found[2] or " "))
