"""Sample frames for tests, written the way an agent writes them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from deckwatch.wire.model import Column, Labels, Samples, Target

T0_NS = 1_700_000_000_000_000_000
S = 1_000_000_000

Values = Mapping[str, float | None]
"""`name` or `name{label=value}` -> value; None = absent (NaN)."""


def labels(text: str) -> Labels:
    """`a=1,b=2` -> (("a", "1"), ("b", "2"))"""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return tuple(sorted((name, value) for name, _, value in pairs))


def column(text: str) -> Column:
    name, _, inner = text.partition("{")
    return Column(name, labels(inner.rstrip("}")))


def frame(
    at_s: float,
    targets: Mapping[str, Values],
    *,
    source: str = "cgroup",
    tenant: str = "default",
    ended: tuple[str, ...] = (),
) -> Samples:
    schemas = tuple(tuple(map(column, values)) for values in targets.values())
    made = tuple(
        Target(labels(target), place, pack(tuple(values.values())))
        for place, (target, values) in enumerate(targets.items())
    )
    return Samples(source, T0_NS + int(at_s * S), tenant, schemas, made, tuple(labels(text) for text in ended))


def pack(values: tuple[float | None, ...]) -> bytes:
    return struct.pack(f"<{len(values)}d", *(math.nan if value is None else value for value in values))
