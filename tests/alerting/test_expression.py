from __future__ import annotations

import math

import pytest

from alerting.rules.durations import format_duration, parse_duration_ns
from alerting.rules.expression import Query
from alerting.rules.lexer import ExpressionError
from alerting.rules.parser import parse_expression
from alerting.rules.rate import extrapolated_increase
from collector.metrics.series import Vector
from deckwatch.runtime.faults import Reject
from tests.alerting.memory_source import MemorySource, labels

S = 1_000_000_000

SOURCE = MemorySource(
    {
        labels("mem", name="web"): [(0, 10), (100, 20)],
        labels("mem", name="db"): [(0, 30)],
        labels("mem", name="odd"): [(0, math.nan)],
        labels("hits_total", name="web"): [(second, second * 2.0) for second in range(0, 301, 15)],
        labels("hits_total", name="once"): [(300, 1)],
        labels("reset_total", name="web"): [(240, 10), (260, 15), (280, 3), (300, 5)],
    },
    unknown=(labels("mem", name="silent"),),
)


def evaluate(text: str, at_s: float = 300) -> Vector:
    return parse_expression(text).evaluate(int(at_s * S), Query(SOURCE, "default"))


def names(vector: Vector) -> dict[str, float]:
    return {dict(sample.labels).get("name", ""): sample.value for sample in vector.samples}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('mem{name!="odd"}', {"web": 20, "db": 30}),
        ('{__name__="mem",name="web"}', {"web": 20}),
        ('mem{name=~"w.b|d.",} > 10', {"web": 20, "db": 30}),
        ("mem > 20", {"db": 30}),
        ("mem >= 20", {"web": 20, "db": 30}),
        ("mem < 30", {"web": 20}),
        ("mem != 20", {"db": 30}),
        ("25 < mem", {"db": 30}),
        ("25 > mem", {"web": 20}),
        ("(mem) == (2e1)", {"web": 20}),
        ("mem > -1 < 25", {"web": 20}),
        ("mem{name='web'} > bool 25", {"web": 0}),
        ("25 > bool mem{name=`web`}", {"web": 1}),
        ('mem{name="web"} <= +Inf', {"web": 20}),
        ("mem > 0x1d # comment", {"db": 30}),
        ("1", {"": 1}),
        ("1 > bool 2", {"": 0}),
        ("rate(hits_total[1m])", {"web": 2.0}),
        ("increase(hits_total[1m]) > 100", {"web": 120.0}),
        ("increase(hits_total[1m]) > 120", {}),
        ("nothing", {}),
    ],
)
def test_evaluate(text: str, want: dict[str, float]) -> None:
    vector = evaluate(text)
    found = {name: value for name, value in names(vector).items() if not math.isnan(value)}
    assert found == pytest.approx(want)


def test_the_name_is_dropped_where_the_value_is_another() -> None:
    assert "__name__" in dict(evaluate("mem > 25").samples[0].labels)
    assert "__name__" not in dict(evaluate("mem > bool 25").samples[0].labels)
    assert "__name__" not in dict(evaluate("rate(hits_total[1m])").samples[0].labels)


