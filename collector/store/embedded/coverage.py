"""Which bytes of which streams a segment holds, so that what is lost with it can be named when the file is gone, and
so that what retention drops stays accounted for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import polars as pl
import zstandard

from collector.accounting.runs import Ints, Run, Runs, joined
from deckwatch.runtime.faults import Reject


class Covered(msgspec.Struct, frozen=True, array_like=True):
    """What a segment holds of one origin. Holes between runs are bytes that were elsewhere: in gaps, in groups of lines
    that were still open. Records of stdout and stderr may lie over each other (a stack trace with lines of the other
    one in between)."""

    origin: int
    rows: int
    runs: Runs


Coverage = tuple[Covered, ...]
"""By origin, each once."""

_decoder = msgspec.msgpack.Decoder(Coverage)


def coverage_of(rows: pl.DataFrame) -> Coverage:
    """`rows` has origin, start and end and is sorted by (origin, start)."""
    if rows.is_empty():
        return ()
    origin, start, end = (rows[name].to_numpy() for name in ("origin", "start", "end"))
    edges = np.flatnonzero(origin[1:] != origin[:-1]) + 1
    reach = _reach(rows, end, edges)
    breaks = start[1:] > reach[:-1]
    breaks[edges - 1] = True
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])  # rows that begin a run
    last = np.concatenate([first[1:], [len(origin)]]) - 1
    runs = list(zip(start[first].tolist(), reach[last].tolist(), strict=True))
    begins = np.concatenate([[0], edges])  # rows that begin an origin
    counts = np.diff(np.concatenate([begins, [len(origin)]])).tolist()
    places = np.searchsorted(first, begins).tolist()
    return tuple(
        Covered(number, count, tuple(runs[low:high]))
        for number, count, low, high in zip(
            origin[begins].tolist(), counts, places, [*places[1:], len(runs)], strict=True
        )
    )


def _reach(rows: pl.DataFrame, end: Ints, edges: Ints) -> Ints:
    """The furthest end of a row and those of its origin before it. Rows mostly follow each other, and then it is the
    row's own; a stack trace of one iostream encloses the lines that the other wrote meanwhile."""
    falls = end[1:] < end[:-1]
    falls[edges - 1] = False
    if not falls.any():
        return end
    return rows.select(pl.col("end").cum_max().over("origin")).to_series().to_numpy()


def merged(parts: Iterable[Coverage]) -> Coverage:
    """Of several pieces of one segment."""
    found: dict[int, list[Covered]] = {}
    for part in parts:
        for one in part:
            found.setdefault(one.origin, []).append(one)
    return tuple(_united(origin, pieces) for origin, pieces in sorted(found.items()))


def _united(origin: int, pieces: list[Covered]) -> Covered:
    if len(pieces) == 1:
        return pieces[0]
    runs: list[Run] = [run for one in pieces for run in one.runs]
    return Covered(origin, sum(one.rows for one in pieces), joined(runs))


def pack(coverage: Coverage) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(msgspec.msgpack.encode(coverage))


def unpack(packed: bytes) -> Coverage:
    """Raises Reject where it is damaged."""
    try:
        return _decoder.decode(zstandard.ZstdDecompressor().decompress(packed))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise Reject(f"a segment's list of streams can't be read: {error}") from None
