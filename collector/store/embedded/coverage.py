"""Which bytes of which streams a segment holds, so that what is lost with it can be named when the file is gone, and
so that what retention drops stays accounted for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import polars as pl
import zstandard

from collector.accounting.runs import Run, Runs, joined
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
    reached = pl.col("end").cum_max().shift(1).over("origin")
    begins = (pl.col("start") > reached).fill_null(value=True)
    runs = (
        rows.lazy()
        .select("origin", "start", "end")
        .with_columns(run=begins.cum_sum())
        .group_by("origin", "run", maintain_order=True)
        .agg(pl.col("start").first(), pl.col("end").max(), pl.len().cast(pl.Int64).alias("rows"))
        .group_by("origin", maintain_order=True)
        .agg(pl.col("rows").sum(), "start", "end")
        .collect()
    )
    return tuple(
        Covered(origin, count, tuple(zip(starts, ends, strict=True)))
        for origin, count, starts, ends in runs.iter_rows()
    )


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
