"""Prometheus' durations: `1h30m`, `15s`, `0`; units in falling order, each at most once, whole numbers."""

from __future__ import annotations

import re

from deckwatch.runtime.faults import Reject

_UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in _UNITS_MS))


def parse_duration_ns(text: str) -> int:
    """Raises Reject with what was expected."""
    if text == "0":
        return 0
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise Reject(f'not a duration: "{text}"; expected a number and a unit (ms, s, m, h, d, w, y), such as 1h30m')
    total_ms = sum(int(count) * ms for count, ms in zip(found.groups(), _UNITS_MS.values(), strict=True) if count)
    if total_ms > 2**63 // 10**6:
        raise Reject(f'the duration "{text}" is too long')
    return total_ms * 1_000_000


def format_duration(ns: int) -> str:
    """The way Prometheus writes it back; years and weeks only where they are exact."""
    left_ms = ns // 1_000_000
    if left_ms == 0:
        return "0s"
    parts: list[str] = []
    for unit, ms in _UNITS_MS.items():
        if unit in ("y", "w") and left_ms % ms:
            continue
        count, left_ms = divmod(left_ms, ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
