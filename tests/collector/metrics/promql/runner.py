"""Runs an eval of a promqltest script: what it says of the answer must hold, also when asked in other ways."""

from __future__ import annotations

import math
import re
from functools import lru_cache

import msgspec

from collector.metrics.promql import ast
from collector.metrics.promql.ast import Expr, ValueType
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ParseError, QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.parser import Query, parse
from collector.metrics.promql.result import Result
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Labels
from tests.collector.metrics.promql.script import Eval, Expect, Load, Native, range_vector, string

SETTINGS = PromqlSettings(experimental_functions=True)
TOLERANCE = 1e-6
MINUTE_MS = 60_000

NATIVE = "native histograms"
INFO = "info()"
DURATION = "duration expressions"


@lru_cache(maxsize=64)
def _loaded(loads: tuple[Load, ...]) -> MemorySource:
    source = MemorySource()
    for load in loads:
        for line in load.lines:
            assert line.labels is not None
            kept = [(place, point) for place, point in enumerate(line.points) if isinstance(point, float)]
            times = [place * load.step_ms for place, _ in kept]
            source.add(line.labels, times, [point for _, point in kept])
    return source


@lru_cache(maxsize=64)
def _natives(loads: tuple[Load, ...]) -> MemorySource:
    """The series that hold native histograms, each with a sample at 0."""
    source = MemorySource()
    for load in loads:
        for line in load.lines:
            assert line.labels is not None
            if any(isinstance(point, Native) for point in line.points):
                source.add(line.labels, [0], [0.0])
            elif load.custom_buckets:
                source.add(_base(line.labels), [0], [0.0])
    return source


def _base(labels: Labels) -> Labels:
    """The native series that load_with_nhcb makes of a bucket, sum or count."""
    name = re.sub(r"_(bucket|sum|count)$", "", dict(labels)[NAME_LABEL])
    return ((NAME_LABEL, name), *(pair for pair in labels if pair[0] not in (NAME_LABEL, "le")))


def may_need(case: Eval) -> str | None:
    """What isn't there and an eval that fails may fail for; None: it has to pass. Of the evals over series that hold
    native histograms, some have an answer that doesn't depend on them."""
    if any(isinstance(point, Native) for line in case.lines for point in line.points):
        return NATIVE
    try:
        query = parse(case.query, experimental=True)
    except ParseError as error:
        if "info() is not supported" in str(error):
            return INFO
        return DURATION if "duration expressions" in str(error) else None
    natives = _natives(case.loads)
    for node in ast.walk(query.expr):
        if isinstance(node, ast.VectorSelector) and natives.select(node.matchers, 0, 0, 10**9).labels:
            return NATIVE
    return None


def check(case: Eval) -> None:
    """Raises AssertionError where the answer isn't what the script says."""
    failure = case.expected("fail")
    if failure is not None:
        _check_failure(case, failure)
        return
    result = _ask(case, case.query, case.start_ms, case.end_ms, case.step_ms)
    _check_notes(case, result)
    if (text := case.expected("string")) is not None:
        assert result.kind is ValueType.STRING
        assert result.text == string(text.detail)
    elif (window := case.expected("range vector")) is not None:
        _check_window(case, result, *range_vector(window.detail))
    elif case.step_ms:
        _check_range(case, result)
    else:
        _check_instant(case, result)
        _check_in_range(case)
        _check_pinned(case)


def _ask(case: Eval, query: Query | str, start_ms: int, end_ms: int, step_ms: int) -> Result:
    return evaluate(query, start_ms, end_ms, step_ms, _loaded(case.loads), SETTINGS)


def _check_failure(case: Eval, failure: Expect) -> None:
    try:
        result = _ask(case, case.query, case.start_ms, case.end_ms, case.step_ms)
    except QueryError as error:
        _check_text(failure.detail, [str(error)])
    else:
        raise AssertionError(f"it should have failed, and gave {list(result.series())}")


def _check_text(detail: str, texts: list[str]) -> None:
    kind, _, wanted = detail.partition(":")
    wanted = wanted.strip()
    if kind == "msg":
        assert wanted in texts
    elif kind == "regex":
        assert any(re.search(wanted, text) for text in texts), texts


def _check_notes(case: Eval, result: Result) -> None:
    for expect in case.expects:
        if expect.what in ("warn", "info"):
            texts = result.warnings if expect.what == "warn" else result.infos
            assert texts, f"no {expect.what}"
            _check_text(expect.detail, list(texts))
        elif expect.what in ("no_warn", "no_info"):
            assert not (result.warnings if expect.what == "no_warn" else result.infos)


def _same(wanted: float, got: float) -> bool:
    if math.isnan(wanted) or math.isnan(got) or math.isinf(wanted) or math.isinf(got):
        return wanted == got or (math.isnan(wanted) and math.isnan(got))
    return abs(wanted - got) <= TOLERANCE * (abs(wanted) + abs(got)) or abs(wanted - got) < 1e-300


