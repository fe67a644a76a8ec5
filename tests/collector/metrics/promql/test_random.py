"""Random expressions over random series: one engine for instant and range queries, and no fault but QueryError."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ParseError, QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.parser import parse
from collector.metrics.promql.result import Result
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE
from deckwatch.wire.model import Labels
from tests.collector.metrics.promql.expressions import CORPUS, VECTORS

SETTINGS = PromqlSettings(experimental_functions=True, max_samples=2_000_000)
START_MS, END_MS, STEP_MS = 600_000, 1_500_000, 300_000


def world() -> MemorySource:
    rng = random.Random(11)
    source = MemorySource()
    for name in ("a", "b_total", "node:cpu", "sum", "by", "start"):
        for job in ("x", "y", ""):
            for le in ("1", "+Inf", ""):
                times = sorted(rng.sample(range(0, END_MS, 15_000), 40))
                specials = [float("nan"), float("inf"), float(STALE), 0.0, -1.5]
                values = [rng.choice(specials) if rng.random() < 0.1 else float(rng.randrange(50)) for _ in times]
                labels = {"__name__": name, "job": job, "le": le}
                source.add(labels.items(), times, values)
    return source


WORLD = world()


def at_step(result: Result, step: int) -> dict[Labels, float]:
    return {
        labels: float(result.values[row, step]) for row, labels in enumerate(result.labels) if result.present[row, step]
    }


@given(VECTORS)
@settings(max_examples=250, deadline=None)
@example("sum by () (a{})")
@example("topk by (job) ((1 + 1), b_total)")
@example("-(a or b_total)[1h30m:5m] == bool (a)[1h30m:5m]")
def test_an_instant_is_a_step_of_a_range(text: str) -> None:
    assume("start()" not in text and "end()" not in text)  # they name the edges of the query
    try:
        query = parse(text)
        whole = evaluate(query, START_MS, END_MS, STEP_MS, WORLD, SETTINGS)
    except QueryError:
        return
    for step, at_ms in enumerate(whole.times_ms.tolist()):
        alone = evaluate(query, at_ms, at_ms, 0, WORLD, SETTINGS)
        one, other = at_step(alone, 0), at_step(whole, step)
        assert one.keys() == other.keys()
        assert list(one.values()) == pytest.approx([other[labels] for labels in one], nan_ok=True)


@given(VECTORS)
@settings(max_examples=150, deadline=None)
def test_results_are_well_formed(text: str) -> None:
    try:
        result = evaluate(text, START_MS, END_MS, STEP_MS, WORLD, SETTINGS)
    except QueryError:
        return
    shape = (len(result.labels), len(result.times_ms))
    assert result.values.shape == result.present.shape == shape
    assert len(set(result.labels)) == len(result.labels)
    assert list(result.labels) == sorted(result.labels)
    assert result.present.any(axis=1).all()  # no series without samples
    stale = result.values.view(np.uint64) == STALE.view(np.uint64)
    assert not (stale & result.present).any()


@pytest.mark.parametrize("text", CORPUS)
def test_the_corpus_can_be_evaluated(text: str) -> None:
    instant = evaluate(text, END_MS, END_MS, 0, WORLD, SETTINGS)
    assert instant.times_ms.tolist() == [END_MS]


@given(st.text(alphabet=st.sampled_from("ab1.:5ms(){}[]=~!\"'`,+-*/%^@<> \n#_offsetbyandü\\"), max_size=40))
@settings(max_examples=500, deadline=None)
@example('{a="\ud800"}')
@example("\x00")
@example("a[5m:1m:1m]")
@example("٣")
@example('a{"b"="c\\')
def test_any_text_is_an_expression_or_a_parse_error(text: str) -> None:
    try:
        parse(text)
    except ParseError as error:
        assert 0 <= error.span.start <= len(text)  # noqa: PT017 - most texts are no expressions
