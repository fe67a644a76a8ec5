"""Functions of range vectors against a reference that takes one window at a time."""

from __future__ import annotations

import math
import random

import pytest

from collector.metrics.promql import over_time
from collector.metrics.promql.blocks import Block, blocks
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE
from tests.collector.metrics.promql.reference import FUNCTIONS, Window

SETTINGS = PromqlSettings(experimental_functions=True)
STEP_MS, STEPS = 7_000, 60
SERIES = 6


def samples(rng: random.Random) -> list[tuple[int, float]]:
    """Irregular scrapes of a small counter or gauge, with pauses and resets."""
    at_ms, value, found = rng.randrange(20_000), float(rng.randrange(5)), []
    while at_ms < STEP_MS * STEPS:
        found.append((at_ms, value))
        at_ms += rng.choice((1000, 5000, 5000, 5000, 12_000, 90_000))
        value = rng.choice((value, value + rng.randrange(4), float(rng.randrange(3))))
    return found


@pytest.fixture(scope="module")
def world() -> tuple[MemorySource, dict[str, list[tuple[int, float]]]]:
    rng = random.Random(7)
    source, kept = MemorySource(), {}
    for number in range(SERIES):
        points = samples(rng)
        kept[str(number)] = points
        stale_ms = [at_ms + 1 for at_ms, _ in points[::5]]  # ends that a range selector doesn't see
        source.add((("__name__", "m_total"), ("i", str(number))), *zip(*points, strict=True))
        source.add((("__name__", "m_total"), ("i", str(number))), stale_ms, [float(STALE)] * len(stale_ms))
    return source, kept


def window(points: list[tuple[int, float]], end_ms: int, width_ms: int) -> Window:
    return [(at_ms, value) for at_ms, value in points if end_ms - width_ms < at_ms <= end_ms]


@pytest.mark.parametrize("width_ms", [1_000, 9_000, 30_000, 300_000])
@pytest.mark.parametrize("expression", FUNCTIONS)
def test_like_the_reference(
    world: tuple[MemorySource, dict[str, list[tuple[int, float]]]], expression: str, width_ms: int
) -> None:
    source, kept = world
    query = expression.format(f"m_total[{width_ms}ms]")
    result = evaluate(query, 0, (STEPS - 1) * STEP_MS, STEP_MS, source, SETTINGS)
    got = {
        (dict(points.labels)["i"], at_ms): value
        for points in result.series()
        for at_ms, value in zip(points.times_ms.tolist(), points.values.tolist(), strict=True)
    }
    wanted = {}
    for name, points in kept.items():
        for end_ms in range(0, STEPS * STEP_MS, STEP_MS):
            value = FUNCTIONS[expression](window(points, end_ms, width_ms), end_ms, width_ms)
            if value is not None:
                wanted[name, end_ms] = value
    assert got.keys() == wanted.keys()
    assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("expression", FUNCTIONS)
def test_in_small_blocks(
    world: tuple[MemorySource, dict[str, list[tuple[int, float]]]], expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same whether series and steps are done at once or in pieces."""
    source, _ = world
    query = expression.format("m_total[30s]")
    whole = evaluate(query, 0, STEPS * STEP_MS, STEP_MS, source, SETTINGS)
    monkeypatch.setattr(over_time, "blocks", lambda rows, steps, visits: blocks(rows, steps, visits, max_visits=40))
    pieces = evaluate(query, 0, STEPS * STEP_MS, STEP_MS, source, SETTINGS)
    assert pieces.labels == whole.labels
    assert (pieces.present == whole.present).all()
    assert pieces.values[pieces.present].tolist() == whole.values[whole.present].tolist()


@pytest.mark.parametrize(
    ("rows", "steps", "visits_each", "wanted"),
    [
        (0, 10, 1.0, []),
        (3, 10, 1.0, [Block(0, 3, 0, 10)]),
        (3, 50, 1.0, [Block(0, 2, 0, 50), Block(2, 3, 0, 50)]),
        (2, 200, 1.0, [Block(0, 1, 0, 100), Block(0, 1, 100, 200), Block(1, 2, 0, 100), Block(1, 2, 100, 200)]),
        (1, 3, 1000.0, [Block(0, 1, 0, 1), Block(0, 1, 1, 2), Block(0, 1, 2, 3)]),
        (2, 100, 0.0, [Block(0, 1, 0, 100), Block(1, 2, 0, 100)]),
    ],
)
def test_blocks(rows: int, steps: int, visits_each: float, wanted: list[Block]) -> None:
    assert list(blocks(rows, steps, visits_each, max_visits=100)) == wanted


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "double_exponential_smoothing(m_total[1m], 0, 0.5)",
            "invalid smoothing factor. Expected: 0 < sf < 1, got: 0.",
        ),
        ("double_exponential_smoothing(m_total[1m], 0.5, 1)", "invalid trend factor. Expected: 0 < tf < 1, got: 1."),
    ],
)
def test_bad_factors(world: tuple[MemorySource, dict[str, list[tuple[int, float]]]], query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        evaluate(query, 100_000, 100_000, 0, world[0], SETTINGS)


@pytest.mark.parametrize(
    ("expression", "values", "wanted"),
    [
        ("deriv({})", [5.0, 5.0], 0.0),
        ("deriv({})", [math.inf, math.inf], math.nan),
        ("predict_linear({}, 60)", [math.inf, math.inf], math.nan),
        ("predict_linear({}, 60)", [5.0, 5.0], 5.0),
        ("changes({})", [math.nan, math.nan, 1.0], 1.0),
        ("resets({})", [2.0, math.nan, 1.0], 0.0),
        ("min_over_time({})", [math.nan, 2.0, 3.0], 2.0),
        ("max_over_time({})", [math.nan, math.nan], math.nan),
        ("sum_over_time({})", [1e308, 1e308, -1e308], math.inf),
        ("sum_over_time({})", [1.0, 1e100, 1.0, -1e100], 2.0),
        ("avg_over_time({})", [1e308, 1e308, 1e308], 1e308),
        ("avg_over_time({})", [math.inf, -math.inf], math.nan),
        ("quantile_over_time(0.5, {})", [math.nan, 1.0, 3.0], 1.0),  # NaN is the smallest
        ("quantile_over_time(0.2, {})", [math.nan, 1.0, 3.0], math.nan),
        ("quantile_over_time(NaN, {})", [1.0, 2.0], math.nan),
        ("mad_over_time({})", [1.0, math.nan, 3.0], math.nan),
        ("stddev_over_time({})", [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16], math.sqrt(22.5)),
        ("irate({})", [1.0, math.nan], math.nan),
        ("idelta({})", [5.0, 2.0], -3.0),
    ],
)
def test_special_values(expression: str, values: list[float], wanted: float) -> None:
    source = MemorySource()
    times_ms = [place * 60_000 for place in range(len(values))]
    source.add((("__name__", "m_total"),), times_ms, values)
    result = evaluate(expression.format("m_total[1h]"), times_ms[-1], times_ms[-1], 0, source, SETTINGS)
    assert result.values.tolist() == [[pytest.approx(wanted, nan_ok=True)]]