def _check_points(labels: Labels, wanted: dict[int, float], got: dict[int, float]) -> None:
    assert got.keys() == wanted.keys(), f"{labels}: samples at {sorted(got)}, wanted at {sorted(wanted)}"
    for at_ms, value in wanted.items():
        assert _same(value, got[at_ms]), f"{labels} at {at_ms} ms: {got[at_ms]}, wanted {value}"


def _check_instant(case: Eval, result: Result) -> None:
    if case.lines and case.lines[0].labels is None:
        assert result.kind is ValueType.SCALAR
        value = case.lines[0].points[0]
        assert isinstance(value, float)
        assert _same(value, float(result.values[0, 0])), result.values
        return
    got = {points.labels: float(points.values[0]) for points in result.series()}
    wanted = {line.labels: line.points[0] for line in case.lines if line.labels is not None}
    assert got.keys() == wanted.keys()
    for labels, value in wanted.items():
        assert isinstance(value, float)
        assert _same(value, got[labels]), f"{labels}: {got[labels]}, wanted {value}"
    if case.expected("ordered") is not None:
        assert list(got) == list(wanted)


def _check_range(case: Eval, result: Result) -> None:
    got = {
        points.labels: dict(zip(points.times_ms.tolist(), points.values.tolist(), strict=True))
        for points in result.series()
    }
    wanted = {line.labels: _at_steps(line.points, case.start_ms, case.step_ms) for line in case.lines}
    assert got.keys() == wanted.keys()
    for labels, points in wanted.items():
        assert labels is not None
        _check_points(labels, points, got[labels])


def _at_steps(points: tuple[object, ...], start_ms: int, step_ms: int) -> dict[int, float]:
    found = {start_ms + place * step_ms: point for place, point in enumerate(points)}
    return {at_ms: point for at_ms, point in found.items() if isinstance(point, float)}


def _check_window(case: Eval, result: Result, start_ms: int, end_ms: int, step_ms: int) -> None:
    assert result.kind is ValueType.MATRIX
    got = {
        points.labels: dict(zip(points.times_ms.tolist(), points.values.tolist(), strict=True))
        for points in result.series()
    }
    wanted = {line.labels: _at_steps(line.points, start_ms, step_ms) for line in case.lines}
    assert got.keys() == wanted.keys()
    for labels, points in wanted.items():
        assert labels is not None
        assert all(at_ms <= end_ms for at_ms in points)
        _check_points(labels, points, got[labels])


_OF_THE_QUERY = frozenset({"start", "end", "step", "range"})


def _check_in_range(case: Eval) -> None:
    """The same answer at the middle of three steps."""
    query = parse(case.query, experimental=True)
    calls = {node.function for node in ast.walk(query.expr) if isinstance(node, ast.Call)}
    if calls & _OF_THE_QUERY:
        return
    result = _ask(case, query, case.start_ms - MINUTE_MS, case.start_ms + MINUTE_MS, MINUTE_MS)
    _check_values(case, result, 1)


def _check_values(case: Eval, result: Result, step: int) -> None:
    got = {
        labels: float(result.values[row, step]) for row, labels in enumerate(result.labels) if result.present[row, step]
    }
    wanted = {line.labels or (): line.points[0] for line in case.lines}
    assert got.keys() == wanted.keys()
    for labels, value in wanted.items():
        assert isinstance(value, float)
        assert _same(value, got[labels]), f"{labels}: {got[labels]}, wanted {value}"


_MOVING = frozenset({"time", "timestamp", "predict_linear", "absent", "absent_over_time"}) | _OF_THE_QUERY


def _check_pinned(case: Eval) -> None:
    """The same answer at other times, once every selector is pinned to the time of the eval."""
    query = parse(case.query, experimental=True)
    calls = [node for node in ast.walk(query.expr) if isinstance(node, ast.Call)]
    if any(call.function in _MOVING or not call.args for call in calls):
        return
    pinned = Query(case.query, _pinned(query.expr, case.start_ms))
    at_ms = 10 * case.start_ms + 7
    for result in (_ask(case, pinned, at_ms, at_ms, 0), _ask(case, pinned, at_ms, at_ms + MINUTE_MS, MINUTE_MS)):
        _check_values(case, result, 0)


def _pinned(expr: Expr, at_ms: int) -> Expr:
    match expr:
        case ast.VectorSelector() | ast.Subquery():
            return expr if expr.at is not None else msgspec.structs.replace(expr, at=at_ms)
        case ast.MatrixSelector():
            vector = _pinned(expr.vector, at_ms)
            return msgspec.structs.replace(expr, vector=vector)
        case ast.Binary():
            return msgspec.structs.replace(expr, left=_pinned(expr.left, at_ms), right=_pinned(expr.right, at_ms))
        case ast.Call():
            return msgspec.structs.replace(expr, args=tuple(_pinned(arg, at_ms) for arg in expr.args))
        case ast.Aggregate():
            param = None if expr.param is None else _pinned(expr.param, at_ms)
            return msgspec.structs.replace(expr, expr=_pinned(expr.expr, at_ms), param=param)
        case ast.Paren() | ast.Unary():
            return msgspec.structs.replace(expr, expr=_pinned(expr.expr, at_ms))
        case _:
            return expr
