"""promql-parser, another reader of the same language, has its say on which expressions are PromQL."""

from __future__ import annotations

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.rules.lexer import ExpressionError
from alerting.rules.parser import parse_expression

_WORDS = {
    *("and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "inf", "nan", "group_left"),
    *("group_right", "atan2", "start", "end", "sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk"),
    *("bottomk", "count_values", "quantile", "limitk", "limit_ratio", "step"),
}
_raw_names: st.SearchStrategy[str] = st.from_regex(r"\A[a-z_:][a-z0-9_:]{0,8}\Z")
names = _raw_names.filter(lambda name: name.lower() not in _WORDS)
labels = st.from_regex(r"\A[a-z_][a-z0-9_]{0,5}\Z").filter(lambda name: name != "__name__" and name not in _WORDS)
values = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
matchers = st.builds(
    lambda label, op, value: f'{label}{op}"{_quoted(value)}"', labels, st.sampled_from(["=", "!="]), values
)
selectors = st.builds(
    lambda name, inner: f"{name}{{{','.join(inner)}}}" if inner else name, names, st.lists(matchers, max_size=3)
)
ranges = st.builds(
    lambda function, selector, amount, unit: f"{function}({selector}[{amount}{unit}])",
    st.sampled_from(["rate", "increase"]),
    selectors,
    st.integers(1, 99),
    st.sampled_from(["s", "m", "h", "d"]),
)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda value: f"{value:g}")
comparisons = st.builds(
    lambda left, op, modifier, right: f"{left} {op} {modifier}{right}",
    selectors | ranges,
    st.sampled_from(["==", "!=", ">", "<", ">=", "<="]),
    st.sampled_from(["", "bool "]),
    numbers,
)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@settings(max_examples=300, deadline=None)
@given(selectors | ranges | comparisons)
def test_what_we_take_is_promql_and_writes_itself_back(text: str) -> None:
    promql_parser.parse(text)
    ours = parse_expression(text)
    assert parse_expression(str(ours)) == ours
    promql_parser.parse(str(ours))


@pytest.mark.parametrize(
    "text", ["", "up ==", "up{job}", "up{job=a}", 'up{job="a"', 'up{job=~"("}', "1 == 1", "{}", "rate(up)", "up 1", ")"]
)
def test_what_is_no_promql_is_refused_by_both(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        promql_parser.parse(text)
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert "not supported" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "sum(up)",
        "sum by (a) (up)",
        "absent(up)",
        "up offset 5m",
        "up * 2",
        "up and down",
        "up > down",
        "-up",
        "rate(up[5m:1m])",
        "rate(sum(up)[5m:])",
        "histogram_quantile(0.9, rate(x_bucket[5m]))",
    ],
)
def test_promql_that_comes_later_is_called_that(text: str) -> None:
    promql_parser.parse(text)
    with pytest.raises(ExpressionError, match="not supported in this version yet"):
        parse_expression(text)
