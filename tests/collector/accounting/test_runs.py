"""Sets of byte ranges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.accounting.runs import Runs, common, joined, runs_of, size, without

ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def members(runs: Runs) -> set[int]:
    return {byte for start, end in runs for byte in range(start, end)}


@pytest.mark.parametrize(
    ("parts", "want"),
    [
        ([], ()),
        ([(3, 3)], ()),
        ([(5, 9), (0, 5)], ((0, 9),)),
        ([(0, 4), (5, 9)], ((0, 4), (5, 9))),
        ([(0, 9), (2, 4), (9, 10)], ((0, 10),)),
    ],
)
def test_joined(parts: list[tuple[int, int]], want: Runs) -> None:
    assert joined(parts) == want


@given(ranges, ranges)
def test_they_behave_like_sets_of_bytes(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = joined(left), joined(right)
    assert members(joined(a, b)) == members(a) | members(b)
    assert members(without(a, b)) == members(a) - members(b)
    assert members(common(a, b)) == members(a) & members(b)
    assert size(a) == len(members(a))
    for runs in (joined(a, b), without(a, b)):
        assert all(start < end for start, end in runs)
        assert all(end < start for (_, end), (start, _) in pairwise(runs))


@given(ranges)
def test_columns_give_the_same_union(parts: list[tuple[int, int]]) -> None:
    filled = sorted((start, start + 1 + end) for start, end in parts)
    starts, ends = (np.array([pair[n] for pair in filled], np.int64) for n in (0, 1))
    assert runs_of(starts, ends) == joined(filled)
