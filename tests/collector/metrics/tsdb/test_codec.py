"""Samples come back digit for digit, and cut bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.metrics.promql.source import STALE
from collector.metrics.tsdb.codec import decode_times, decode_values, encode
from deckwatch.runtime.faults import Reject

SPECIAL = [0.0, -0.0, float("inf"), -float("inf"), float("nan"), float(STALE), 5e-324, 1.7976931348623157e308, 2.0**53]


def bits(values: np.ndarray) -> list[int]:
    return [int(each) for each in values.view(np.uint64)]


def round_trip(series: list[list[tuple[int, float]]]) -> None:
    counts = np.array([len(points) for points in series], np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    times_ms = np.array([time for points in series for time, _ in points], np.int64)
    values = np.array([value for points in series for _, value in points], np.float64)
    times, time_ends, packed, value_ends = encode(times_ms, values, offsets)
    assert decode_times(times, time_ends[:-1], counts).tolist() == times_ms.tolist()
    assert bits(decode_values(packed, value_ends[:-1], counts)) == bits(values)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(-(2**61), 2**61),
                st.one_of(
                    st.floats(width=64),
                    st.integers(-(2**54), 2**54).map(float),
                    st.integers(0, 10**12).map(lambda ns: ns / 1e9),
                    st.sampled_from(SPECIAL),
                ),
            ),
            max_size=12,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_samples_come_back(series: list[list[tuple[int, float]]]) -> None:
    round_trip(series)


@pytest.mark.parametrize(
    ("values", "most_bytes"),
    [
        ([7.5] * 120, 9),  # constant
        ([float(n * 3) for n in range(120)], 9 + 120),  # a counter that grows evenly
        ([n * 10_000_019 / 1e9 for n in range(120)], 16 + 120),  # CPU seconds, of nanoseconds
        ([4096.0 * (n % 50) for n in range(120)], 4 + 120),  # whole pages
        ([7.5] * 119 + [float(STALE)], 9),  # ended
        ([0.1 + n % 2 for n in range(120)], 4 + 240),
    ],
)
def test_what_metrics_look_like_is_small(values: list[float], most_bytes: int) -> None:
    points = [(1000 * n, value) for n, value in enumerate(values)]
    _, _, packed, _ = encode(
        np.array([time for time, _ in points], np.int64), np.array(values), np.array([0, len(values)])
    )
    assert len(packed) <= most_bytes
    round_trip([points])


def test_bytes_that_end_early_are_refused() -> None:
    values = np.array([1.5, 2.25, 1e300, 3.0])
    times, _, packed, _ = encode(np.arange(4) * 1000, values, np.array([0, 4]))
    start, count = np.zeros(1, np.int64), np.array([4])
    for cut in range(len(packed)):
        with pytest.raises(Reject, match="values of samples"):
            decode_values(packed[:cut], start, count)
    for cut in range(len(times)):
        with pytest.raises(Reject, match="times of samples"):
            decode_times(times[:cut], start, count)
    packed = packed.copy()
    packed[0] = 0x7F
    with pytest.raises(Reject, match="of a kind"):
        decode_values(packed, start, count)
