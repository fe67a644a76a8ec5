"""Answers as Prometheus' HTTP API writes them, byte for byte where the API has it (web/api/v1 of Prometheus)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from collector.metrics.promql.answer import failure, number_texts, success, time_text
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ErrorType, ParseError, QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.numbers import format_api
from collector.metrics.promql.parser import parse
from collector.metrics.promql.result import Result


@pytest.fixture
def source() -> MemorySource:
    made = MemorySource()
    made.add((("__name__", "up"), ("job", 'a"b')), [0, 15_500], [1, 0.5])
    made.add((("__name__", "up"), ("job", "ü")), [15_500], [math.inf])
    return made


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("1e30", '{"resultType":"scalar","result":[20.250,"1e+30"]}'),
        ("'a\\n\"'", '{"resultType":"string","result":[20.250,"a\\n\\""]}'),
        ('"\\xff"', '{"resultType":"string","result":[20.250,"\ufffd"]}'),
        ("nothing", '{"resultType":"vector","result":[]}'),
        ("nothing[5m]", '{"resultType":"matrix","result":[]}'),
        (
            "up",
            '{"resultType":"vector","result":['
            '{"metric":{"__name__":"up","job":"a\\"b"},"value":[20.250,"0.5"]},'
            '{"metric":{"__name__":"up","job":"ü"},"value":[20.250,"+Inf"]}]}',
        ),
        ("sum(up)", '{"resultType":"vector","result":[{"metric":{},"value":[20.250,"+Inf"]}]}'),
        (
            "up[1m]",
            '{"resultType":"matrix","result":['
            '{"metric":{"__name__":"up","job":"a\\"b"},"values":[[0,"1"],[15.500,"0.5"]]},'
            '{"metric":{"__name__":"up","job":"ü"},"values":[[15.500,"+Inf"]]}]}',
        ),
    ],
)
def test_instant(source: MemorySource, query: str, data: str) -> None:
    result = evaluate(query, 20_250, 20_250, 0, source)
    body = success(result, in_range=False)
    assert body.decode() == f'{{"status":"success","data":{data}}}'
    json.loads(body)


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("time()", '[{"metric":{},"values":[[0,"0"],[10,"10"],[20,"20"]]}]'),
        ("nothing", "[]"),
        ("up{job='ü'} * 1e-9", '[{"metric":{"job":"ü"},"values":[[20,"+Inf"]]}]'),
        ("up{job!='ü'} * 1e-9", '[{"metric":{"job":"a\\"b"},"values":[[0,"1e-09"],[10,"1e-09"],[20,"5e-10"]]}]'),
    ],
)
def test_range(source: MemorySource, query: str, result: str) -> None:
    body = success(evaluate(query, 0, 20_000, 10_000, source), in_range=True)
    assert body.decode() == f'{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}'


def test_notes(source: MemorySource) -> None:
    body = json.loads(success(evaluate("rate(up[1m]) + quantile(7, up)", 20_000, 20_000, 0, source), in_range=False))
    assert body["warnings"] == ["PromQL warning: quantile value should be between 0 and 1, got 7 (1:25)"]
    assert [info.split(":")[0] for info in body["infos"]] == ["PromQL info"]


def test_only_some_of_many_notes_are_shown(source: MemorySource) -> None:
    plain = evaluate("up", 0, 0, 0, source)
    noted: Result = plain.with_notes(tuple(f"w{number}" for number in range(13)), ("i",) * 10, ())
    body = json.loads(success(noted, in_range=False))
    assert body["warnings"] == [f"w{number}" for number in range(10)] + ["3 more warning annotations omitted"]
    assert body["infos"] == ["i"] * 10


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ErrorType.BAD_DATA, 400),
        (ErrorType.EXECUTION, 422),
        (ErrorType.CANCELED, 499),
        (ErrorType.INTERNAL, 500),
        (ErrorType.TIMEOUT, 503),
    ],
)
def test_failures(kind: ErrorType, status: int) -> None:
    assert failure(QueryError("why", kind)) == (
        status,
        f'{{"status":"error","errorType":"{kind.value}","error":"why"}}'.encode(),
    )


def test_a_parse_error_is_bad_data() -> None:
    with pytest.raises(ParseError) as caught:
        parse("sum(")
    status, body = failure(caught.value)
    assert status == 400
    assert json.loads(body) == {
        "status": "error",
        "errorType": "bad_data",
        "error": "1:5: parse error: unclosed left parenthesis",
    }


def test_numbers_are_written_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate(
        [
            rng.normal(size=500) * 10.0 ** rng.integers(-12, 25, 500),
            10.0 ** np.arange(-10, 25),
            rng.integers(-(10**15), 10**15, 200).astype(np.float64),
            [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-5, 9.999999999999999e-6, 1e15, 999999999999999.9, 5e-324],
        ]
    )
    assert number_texts(values).to_list() == [format_api(value) for value in values.tolist()]


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0"), (1000, "1"), (1500, "1.500"), (1_700_000_000_007, "1700000000.007"), (-1, "-0.001"), (-2000, "-2")],
)
def test_times(ms: int, text: str) -> None:
    assert time_text(ms) == text
