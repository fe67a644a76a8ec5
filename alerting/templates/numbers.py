"""Numbers for people: humanize and its kin (prometheus/common, helpers/templates)."""

from __future__ import annotations

import math
from collections.abc import Callable

from alerting.rules.durations import parse_duration_ns
from alerting.rules.gofloat import general, significant
from alerting.templates.moments import Duration, Moment
from alerting.templates.values import Datum, FunctionFailed, as_number, as_text
from deckwatch.runtime.faults import Reject

_LATEST_S = 253_402_300_799
"""The last second of the year 9999."""


def humanize(value: Datum) -> str:
    """SI prefixes: 1234567 -> 1.235M, 0.00123 -> 1.23m."""
    number = as_number(value)
    if number == 0 or not math.isfinite(number):
        return significant(number)
    if abs(number) >= 1:
        return _scaled(number, "kMGTPEZY", 1000)
    return _scaled_down(number)


def humanize_1024(value: Datum) -> str:
    """IEC prefixes: 1048576 -> 1Mi."""
    number = as_number(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return significant(number)
    return _scaled(number, "kMGTPEZY", 1024, "i")


def humanize_duration(value: Datum) -> str:
    number = as_number(value)
    if not math.isfinite(number):
        return significant(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        return _scaled_down(number) + "s"
    sign = "-" if number < 0 else ""
    seconds = int(abs(number))
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds % 60}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds % 60}s"
    if minutes:
        return f"{sign}{minutes}m {seconds % 60}s"
    return f"{sign}{significant(abs(number))}s"


def humanize_percentage(value: Datum) -> str:
    return significant(as_number(value) * 100) + "%"


def humanize_timestamp(value: Datum) -> str:
    number = as_number(value)
    if not math.isfinite(number):
        return significant(number)
    return str(to_time(number))


def to_time(value: Datum) -> Moment:
    """Of Unix seconds."""
    number = as_number(value)
    if not math.isfinite(number) or not 0 <= abs(number) <= _LATEST_S:
        raise FunctionFailed(f"{general(number)} cannot be represented as a timestamp")
    return Moment(round(number * 1_000_000) * 1000)


def to_duration(value: Datum) -> Duration:
    number = as_number(value)
    if not math.isfinite(number) or abs(number) > 2**63 / 1e9:
        raise FunctionFailed(f"{general(number)} cannot be represented as a duration")
    return Duration(round(number * 1e9))


def parse_duration(text: Datum) -> float:
    try:
        return parse_duration_ns(as_text(text)) / 1e9
    except Reject as error:
        raise FunctionFailed(str(error)) from None


def _scaled(number: float, prefixes: str, base: int, suffix: str = "") -> str:
    used = ""
    for prefix in prefixes:
        if abs(number) < base:
            break
        used = prefix + suffix
        number /= base
    return significant(number) + used


def _scaled_down(number: float) -> str:
    used = ""
    for prefix in "munpfazy":
        if abs(number) >= 1:
            break
        used = prefix
        number *= 1000
    return significant(number) + used


NUMBER_FUNCTIONS: dict[str, Callable[..., Datum]] = {
    "humanize": humanize,
    "humanize1024": humanize_1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "parseDuration": parse_duration,
    "toTime": to_time,
    "toDuration": to_duration,
}
