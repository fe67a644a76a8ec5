"""Prometheus' durations: `1h30m`, `15s`; units in falling order, each at most once, whole numbers. In ms."""

from __future__ import annotations

import re

UNITS_MS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
MAX_MS = 2**63 // 10**6
"""Go's time.Duration ends here: 292 years."""

_DURATION = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in UNITS_MS))


def parse_duration_ms(text: str) -> int | None:
    """None where it is no duration, or one beyond MAX_MS."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    total = sum(int(count) * ms for count, ms in zip(found.groups(), UNITS_MS.values(), strict=True) if count)
    return total if total <= MAX_MS else None


def format_duration_ms(ms: int) -> str:
    """The way Prometheus writes it back: years and weeks only where they are exact. Not negative."""
    if ms == 0:
        return "0s"
    parts: list[str] = []
    for unit, unit_ms in UNITS_MS.items():
        if unit in ("y", "w") and ms % unit_ms:
            continue
        count, ms = divmod(ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
