"""Where parts of a stream lie over each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from collector.accounting.runs import Run, Runs


class Part(msgspec.Struct, frozen=True):
    """The bytes of a stream that lie in one place under one origin."""

    segment: int
    origin: int
    runs: Runs


def overlaps(parts: Sequence[Part]) -> list[tuple[Run, frozenset[int]]]:
    """(bytes that more than one part covers, the origins of those parts), ascending; overlaps that touch are one."""
    spans = sorted((start, end, part.origin) for part in parts for start, end in part.runs)
    found: list[tuple[Run, frozenset[int]]] = []
    reach, reaching = -1, -1  # end of the furthest span so far, and its origin
    for start, end, origin in spans:
        if start < reach:
            _add(found, (start, min(end, reach)), frozenset({origin, reaching}))
        if end > reach:
            reach, reaching = end, origin
    return found


def _add(found: list[tuple[Run, frozenset[int]]], run: Run, origins: frozenset[int]) -> None:
    if found and run[0] <= found[-1][0][1]:
        (start, end), others = found[-1]
        found[-1] = ((start, max(end, run[1])), others | origins)
    else:
        found.append((run, origins))
