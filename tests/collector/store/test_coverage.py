"""What is remembered of a segment's rows: rows and byte ranges by origin."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.accounting.runs import joined
from collector.store.embedded.coverage import Covered, coverage_of, merged, pack, unpack
from deckwatch.runtime.faults import Reject

Rows = list[tuple[int, int, int]]


def frame(rows: Rows) -> pl.DataFrame:
    return pl.DataFrame(
        sorted(rows), schema={"origin": pl.UInt32(), "start": pl.Int64(), "end": pl.Int64()}, orient="row"
    )


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([], ()),
        ([(1, 0, 5), (1, 5, 9)], (Covered(1, 2, ((0, 9),)),)),
        ([(1, 0, 5), (1, 7, 9)], (Covered(1, 2, ((0, 5), (7, 9))),)),
        ([(1, 0, 9), (1, 3, 5), (1, 9, 12)], (Covered(1, 3, ((0, 12),)),)),  # stderr inside a trace of stdout
        ([(2, 0, 5), (1, 5, 9)], (Covered(1, 1, ((5, 9),)), Covered(2, 1, ((0, 5),)))),
    ],
)
def test_coverage(rows: Rows, want: tuple[Covered, ...]) -> None:
    assert coverage_of(frame(rows)) == want


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.integers(1, 9)), max_size=30), st.integers(1, 7))
def test_pieces_of_a_segment_say_the_same_as_all_of_it(shapes: Rows, piece: int) -> None:
    rows = [(origin, start, start + length) for origin, start, length in shapes]
    table = frame(rows)
    whole = coverage_of(table)
    assert merged(coverage_of(table.slice(at, piece)) for at in range(0, len(rows), piece)) == whole
    for one in whole:
        mine = [(start, end) for origin, start, end in rows if origin == one.origin]
        assert (one.rows, one.runs) == (len(mine), joined(mine))


def test_it_reads_back_and_says_when_it_is_damaged() -> None:
    coverage = (Covered(7, 2, ((0, 5), (7, 9))),)
    assert unpack(pack(coverage)) == coverage
    with pytest.raises(Reject, match="can't be read"):
        unpack(pack(coverage)[:-3])
