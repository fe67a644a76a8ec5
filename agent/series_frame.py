"""Series of one target as a frame of samples. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import islice

from deckwatch.wire.model import Column, Labels, Samples, Target

BLOCK_COLUMNS = 128
"""Columns that share a schema. A series that comes at the end changes the last block only, which is what the collector
has to look up anew."""


def series_frame(source: str, ts_ns: int, tenant: str, labels: Labels, series: Mapping[Column, float]) -> Samples:
    """Complete: series of that source and target that came before and are not among these have ended."""
    schemas: list[tuple[Column, ...]] = []
    targets: list[Target] = []
    left = iter(series.items())
    while block := list(islice(left, BLOCK_COLUMNS)):
        values = struct.pack(f"<{len(block)}d", *(value for _, value in block))
        targets.append(Target(labels, len(schemas), values))
        schemas.append(tuple(column for column, _ in block))
    ended = () if targets else (labels,)
    return Samples(source, ts_ns, tenant, tuple(schemas), tuple(targets), ended)
