"""Lines of StatsD and DogStatsD. Pure.

Formats: etsy/statsd docs/metric_types.md (`name:value|type|@rate`), DogStatsD datagrams 1.0 to 1.3 (`|#tag:value`,
packed values `name:1:2:3|ms`, `|c:<container>`, `|T<time>`), tags in the name as Telegraf (`name,tag=value`) and
Librato (`name#tag=value`) write them. Names are made Prometheus' as statsd_exporter does: what may not stand there
becomes `_`.
"""

from __future__ import annotations

import math
import re
from enum import StrEnum
from functools import lru_cache

import msgspec

from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_CONTAINER = re.compile(r"(?:ci-|cid-)?([0-9a-f]{64})")
_SHOWN = 80


class Kind(StrEnum):
    COUNTER = "c"
    GAUGE = "g"
    TIMER = "ms"
    HISTOGRAM = "h"
    DISTRIBUTION = "d"
    SET = "s"


class Unsupported(Reject):
    """An event or a service check of DogStatsD."""


class Observation(msgspec.Struct, frozen=True):
    name: str
    labels: Labels
    kind: Kind
    values: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()  # of a set
    relative: bool = False  # of a gauge: +3, -3
    rate: float = 1.0  # share of what happened that was sent


def read_line(line: str) -> Observation:
    """Raises Reject, or Unsupported."""
    if line.startswith(("_e{", "_sc|")):
        raise Unsupported("events and service checks are not metrics")
    series, found, rest = line.partition(":")
    if not found or not series:
        raise Reject(f"{_shown(line)}: expected NAME:VALUE|TYPE")
    values, *parts = rest.split("|")
    if not parts:
        raise Reject(f"{_shown(line)}: the type is missing")
    try:
        kind = Kind(parts[0])
    except ValueError:
        raise Reject(f"{_shown(line)}: type {parts[0]!r} is none of {', '.join(Kind)}") from None
    rate, tags = _options(line, parts[1:])
    name, labels = _identity(series, tags)
    if kind is Kind.SET:
        return Observation(name, labels, kind, texts=(values,))
    numbers = tuple([_number(line, text) for text in values.split(":")])
    relative = kind is Kind.GAUGE and values[:1] in ("+", "-")
    return Observation(name, labels, kind, numbers, relative=relative, rate=rate)


def _options(line: str, parts: list[str]) -> tuple[float, str]:
    """Sample rate, and the tags as one text (the container's among them)."""
    rate, tags = 1.0, ""
    for part in parts:
        if part.startswith("@"):
            rate = _number(line, part[1:])
            if not 0 < rate <= 1:
                raise Reject(f"{_shown(line)}: a sample rate is above 0 and at most 1")
        elif part.startswith("#"):
            tags = f"{part[1:]},{tags}" if tags else part[1:]
        elif part.startswith("c:"):
            if (container := _CONTAINER.fullmatch(part[2:])) is not None:
                tags = f"{tags},container_id:{container[1]}" if tags else f"container_id:{container[1]}"
        elif part and not part.startswith(("T", "e:", "card:")):  # time, external data, cardinality: not for us
            raise Reject(f"{_shown(line)}: {_shown(part)} is neither @RATE nor #TAGS")
    return rate, tags


@lru_cache(maxsize=16_384)
def _identity(series: str, tags: str) -> tuple[str, Labels]:
    """Programs say the same few names again and again."""
    name, _, inner = series.partition("#" if "#" in series else ",")
    labels: dict[str, str] = {}
    for part in filter(None, inner.split(",")):
        label, _, value = part.partition("=")
        labels[_safe(label)] = value
    for part in filter(None, tags.split(",")):
        label, _, value = part.partition(":")
        labels[_safe(label)] = value or "true"  # a tag without a value
    return _safe(name), tuple(sorted((label, value) for label, value in labels.items() if value))


def _safe(name: str) -> str:
    safe = _NOT_IN_NAMES.sub("_", name.strip())
    return f"_{safe}" if not safe or safe[0].isdigit() else safe


def _number(line: str, text: str) -> float:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Reject(f"{_shown(line)}: {_shown(text)} is no number")
    return number


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