def test_unknown_series_are_handed_on() -> None:
    assert evaluate("mem > 1000").unknown == (labels("mem", name="silent"),)
    assert evaluate("mem > bool 1000").unknown == ((("name", "silent"),),)
    assert evaluate("increase(mem[1m])").unknown == ((("name", "silent"),),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: unexpected end of the expression; expected a metric name, a number or ("),
        ("up ==", "1:6: unexpected end of the expression"),
        ("up == \n  )", '2:3: unexpected ")"; expected a metric name'),
        ("up{job}", '1:7: unexpected "}"; expected one of = != =~ !~'),
        ("up{job=a}", '1:8: unexpected "a"; expected a quoted string'),
        ('up{job="a"', '1:11: unexpected end of the expression; expected "}"'),
        ('up{job=~"("}', "1:9: the regular expression"),
        ('up{job="a', "1:8: the string has no end"),
        ('up{job="\\q"}', "1:9: unknown escape"),
        ("up ? 1", "1:4: unexpected character '?'"),
        ("up 1", '1:4: unexpected "1"; expected a comparison or the end'),
        ("1 == 1", "1:3: comparisons between two numbers must use the bool modifier"),
        ("{}", "1:1: a selector must hold at least one matcher"),
        ('{a=~".*"}', "1:1: a selector must hold at least one matcher"),
        ('up{__name__="down"}', "1:1: the metric name must not be set twice"),
        ("rate(up)", "1:8: rate() needs a range behind its selector, such as [5m]"),
        ("up[5m]", "1:3: a range stands inside rate() or increase() only"),
        ("rate(up[5])", '1:9: unexpected "5"; expected a duration'),
        ("rate(up[0s])", "1:9: a range must be longer than 0"),
        ("rate(up[5m:1m])", "1:11: a subquery is not supported in this version yet"),
        ("rate(sum(up)[5m])", "1:6: sum() inside rate() is not supported in this version yet"),
        ("sum(up)", "1:1: sum() is not supported in this version yet: this version takes a selector, rate()"),
        ("sum by (job) (up)", "1:1: sum() is not supported"),
        ("absent(up)", "1:1: absent() is not supported"),
        ("up offset 5m", "1:4: offset is not supported"),
        ("up @ 5", "1:4: @ is not supported"),
        ("up * 2", '1:4: "*" is not supported'),
        ("up > 1 and down > 1", '1:8: "and" is not supported'),
        ("up > down", "1:4: comparing two vectors is not supported"),
        ("-up", "1:1: a sign before a vector is not supported"),
        ("(" * 51 + "up" + ")" * 51, "1:51: more than 50 nested parentheses"),
        ("a" * 9000, "1:1: the expression has 9000 characters; at most 8192"),
    ],
)
def test_faults_tell_their_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    ["up", 'up{job="a",x!~"b.*"} >= 5', "rate(a:b[1h30m]) > bool 0.5", "3 < up", '{__name__="x"}', "-Inf < up", "5"],
)
def test_an_expression_writes_itself_back(text: str) -> None:
    assert str(parse_expression(text)) == text
    assert str(parse_expression(str(parse_expression(text)))) == text


def points(*pairs: tuple[float, float]) -> list[tuple[int, float]]:
    return [(int(second * S), value) for second, value in pairs]


@pytest.mark.parametrize(
    ("samples", "want"),
    [
        # What Prometheus 2.42 answers for these series at 60 s over [1m].
        (points((15, 1), (30, 2), (45, 3), (60, 4)), 4.0),  # extrapolated to the start, down to zero at most
        (points((15, 0), (30, 1), (45, 2), (60, 3)), 3.0),
        (points((10, 100), (50, 140)), 60.0),  # both ends are nearer than 1.1 distances: the whole range
        (points((1, 100), (2, 110), (3, 120)), 35.0),  # the end is far: half a distance there, 1 s at the start
        (points((30, 5)), None),
        ((), None),
        (points((10, 5), (20, 5)), 0.0),
        (points((15, 8), (30, 10), (45, 1), (60, 3)), 5 * 60 / 45),  # 2 + 1 from the restart + 2
    ],
)
def test_increase(samples: list[tuple[int, float]], want: float | None) -> None:
    assert extrapolated_increase(samples, 0, 60 * S) == pytest.approx(want)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1s", 1),
        ("1m", 60),
        ("1h30m", 5400),
        ("1d", 86400),
        ("2w", 1209600),
        ("1y", 31536000),
        ("5ms", 0.005),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_ns(text) == int(seconds * S)
    assert parse_duration_ns(format_duration(int(seconds * S))) == int(seconds * S)


@pytest.mark.parametrize("text", ["", "5", "s", "1s1m", "1.5h", "-1s", "1s ", "1m1m", "999999999y"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(Reject):
        parse_duration_ns(text)
