"""Which series of both sides belong together, and what is refused."""

from __future__ import annotations

import pytest

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from tests.collector.metrics.promql.test_engine import answer


def source_of(*series: str) -> MemorySource:
    """Each `name{a=b,c=d} value value ...`, a value a minute, `_` for none."""
    made = MemorySource()
    for text in series:
        metric, *values = text.split()
        name, _, inner = metric.removesuffix("}").partition("{")
        labels = [("__name__", name)]
        for pair in filter(None, inner.split(",")):
            label, _, value = pair.partition("=")
            labels.append((label, value))
        there = [(place * 60_000, float(value)) for place, value in enumerate(values) if value != "_"]
        made.add(labels, [at_ms for at_ms, _ in there], [value for _, value in there])
    return made


WORLD = source_of(
    "err{job=a,code=5} 2",
    "err{job=a,code=4} 1",
    "err{job=b,code=5} 3",
    "req{job=a} 10",
    "req{job=b} 30",
    "info{job=a,version=1} 1",
    "info{job=b,version=2} 1",
)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("err{code='5'} / ignoring (code) req", {"job=a": 0.2, "job=b": 0.1}),
        ("err{code='5'} / on (job) req", {"job=a": 0.2, "job=b": 0.1}),
        ("err / ignoring (code) group_left req", {"code=5,job=a": 0.2, "code=4,job=a": 0.1, "code=5,job=b": 0.1}),
        ("req / ignoring (code) group_right err", {"code=5,job=a": 5, "code=4,job=a": 10, "code=5,job=b": 10}),
        ("req * on (job) group_left (version) info", {"job=a,version=1": 10, "job=b,version=2": 30}),
        ("req > on (job) group_left (version) (info * 20)", {"__name__=req,job=b,version=2": 30}),
        ("req < on (job) (info * 20)", {"job=a": 10}),
        ("req < ignoring (version) (info * 20)", {"__name__=req,job=a": 10}),
        ("req == bool on (job) (info * 10)", {"job=a": 1, "job=b": 0}),
        ("err and on (job) req{job='a'}", {"__name__=err,code=5,job=a": 2, "__name__=err,code=4,job=a": 1}),
        ("err unless on (job) req{job='a'}", {"__name__=err,code=5,job=b": 3}),
        ("req{job='a'} or req", {"__name__=req,job=a": 10, "__name__=req,job=b": 30}),
        ("req or on () info", {"__name__=req,job=a": 10, "__name__=req,job=b": 30}),
        ("nothing or req", {"__name__=req,job=a": 10, "__name__=req,job=b": 30}),
        ("req and nothing", {}),
        ("req unless nothing", {"__name__=req,job=a": 10, "__name__=req,job=b": 30}),
        ("req / nothing", {}),
        ("err{code='4'} * on (job) group_left (__name__) req", {"__name__=req,code=4,job=a": 10}),
        ("err{code='4'} < bool on (job) group_left (__name__) req", {"code=4,job=a": 1}),
        ("2 ^ req{job='a'}", {"job=a": 1024}),
        ("20 < req", {"__name__=req,job=b": 30}),
        ("20 < bool req", {"job=a": 0, "job=b": 1}),
        ("-7 % req{job='a'}", {"job=a": -7}),
        ("req + on (nothing) group_left (version) info{job='a'}", {"job=a,version=1": 11, "job=b,version=1": 31}),
        ("err{job='b'} * on (job) group_left (code) req", {"job=b": 90}),  # the one side lacks `code`, so it goes
    ],
)
def test_matching(query: str, wanted: dict[str, float]) -> None:
    result = evaluate(query, 0, 0, 0, WORLD)
    assert {labels: values[0] for labels, values in answer(result).items()} == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("err / ignoring (code) req", "multiple matches for labels: many-to-one matching must be explicit"),
        (
            "req / ignoring (code) err",
            'found duplicate series for the match group {job="a"} on the right hand-side of the operation: '
            '[{__name__="err", code="4", job="a"}, {__name__="err", code="5", job="a"}]'
            ";many-to-many matching not allowed: matching labels must be unique on one side",
        ),
        ("err / on (job) group_right err", "on the left hand-side of the operation"),
        ("err * on (job) group_left (code) (req * 1)", "grouping labels must ensure unique matches"),
        ("err > ignoring (code) req", "multiple matches for labels"),  # also where the comparison leaves none
    ],
)
def test_refused(query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        evaluate(query, 0, 0, 0, WORLD)
    assert message in str(caught.value)


MOVING = source_of("one{i=a} 1 _ 3", "one{i=b} _ 2 _", "other{j=x} 10 10 _", "same{i=a} 5 _ 5", "same{i=b} 7 _ _")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        # two series of one group that take turns: each step has one partner
        ("one * on () other", {"": {0: 10, 60: 20}}),
        ("other * on () group_left (i) one", {"i=a,j=x": {0: 10}, "i=b,j=x": {60: 20}}),
        ("one or on () other", {"__name__=one,i=a": {0: 1, 120: 3}, "__name__=one,i=b": {60: 2}}),
        ("one{i='a'} or on () other", {"__name__=one,i=a": {0: 1, 120: 3}, "__name__=other,j=x": {60: 10}}),
        ("other and on () one{i='a'}", {"__name__=other,j=x": {0: 10}}),
        ("other unless on () one{i='a'}", {"__name__=other,j=x": {60: 10}}),
        # nothing is matched, and nothing wrong, where one of the sides is empty
        ("one{i='b'} + on () same", {}),
        ("one == same / 5", {"__name__=one,i=a": {0: 1}}),
    ],
)
def test_matching_at_each_step_anew(query: str, wanted: dict[str, dict[float, float]]) -> None:
    result = evaluate(query, 0, 120_000, 60_000, MOVING, PromqlSettings(lookback_s=59))
    assert answer(result) == wanted
