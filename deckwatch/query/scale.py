"""Axes: where ticks stand, and how numbers and times on them read. Pure."""

from __future__ import annotations

import math
from datetime import datetime, tzinfo

import msgspec

_LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Scale(msgspec.Struct, frozen=True):
    low: float
    high: float

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)


def value_scale(low: float, high: float) -> Scale:
    """Of an axis that holds all values. It begins at 0 where that does not flatten what there is to see."""
    if 0 < low <= high / 2:
        low = 0.0
    if low / 2 <= high < 0:
        high = 0.0
    if low == high:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    return Scale(low, high)


def short(value: float) -> str:
    """At most 7 characters: `1.25M`, `0.0031`, `1.2e-09`."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    size = abs(value)
    for unit, suffix in _LARGE:
        if unit <= size < 1e15:
            return f"{value / unit:.4g}{suffix}"
    if size and (size < 1e-3 or size >= 1e15):
        return f"{value:.1e}"
    return f"{value:.4g}"


def time_label(at_s: float, span_s: float, zone: tzinfo | None) -> str:
    """`zone` None: that of this machine."""
    moment = datetime.fromtimestamp(at_s, zone).astimezone(zone)
    if span_s < 600:
        return f"{moment:%H:%M:%S}"
    return f"{moment:%H:%M}" if span_s < 86_400 else f"{moment:%m-%d %H:%M}"
