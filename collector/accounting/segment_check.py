"""Is a segment's file the one that was written, and does it hold the very rows that the manifest says?

The file is read anew by its name: a running collector has the old one mapped, and would not notice that it was deleted
or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from collector.accounting.runs import Run
from collector.store.embedded.coverage import Coverage, coverage_of, merged
from collector.store.embedded.manifest import SegmentRow
from collector.store.embedded.segments import SegmentFolder

_COLUMNS = {"deckwatch.origin": "origin", "log.offset": "start", "deckwatch.end": "end"}


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a segment. `found` is what it does hold: None where nothing of it can be relied upon."""

    row: SegmentRow
    problem: str
    found: Coverage | None = None
    repeated: tuple[tuple[int, int], ...] = ()  # (origin, rows that are there twice)


def check_segment(folder: SegmentFolder, row: SegmentRow, expected: Coverage | None) -> Finding | None:
    """None: it is as it was written. `expected` None: a version without coverage wrote it, its rows can't be compared.
    Blocks on the disk. Raises FileNotFoundError where it is gone: whoever asks knows whether it should be there."""
    path = folder.base_of(row).with_suffix(".parquet")
    try:
        folder.verify_data(row)
        rows = list(_read(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # pyarrow's are both
        return Finding(row, str(error))
    found = merged(coverage for coverage, _ in rows)
    repeated = _added(repeats for _, repeats in rows)
    if repeated:
        return Finding(row, f"{path} holds {sum(repeated.values())} records twice", found, tuple(repeated.items()))
    if expected is not None and found != expected:
        return Finding(row, f"{path} holds other records than the manifest says", found)
    return None


def gone(folder: SegmentFolder, row: SegmentRow) -> Finding:
    return Finding(row, f"{folder.base_of(row)}.parquet is gone")


def read_starts(path: Path, origins: frozenset[int], within: Run) -> pl.DataFrame:
    """(origin, start) of the rows of these origins that begin in `within`. Blocks; raises OSError or ValueError."""
    low, high = within
    parts = [
        block.filter(pl.col("origin").is_in(list(origins)) & pl.col("start").is_between(low, high, closed="left"))
        for block in _blocks(path)
    ]
    return pl.concat(parts).select("origin", "start")


def _read(path: Path) -> Iterator[tuple[Coverage, dict[int, int]]]:
    """Of each block; rows of a segment stand in the order of (origin, start), so that repeats are neighbours."""
    last: tuple[int, int] | None = None
    for block in _blocks(path):
        origin, start = block["origin"].to_numpy(), block["start"].to_numpy()
        same = (origin[1:] == origin[:-1]) & (start[1:] == start[:-1])
        repeats = dict(zip(*(part.tolist() for part in np.unique(origin[1:][same], return_counts=True)), strict=True))
        if last == (origin[0], start[0]):
            repeats[int(origin[0])] = repeats.get(int(origin[0]), 0) + 1
        last = (origin[-1], start[-1])
        yield coverage_of(block), repeats


def _blocks(path: Path) -> Iterator[pl.DataFrame]:
    """Offsets only, one block at a time."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for place in range(file.num_row_groups):
            table = file.read_row_group(place, columns=list(_COLUMNS), use_threads=False)
            columns = [
                pl.Series(name, table[column].cast("uint32" if name == "origin" else "int64").to_numpy())
                for column, name in _COLUMNS.items()
            ]
            if table.num_rows:
                yield pl.DataFrame(columns)


def _added(several: Iterator[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for one in several:
        for origin, count in one.items():
            total[origin] = total.get(origin, 0) + count
    return total
