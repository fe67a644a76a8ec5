"""What every SeriesSource owes (collector/metrics/promql/source.py), against each of series_sources.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.parser import parse_selector
from collector.metrics.promql.source import STALE, Selection, SeriesSource
from deckwatch.wire.model import Labels
from tests.conformance.series_sources import SOURCES, Series

T0 = 1_700_000_000_000
STEP_MS = 15_000
ANY = 10**9


def named(name: str, **labels: str) -> Labels:
    return tuple(sorted((("__name__", name), *labels.items())))


UP_A, UP_B, UP_NONE = named("up", job="a", instance="1"), named("up", job="b", instance="1"), named("up", instance="2")
DOWN, NEWLINE = named("down", job="a"), named("text", line="two\nlines")

SERIES: tuple[Series, ...] = (
    (UP_A, [T0 + place * STEP_MS for place in range(10)], [float(place) for place in range(10)]),
    (UP_B, [T0, T0 + STEP_MS, T0 + 2 * STEP_MS], [1.0, math.nan, float(STALE)]),
    (UP_NONE, [T0 + 5 * STEP_MS], [math.inf]),
    (DOWN, [T0 + 100 * STEP_MS], [-0.0]),
    (NEWLINE, [T0], [1.0]),
)


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SeriesSource]:
    with SOURCES[request.param](tmp_path, SERIES) as opened:
        yield opened


def select(
    source: SeriesSource, selector: str, start: int = 0, end: int = 1000
) -> dict[Labels, list[tuple[int, float]]]:
    """Samples by series; start and end in steps after T0."""
    found = source.select(parse_selector(selector), T0 + start * STEP_MS, T0 + end * STEP_MS, ANY)
    check_shape(found)
    bounds = found.offsets.tolist()
    return {
        labels: list(zip(found.times_ms[low:high].tolist(), found.values[low:high].tolist(), strict=True))
        for labels, low, high in zip(found.labels, bounds[:-1], bounds[1:], strict=True)
        if high > low
    }


def check_shape(found: Selection) -> None:
    assert found.offsets.dtype == np.int64
    assert found.times_ms.dtype == np.int64
    assert found.values.dtype == np.float64
    assert len(found.offsets) == len(found.labels) + 1
    assert found.offsets[0] == 0
    assert found.offsets[-1] == len(found.times_ms) == len(found.values)
    assert len(set(found.labels)) == len(found.labels)
    for labels, low, high in zip(found.labels, found.offsets[:-1], found.offsets[1:], strict=True):
        assert list(labels) == sorted(labels)
        assert (np.diff(found.times_ms[low:high]) > 0).all()


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("up", {UP_A, UP_B, UP_NONE}),
        ("up{job='a'}", {UP_A}),
        ("up{job!='a'}", {UP_B, UP_NONE}),
        ("up{job=''}", {UP_NONE}),
        ("up{job!=''}", {UP_A, UP_B}),
        ("up{job=~'a|b'}", {UP_A, UP_B}),
        ("up{job=~'a|'}", {UP_A, UP_NONE}),
        ("up{job!~'a|b'}", {UP_NONE}),
        ("up{job=~'.+'}", {UP_A, UP_B}),
        ("up{job=~'A'}", set()),
        ("up{job=~'(?i:A)'}", {UP_A}),
        ("up{job=~'a', instance='2'}", set()),
        ("up{missing=''}", {UP_A, UP_B, UP_NONE}),
        ("up{missing!=''}", set()),
        ("{job='a'}", {UP_A, DOWN}),
        ("{__name__=~'u.'}", {UP_A, UP_B, UP_NONE}),
        ("{__name__=~'u'}", set()),  # anchored
        ("{__name__!='up', job='a'}", {DOWN}),
        ("text{line=~'two.lines'}", {NEWLINE}),  # a dot matches a newline
        ("nothing", set()),
    ],
)
def test_matchers(source: SeriesSource, selector: str, wanted: set[Labels]) -> None:
    assert select(source, selector).keys() == wanted


@pytest.mark.parametrize(("start", "end", "wanted"), [(2, 4, [2, 3, 4]), (9, 9, [9]), (10, 99, []), (-5, -1, [])])
def test_both_ends_belong_to_the_range(source: SeriesSource, start: int, end: int, wanted: list[int]) -> None:
    points = select(source, "up{job='a'}", start, end).get(UP_A, [])
    assert points == [(T0 + place * STEP_MS, float(place)) for place in wanted]


def test_values_keep_their_bits(source: SeriesSource) -> None:
    found = source.select(parse_selector("up{job='b'}"), T0, T0 + 2 * STEP_MS, ANY)
    wanted = np.array([1.0, math.nan, STALE]).view(np.uint64)
    assert found.values.view(np.uint64).tolist() == wanted.tolist()
    (_, zero), *_ = select(source, "down")[DOWN]
    assert math.copysign(1, zero) == -1


def test_too_many_samples_are_refused(source: SeriesSource) -> None:
    assert select(source, "up{job='a'}")
    matchers = parse_selector("up{job='a'}")
    assert source.select(matchers, T0, T0 + 9 * STEP_MS, 10).samples == 10
    with pytest.raises(QueryError, match="too many samples"):
        source.select(matchers, T0, T0 + 9 * STEP_MS, 9)


def test_the_same_order_each_time(source: SeriesSource) -> None:
    once, again = (source.select(parse_selector("up"), T0, T0 + 9 * STEP_MS, ANY) for _ in range(2))
    assert once.labels == again.labels


def test_what_is_handed_out_does_not_change(source: SeriesSource) -> None:
    found = source.select(parse_selector("up"), T0, T0 + 9 * STEP_MS, ANY)
    before = found.values.view(np.uint64).tolist(), found.times_ms.tolist(), found.offsets.tolist()
    evaluate("-up + rate(up[1m]) or up", T0, T0 + 9 * STEP_MS, STEP_MS, source)
    assert (found.values.view(np.uint64).tolist(), found.times_ms.tolist(), found.offsets.tolist()) == before


def test_it_serves_the_engine(source: SeriesSource) -> None:
    result = evaluate("rate(up{job='a'}[1m]) * 15", T0 + 9 * STEP_MS, T0 + 9 * STEP_MS, 0, source)
    assert result.labels == ((("instance", "1"), ("job", "a")),)
    assert result.values.tolist() == [[pytest.approx(1.0)]]
    ended = evaluate("up{job='b'}", T0 + STEP_MS, T0 + 2 * STEP_MS, STEP_MS, source)
    assert ended.present.tolist() == [[True, False]]
