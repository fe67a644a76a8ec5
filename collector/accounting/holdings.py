"""Who holds which bytes of which stream: from the manifest, the memory and the parser, at one entry of the journal."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from collector.accounting.cut import Cut
from collector.accounting.ledger import Holdings, KnownGap
from collector.accounting.runs import joined
from collector.store.embedded.coverage import Coverage, coverage_of, unpack
from collector.store.embedded.shelf import Shelf


class Moved(Exception):
    """Segments came or went since the cut was made: another one is needed."""


def gather(shelf: Shelf, cut: Cut) -> dict[str, Holdings]:
    """By stream key, of every stream that has an account or bytes; `shelf` was read behind the cut. Raises Moved."""
    if serving_segments(cut) != set(shelf.serving):
        raise Moved
    found: dict[str, Holdings] = {key: Holdings() for key in cut.accounts}
    _add_segments(found, cut, shelf)
    _add_memory(found, cut)
    for key, runs in cut.open.items():
        _of(found, key).open = runs
    for key, runs in shelf.dead_letters.items():
        _of(found, key).dead_letters = runs
    for key, runs in cut.dead_letters.items():
        held = _of(found, key)
        held.dead_letters = joined(held.dead_letters, runs)
    for dropped in shelf.dropped:
        held = _of(found, dropped.key)
        held.dropped[dropped.why] = dropped.runs
        held.dropped_rows += dropped.rows
    for row in dict.fromkeys((*shelf.gaps, *cut.gaps)):
        _of(found, row.key).gaps.append(KnownGap(row.start, row.end, row.reason, by_agent=not row.segment))
    return found


def serving_segments(cut: Cut) -> set[int]:
    return {block.segment.id for tenant in cut.snapshot.tenants.values() for block in tenant.sealed}


def _of(found: dict[str, Holdings], key: str) -> Holdings:
    return found.setdefault(key, Holdings())


def _add_segments(found: dict[str, Holdings], cut: Cut, shelf: Shelf) -> None:
    for packed in shelf.serving.values():
        for key, rows, runs in by_key(unpack(packed), cut) if packed else ():
            held = _of(found, key)
            held.sealed_rows += rows
            held.stored += runs
    for packed in shelf.aside.values():
        for key, rows, _ in by_key(unpack(packed), cut) if packed else ():
            _of(found, key).aside_rows += rows


def _add_memory(found: dict[str, Holdings], cut: Cut) -> None:
    for rows in memory(cut):
        for key, count, runs in by_key(coverage_of(rows), cut):
            held = _of(found, key)
            held.hot_rows += count
            held.stored += runs


def memory(cut: Cut) -> Iterator[pl.DataFrame]:
    """(origin, start, end) of what is not sealed, in this order."""
    for tenant in cut.snapshot.tenants.values():
        for block in (*tenant.sealing, *tenant.hot):
            yield block.rows.select("origin", "start", "end").sort("origin", "start")


def by_key(coverage: Coverage, cut: Cut) -> list[tuple[str, int, tuple[tuple[int, int], ...]]]:
    """(stream key, rows, runs); a stream may come several times, once for each context that it had."""
    origins = cut.snapshot.origins
    return [(origins[one.origin].key, one.rows, one.runs) for one in coverage if one.origin in origins]
