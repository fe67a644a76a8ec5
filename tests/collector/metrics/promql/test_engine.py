"""Times, names, limits: what the test scripts of Prometheus leave out or only touch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import msgspec
import pytest

from collector.metrics.promql.ast import ValueType
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.parser import MAX_OPERATORS, parse
from collector.metrics.promql.result import Result
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import Selection
from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels

SETTINGS = PromqlSettings(experimental_functions=True)


@pytest.fixture
def source() -> MemorySource:
    """`up{i}` counts seconds / 10 every 10 s for ten minutes; i=b is 100 higher."""
    made = MemorySource()
    times = list(range(0, 600_001, 10_000))
    for number, name in enumerate("ab"):
        made.add((("__name__", "up"), ("i", name)), times, [at / 10_000 + 100 * number for at in times])
    return made


def answer(result: Result) -> dict[str, dict[float, float]]:
    """{labels: {seconds: value}}"""
    return {
        ",".join(f"{name}={value}" for name, value in points.labels): dict(
            zip((points.times_ms / 1000).tolist(), points.values.tolist(), strict=True)
        )
        for points in result.series()
    }


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("up{i='a'}", {100: 10, 160: 16, 220: 22}),
        ("up{i='a'} offset 30s", {100: 7, 160: 13, 220: 19}),
        ("up{i='a'} offset -30s", {100: 13, 160: 19, 220: 25}),
        ("up{i='a'} @ 50", {100: 5, 160: 5, 220: 5}),
        ("up{i='a'} @ start()", {100: 10, 160: 10, 220: 10}),
        ("up{i='a'} @ end() offset 1m", {100: 16, 160: 16, 220: 16}),
        ("count_over_time(up{i='a'}[30s])", {100: 3, 160: 3, 220: 3}),
        ("count_over_time(up{i='a'}[30s:1s])", {100: 30, 160: 30, 220: 30}),
        ("count_over_time(up{i='a'}[2m:])", {100: 2, 160: 2, 220: 2}),  # at 0, 60, 120, 180 s
        ("min_over_time(up{i='a'}[2m:1m])", {100: 0, 160: 6, 220: 12}),
        ("max_over_time(up{i='a'}[2m:1m] offset 1m)", {100: 0, 160: 6, 220: 12}),
        ("max_over_time(up{i='a'}[1m:7s] @ 50)", {100: 4, 160: 4, 220: 4}),  # the last multiple of 7 s is 49
        ("max_over_time((up{i='a'} @ start())[1m:10s])", {100: 10, 160: 10, 220: 10}),
        ("max_over_time(up{i='a'}[1m:10s] @ end())", {100: 22, 160: 22, 220: 22}),
        ("timestamp(up{i='a'} offset 25s)", {100: 70, 160: 130, 220: 190}),
        ("timestamp(up{i='a'} + 0)", {100: 100, 160: 160, 220: 220}),
        ("predict_linear(up{i='a'}[1m] @ 50, 0)", {100: 10, 160: 16, 220: 22}),
        ("sum(up{i='a'} @ 50) + time()", {100: 105, 160: 165, 220: 225}),
        ("sum(max_over_time(up[1m:10s] @ 50))", {100: 110, 160: 110, 220: 110}),
        ("count_over_time(sum_over_time(up{i='a'}[10s])[100s:25s] @ 200)", {100: 4, 160: 4, 220: 4}),
        ("max_over_time(max_over_time(up{i='a'}[20s])[1m:25s] @ 50 offset 10s)", {100: 2, 160: 2, 220: 2}),
        ("sum_over_time(vector(time())[3s:1s] @ 3)", {100: 6, 160: 6, 220: 6}),
        ("timestamp(timestamp(up{i='a'} @ 50))", {100: 100, 160: 160, 220: 220}),
        ("scalar(up{i='a'})", {100: 10, 160: 16, 220: 22}),
        ("hour(up{i='a'} * 3600)", {100: 10, 160: 16, 220: 22}),
    ],
)
def test_times(source: MemorySource, query: str, wanted: dict[float, float]) -> None:
    result = evaluate(query, 100_000, 220_000, 60_000, source, SETTINGS)
    assert list(answer(result).values()) == [pytest.approx(wanted)]
    for at, value in wanted.items():
        if "start()" in query or "end()" in query:
            continue
        alone = evaluate(query, int(at * 1000), int(at * 1000), 0, source, SETTINGS)
        assert list(answer(alone).values()) == [pytest.approx({at: value})]


def test_the_last_step_is_the_last_that_fits(source: MemorySource) -> None:
    result = evaluate("time()", 0, 25_000, 10_000, source)
    assert answer(result) == {"": {0: 0, 10: 10, 20: 20}}
    assert evaluate("time()", 5_000, 5_000, 10_000, source).times_ms.tolist() == [5_000]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("rate({__name__=~'.*_total'}[5m])", SAME := "vector cannot contain metrics with the same labelset"),
        ("sum by (i) (rate({__name__=~'.*_total'}[5m]))", {"i=x": 3.0}),
        ("label_replace(rate(a_total[5m]), '__name__', 'r', '', '')", {"__name__=r,i=x": 1.0}),
        (
            "label_replace(rate({__name__=~'.*_total'}[5m]), 'n', '$1', '__name__', '(.)_.*')",
            {"i=x,n=a": 1, "i=x,n=b": 2},
        ),
        ("label_join(rate(a_total[5m]), 'n', '-', '__name__', 'i')", {"i=x,n=a_total-x": 1.0}),
        ("a_total + 1", {"i=x": 301.0}),
        ("-a_total", {"i=x": -300.0}),
        ("+a_total", {"__name__=a_total,i=x": 300.0}),
        ("a_total > 1", {"__name__=a_total,i=x": 300.0}),
        ("a_total > bool 1", {"i=x": 1.0}),
        ("a_total < ignoring () b_total", {"__name__=a_total,i=x": 300.0}),
        ("a_total - b_total", {"i=x": -300.0}),
        ("last_over_time(a_total[5m])", {"__name__=a_total,i=x": 300.0}),
        ("last_over_time((a_total * 1)[5m:])", {"i=x": 300.0}),
        ("max_over_time(a_total[5m])", {"i=x": 300.0}),
        ("abs(a_total)", {"i=x": 300.0}),
        ("topk(1, {__name__=~'.*_total'})", {"__name__=b_total,i=x": 600.0}),
        ("sum({__name__=~'.*_total'})", {"": 900.0}),
        ("sum by (__name__) ({__name__=~'.*_total'})", {"__name__=a_total": 300.0, "__name__=b_total": 600.0}),
        ("sum without (i) (a_total)", {"": 300.0}),
        ("sum by (__name__) (rate(a_total[5m]))", {"": 1.0}),
        ("sum by (__name__) (rate({__name__=~'.*_total'}[5m]))", SAME),
        ("sum by (__name__) (a_total or label_replace(rate(a_total[5m]), 'i', 'y', '', ''))", {"": 301.0}),
        (
            "label_replace(sum by (__name__) (rate(a_total[5m])), '__name__', '$1', '__name__', '(.+)')",
            {"__name__=a_total": 1.0},
        ),
        ("topk(10, sum by (__name__, i) (rate(a_total[5m])))", {"i=x": 1.0}),
        ("(rate({__name__=~'.*_total'}[5m]))[5m:1m]", SAME),
    ],
)
def test_names_are_dropped_at_the_end(query: str, wanted: dict[str, float] | str) -> None:
    source = MemorySource()
    times = list(range(0, 300_001, 10_000))
    source.add((("__name__", "a_total"), ("i", "x")), times, [at / 1000 for at in times])
    source.add((("__name__", "b_total"), ("i", "x")), times, [at / 500 for at in times])
    if isinstance(wanted, str):
        with pytest.raises(QueryError, match=wanted):
            evaluate(query, 300_000, 300_000, 0, source)
        return
    result = evaluate(query, 300_000, 300_000, 0, source)
    assert {labels: next(iter(values.values())) for labels, values in answer(result).items()} == pytest.approx(wanted)


def test_a_series_that_got_another_name_is_one_series_after_the_name_went() -> None:
    source = MemorySource()
    source.add((("__name__", "old"), ("i", "x")), [0], [1])
    source.add((("__name__", "new"), ("i", "x")), [600_000], [2])
    result = evaluate("{__name__=~'old|new'} * 1", 0, 600_000, 600_000, source)
    assert answer(result) == {"i=x": {0: 1, 600: 2}}


@pytest.mark.parametrize(
    ("settings", "query", "message"),
    [
        ({"max_samples": 121}, "up", "would load too many samples into memory in query execution (limit 121)"),
        ({"max_samples": 200}, "up / up", "would load too many samples into memory in query execution (limit 200)"),
        ({"max_samples": 130}, "rate(up[10m]) / 2", "too many samples"),
        ({"max_samples": 5000}, "max_over_time(up[10m:1ms])", "too many samples"),
        ({"max_series": 1}, "up", "a selector takes 2 series, more than 1"),
    ],
)
def test_limits(source: MemorySource, settings: dict[str, int], query: str, message: str) -> None:
    allowed = msgspec.structs.replace(SETTINGS, **settings)
    with pytest.raises(QueryError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        evaluate(query, 0, 600_000, 1000, source, allowed)
    assert caught.value.kind is ErrorType.EXECUTION
    assert evaluate("sum(up{i='a'})", 600_000, 600_000, 0, source, allowed)


def test_what_is_pinned_is_evaluated_once(source: MemorySource) -> None:
    """Not at each of 601 steps, which would be more points than are allowed."""
    allowed = msgspec.structs.replace(SETTINGS, max_samples=200)
    result = evaluate("sum(rate(up[1m] @ 60)) + sum(up @ end())", 0, 600_000, 1000, source, allowed)
    assert result.values.shape == (1, 601)
    with pytest.raises(QueryError, match="too many samples"):
        evaluate("sum(up @ end()) + sum(up)", 0, 600_000, 1000, source, allowed)


def test_the_limit_is_of_the_whole_query(source: MemorySource) -> None:
    allowed = msgspec.structs.replace(SETTINGS, max_samples=200)
    once = "sum(count_over_time(up[10m]))"  # 120 samples
    assert evaluate(once, 600_000, 600_000, 0, source, allowed).values.tolist() == [[120.0]]
    with pytest.raises(QueryError, match="limit 200"):
        evaluate(f"{once} + {once}", 600_000, 600_000, 0, source, allowed)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("up{i='a'}[30s]", {80: 8, 90: 9, 100: 10}),
        ("up{i='a'}[29999ms]", {80: 8, 90: 9, 100: 10}),
        ("up{i='a'}[20001ms]", {80: 8, 90: 9, 100: 10}),
        ("up{i='a'}[20s]", {90: 9, 100: 10}),
        ("up{i='a'}[20s] offset 1m", {30: 3, 40: 4}),
        ("up{i='a'}[20s] @ 50", {40: 4, 50: 5}),
        ("up{i='a'}[30s:10s]", {80: 8, 90: 9, 100: 10}),
        ("up{i='a'}[30s:20s] offset 5s", {80: 8}),
        ("up{i='a'}[1m:25s] @ 50", {0: 0, 25: 2, 50: 5}),
        ("(up{i='a'} > 8)[30s:10s]", {90: 9, 100: 10}),
    ],
)
def test_the_samples_of_a_window(source: MemorySource, query: str, wanted: dict[float, float]) -> None:
    result = evaluate(query, 100_000, 100_000, 0, source)
    assert result.kind is ValueType.MATRIX
    assert answer(result) == {"__name__=up,i=a": wanted}


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((0, 11_000, 1), "exceeded maximum resolution of 11,000 points per timeseries"),
        ((10, 0, 1), "end timestamp must not be before start time"),
        ((0, 10, -1), "zero or negative query resolution step widths are not accepted"),
        ((0, 2**60, 2**59), "start, end or step is out of range"),
        ((-(2**60), -(2**60), 0), "start, end or step is out of range"),
    ],
)
def test_times_that_cannot_be_asked_for(source: MemorySource, times: tuple[int, int, int], message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        evaluate("up", *times, source)
    assert caught.value.kind is ErrorType.BAD_DATA


def test_as_many_points_as_are_allowed(source: MemorySource) -> None:
    assert len(evaluate("time()", 0, 10_999, 1, source).times_ms) == 11_000


@pytest.mark.parametrize(("query", "kind"), [("up[5m]", "range vector"), ("'text'", "string")])
def test_a_range_query_gives_scalars_and_vectors(source: MemorySource, query: str, kind: str) -> None:
    message = f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
    with pytest.raises(QueryError, match=message):
        evaluate(query, 0, 1000, 1000, source)


def test_timeout_and_cancel(source: MemorySource) -> None:
    hasty = msgspec.structs.replace(SETTINGS, timeout_s=1e-9)
    with pytest.raises(QueryError, match="query timed out in expression evaluation") as caught:
        evaluate("up", 0, 0, 0, source, hasty)
    assert caught.value.kind is ErrorType.TIMEOUT
    asked = itertools.count()
    with pytest.raises(QueryError, match="query was canceled") as caught:
        evaluate("up + up + up", 0, 0, 0, source, SETTINGS, lambda: next(asked) >= 3)
    assert caught.value.kind is ErrorType.CANCELED


def test_a_long_chain_is_evaluated(source: MemorySource) -> None:
    chain = "up{i='a'}" + " + 1" * MAX_OPERATORS
    assert answer(evaluate(chain, 0, 0, 0, source)) == {"i=a": {0: float(MAX_OPERATORS)}}


class _Silent:
    """A source of which some series are unknown."""

    def __init__(self, inner: MemorySource, unknown: Callable[[Matcher], tuple[Labels, ...]]) -> None:
        self._inner = inner
        self._unknown = unknown

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        found = self._inner.select(matchers, start_ms, end_ms, max_samples)
        return msgspec.structs.replace(found, unknown=self._unknown(matchers[-1]))


def test_unknown_series_are_handed_on(source: MemorySource) -> None:
    silent = _Silent(source, lambda matcher: ((("__name__", matcher.value), ("i", "c")),))
    result = evaluate("sum(up) + sum(rate(down[5m]))", 0, 0, 0, silent)
    assert result.unknown == ((("__name__", "up"), ("i", "c")), (("__name__", "down"), ("i", "c")))


def test_what_a_source_hands_out_may_be_read_only(source: MemorySource) -> None:
    class ReadOnly:
        def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
            found = source.select(matchers, start_ms, end_ms, max_samples)
            for array in (found.offsets, found.times_ms, found.values):
                array.flags.writeable = False
            return found

    for query in ("up", "rate(up[5m])", "up[5m]", "-up"):
        assert answer(evaluate(query, 300_000, 300_000, 0, ReadOnly())) == answer(
            evaluate(query, 300_000, 300_000, 0, source)
        )


@pytest.mark.parametrize(
    ("query", "infos"),
    [
        ("rate(up[5m])", ('"up" (1:6)',)),
        ("sum(increase(up[5m]))", ('"up" (1:14)',)),
        ("sum(\n  rate(up[5m])\n)", ('"up" (2:8)',)),
        ("rate(up[5m]) + rate(up[5m])", ('"up" (1:6)', '"up" (1:21)')),
        ("irate(up[5m])", ()),
        ("rate(nothing[5m])", ()),
        ("rate((up * 1)[5m:])", ('"up" (1:6)',)),
    ],
)
def test_what_might_not_be_a_counter(source: MemorySource, query: str, infos: tuple[str, ...]) -> None:
    reason = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
    assert evaluate(query, 300_000, 300_000, 0, source).infos == tuple(reason + info for info in infos)


@pytest.mark.parametrize(
    ("query", "warning"),
    [
        ("quantile(2, up)", "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"),
        ("quantile_over_time(-1, up[1m])", "PromQL warning: quantile value should be between 0 and 1, got -1 (1:20)"),
        (
            "limit_ratio(1.5, up)",
            "PromQL warning: ratio value should be between -1 and 1, got 1.5, capping to 1 (1:13)",
        ),
        (
            "histogram_quantile(0.5, up)",
            'PromQL warning: bucket label "le" is missing or has a malformed value of "" for metric name "up" (1:25)',
        ),
    ],
)
def test_warnings(source: MemorySource, query: str, warning: str) -> None:
    assert evaluate(query, 0, 0, 0, source, SETTINGS).warnings == (warning,)


def test_fixed_buckets_are_told_of_once() -> None:
    source = MemorySource()
    for at_ms, counts in ((0, (5, 3, 9)), (60_000, (1, 2, 3)), (120_000, (7, 1, 9))):
        for le, count in zip(("1", "2", "+Inf"), counts, strict=True):
            source.add((("__name__", "h_bucket"), ("le", le)), [at_ms], [count])
    result = evaluate("histogram_quantile(0.9, h_bucket)", 0, 120_000, 60_000, source)
    documentation = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"
    assert result.infos == (
        f"PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see {documentation})"
        ' for metric name "h_bucket", from buckets 2 to 2, with a max diff of 6, over 2 samples'
        " from 1970-01-01T00:00:00Z to 1970-01-01T00:02:00Z (1:25)",
    )


def test_kinds(source: MemorySource) -> None:
    kinds = {"1": "scalar", "up": "vector", "up[5m]": "matrix", "'a'": "string", "up > 1 or vector(1)": "vector"}
    for query, kind in kinds.items():
        assert evaluate(parse(query), 0, 0, 0, source).kind is ValueType(kind)


def test_limit_ratio_and_its_complement_make_the_whole() -> None:
    source = MemorySource()
    for number in range(200):
        source.add((("__name__", "m"), ("i", str(number))), [0], [1])

    def taken(ratio: float) -> set[Labels]:
        return set(evaluate(f"limit_ratio({ratio}, m)", 0, 0, 0, source, SETTINGS).labels)

    part, rest = taken(0.3), taken(-0.7)
    assert 30 < len(part) < 90
    assert not part & rest
    assert len(part | rest) == 200
    assert taken(0.2) < part
    assert len(taken(1)) == 200
    assert not taken(0)


def test_sort_by_label_is_natural() -> None:
    source = MemorySource()
    names = ("4m1000", "4m5", "4m600", "b", "a10", "a9", "", "01", "1")
    for name in names:
        source.add((("__name__", "m"), ("i", name)), [0], [1])
    result = evaluate("sort_by_label(m, 'i')", 0, 0, 0, source, SETTINGS)
    ordered = [dict(labels).get("i", "") for labels in result.labels]
    assert ordered == ["", "01", "1", "4m5", "4m600", "4m1000", "a9", "a10", "b"]
    backwards = evaluate("sort_by_label_desc(m, 'i')", 0, 0, 0, source, SETTINGS)
    assert list(backwards.labels) == list(result.labels)[::-1]


@pytest.mark.parametrize(
    ("labels", "unsure"),
    [
        ((), True),  # sum(...): anything may have changed it
        ((("job", "a"),), True),
        ((("job", "b"),), False),
        ((("instance", "1"), ("job", "a")), True),
        ((("instance", "2"), ("job", "a")), False),
        ((("__name__", "other"), ("job", "a")), True),  # names go in most operations
        ((("job", "a"), ("severity", "page")), True),  # a label that the series lacks says nothing
    ],
)
def test_what_a_silent_agent_may_have_to_do_with(source: MemorySource, labels: Labels, unsure: bool) -> None:
    silent = _Silent(source, lambda matcher: ((("__name__", "up"), ("instance", "1"), ("job", "a")),))
    assert evaluate("up", 0, 0, 0, silent).is_unsure_of(labels) is unsure
    assert not evaluate("up", 0, 0, 0, source).is_unsure_of(labels)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("topk(2, m)", ["big", "nan", "t1"]),
        ("topk(4, m)", ["big", "nan", "t1", "t2", "t3"]),
        ("bottomk(2, m)", ["t1", "t2"]),
        ("topk(0, m)", []),
        ("topk(-1, m)", []),
        ("topk(1.9, m)", ["big"]),
        ("limitk(2, m)", ["big", "nan"]),
        ("topk by (i) (1, m)", ["big", "nan", "t1", "t2", "t3"]),
    ],
)
def test_equal_values_are_chosen_in_order(query: str, wanted: list[str]) -> None:
    """`nan` is a number at the first step and NaN at the second, so that it is chosen last there."""
    series = {"big": [9.0, 9.0], "nan": [9.0, float("nan")], "t1": [1.0, 1.0], "t2": [1.0, 1.0], "t3": [1.0, 1.0]}
    source = MemorySource()
    for name, values in series.items():
        source.add((("__name__", "m"), ("i", name)), [0, 60_000], values)
    chosen = evaluate(query, 0, 60_000, 60_000, source, SETTINGS)
    assert [dict(labels)["i"] for labels in chosen.labels] == wanted
    at_first = evaluate(query, 0, 0, 0, source, SETTINGS)
    there = {labels for row, labels in enumerate(chosen.labels) if chosen.present[row, 0]}
    assert set(at_first.labels) == there
