"""What the bound of a range is: a number, a quantity with a unit, a time, an address, a version, else a text. Pure.

    10  1.5e3              numbers
    13ms  1m30s  2h        durations: ns us µs ms s (sec) m (min) h d w, several of them too
    512B  10kB  1.5MiB     sizes: B, kB MB GB TB PB EB of 1000 (in any case), KiB MiB ... of 1024; the B may be missing
                           behind capitals (4G, 512Mi)
    99.5%                  shares
    2026-01-31  2026-01-31T12:00:00Z      times, as the span that they name
    10.0.0.1  2001:db8::1  addresses
    1.10.2  v2.0.0-rc.1    versions of three numbers or more, or behind a v

A value without a unit has the one that its field's name says (`took_ms`, `size_bytes`, `latencySeconds`; ECS's
`event.duration` is in ns, its `*.pct` is a fraction of one). Where the name says none it can't be compared with a
quantity, except for 0.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum

import msgspec

from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import absolute_span

NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = re.compile(rf"[+-]?{NUMBER}(?:[eE][+-]?\d+)?")

DURATION_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # U+00B5, as Go writes it
    "μs": 1e-6,  # U+03BC
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
}
DURATION_UNIT = "|".join(sorted(DURATION_UNITS, key=len, reverse=True))
_STEP = re.compile(rf"({NUMBER}) ?({DURATION_UNIT}) ?")
_STEPS = re.compile(rf"([+-]?)((?:{_STEP.pattern})+)")
SIZE_UNIT = r"[kKmMgGtTpPeE]?[iI]?[bB]|[kKMGTPE]i|[KMGTPE]|[bB]ytes?"
_SIZE = re.compile(rf"([+-]?{NUMBER}) ?({SIZE_UNIT})")
_SHARE = re.compile(rf"([+-]?{NUMBER}) ?%")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ].*)?")
_VERSION = re.compile(r"(?:v\d+(?:\.\d+)*|\d+(?:\.\d+){2,})(?:[-+.][0-9A-Za-z.+-]+)?")
_VERSION_LIKE = re.compile(r"v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


class Measure(StrEnum):
    """How two values are compared."""

    NUMBER = "number"
    DURATION = "duration"  # in seconds
    SIZE = "size"  # in bytes
    SHARE = "percentage"  # in percent
    TIME = "time"
    ADDRESS = "address"
    VERSION = "version"
    TEXT = "text"


QUANTITIES = (Measure.DURATION, Measure.SIZE, Measure.SHARE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unit(msgspec.Struct, frozen=True):
    measure: Measure
    factor: float  # of the measure's own unit


def measure_of(bound: str) -> Measure:
    if _NUMBER.fullmatch(bound):
        return Measure.NUMBER
    for measure, pattern in (
        (Measure.DURATION, _STEPS),
        (Measure.SIZE, _SIZE),
        (Measure.SHARE, _SHARE),
    ):
        if pattern.fullmatch(bound):
            return measure
    if _is_time(bound):
        return Measure.TIME
    if address_of(bound) is not None:
        return Measure.ADDRESS
    return Measure.VERSION if _VERSION.fullmatch(bound) else Measure.TEXT


def quantity(text: str, measure: Measure) -> float | None:
    """In the measure's unit; None where the text is no such quantity."""
    match measure:
        case Measure.DURATION if found := _STEPS.fullmatch(text):
            total = sum(float(number) * DURATION_UNITS[unit] for number, unit in _STEP.findall(found[2]))
            return -total if found[1] == "-" else total
        case Measure.SIZE if found := _SIZE.fullmatch(text):
            return float(found[1]) * unit_factor(measure, found[2])
        case Measure.SHARE if found := _SHARE.fullmatch(text):
            return float(found[1])
    return None


def unit_factor(measure: Measure, unit: str) -> float:
    """What one of a unit is in the measure's own."""
    if measure is Measure.DURATION:
        return DURATION_UNITS[unit]
    letter = unit[0].upper()
    if measure is Measure.SHARE or letter == "B":
        return 1.0
    return float((1024 if unit[1:2] in ("i", "I") else 1000) ** ("KMGTPE".index(letter) + 1))


def _is_time(text: str) -> bool:
    try:
        return _TIME.fullmatch(text) is not None and bool(absolute_span(text))
    except Reject:
        return False


def address_of(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def network_of(text: str) -> Network | None:
    """`10.0.0.0/8`, `2001:db8::/32`; bits behind the prefix are ignored, as Elasticsearch does."""
    if "/" not in text or not (text[0].isdigit() or ":" in text):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


Version = tuple[tuple[int, ...], int, tuple[tuple[int, int, str], ...]]


def version_key(text: str) -> Version | None:
    """Orders as https://semver.org/#spec-item-11 does, with any count of numbers; None: it is no version."""
    found = _VERSION_LIKE.fullmatch(text)
    if found is None or len(text) > _LONGEST_VERSION:
        return None
    numbers = [int(number) for number in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 1.0 is 1.0.0
        numbers.pop()
    before = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in (found[2] or "").split(".") if part]
    return tuple(numbers), 0 if before else 1, tuple(before)


_LONGEST_VERSION = 128

# What a field's name says --------------------------------------------------------------------------------------

_NAMED_UNITS = {
    Unit(Measure.DURATION, 1e-9): "ns nanos nanosecond nanoseconds",
    Unit(Measure.DURATION, 1e-6): "us usec micros microsecond microseconds",
    Unit(Measure.DURATION, 1e-3): "ms msec millis millisecond milliseconds",
    Unit(Measure.DURATION, 1.0): "s sec secs second seconds",
    Unit(Measure.DURATION, 60.0): "min mins minutes",
    Unit(Measure.DURATION, 3600.0): "hours",
    Unit(Measure.SIZE, 1.0): "byte bytes",
    Unit(Measure.SIZE, 1e3): "kb",
    Unit(Measure.SIZE, 1e6): "mb",
    Unit(Measure.SIZE, 1e9): "gb",
    Unit(Measure.SIZE, 1024.0): "kib",
    Unit(Measure.SIZE, 1024.0**2): "mib",
    Unit(Measure.SIZE, 1024.0**3): "gib",
    Unit(Measure.SHARE, 1.0): "percent percentage",
    Unit(Measure.SHARE, 100.0): "pct ratio",
}
_UNIT_OF_WORD = {word: unit for unit, words in _NAMED_UNITS.items() for word in words.split()}
_CLEAR_ALONE = 5  # letters: `seconds` alone is a unit, `ns` alone is more likely a namespace
_NAME_WORDS = re.compile(r"[A-Z]?[a-z0-9µ]+|[A-Z]+")


def unit_of_name(field: str) -> Unit | None:
    """The unit in which a field's plain numbers are, as its name tells."""
    if field in ("event.duration", "body.event.duration"):
        return Unit(Measure.DURATION, 1e-9)
    words = _NAME_WORDS.findall(field)
    if not words or (len(words) == 1 and len(words[0]) < _CLEAR_ALONE):
        return None
    return _UNIT_OF_WORD.get(words[-1].lower())
