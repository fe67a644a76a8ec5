"""What is PromQL and what isn't, where the fault is, and that printing and parsing are each other's reverse."""

from __future__ import annotations

import re

import promql_parser
import pytest
from hypothesis import given, settings

from collector.metrics.promql import ast
from collector.metrics.promql.faults import ErrorType, ParseError
from collector.metrics.promql.lexer import MAX_LENGTH
from collector.metrics.promql.parser import MAX_DEPTH, MAX_OPERATORS, parse, parse_selector
from collector.metrics.promql.printer import to_text, without_positions
from collector.metrics.selector import Matcher, MatchOp
from tests.collector.metrics.promql.expressions import CORPUS, VECTORS


def second_opinion(text: str) -> str:
    """As promql-parser understands it. It keeps empty `by ()` and `ignoring ()`, which mean nothing."""
    return re.sub(r" by \(\)| ignoring \(\)(?! group)", "", str(promql_parser.parse(text)))


def printed(text: str) -> str:
    return to_text(parse(text, experimental=True).expr)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: parse error: no expression found in input"),
        ('{a="\ud800"}', "1:1: parse error: the expression is not UTF-8"),
        ("# nothing", "1:10: parse error: no expression found in input"),
        ("foo bar", '1:5: parse error: unexpected identifier "bar"'),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("1 + *", "1:5: parse error: unexpected <op:*>"),
        ("sum(", "1:5: parse error: unclosed left parenthesis"),
        ("(1))", "1:5: parse error: unexpected right parenthesis ')'"),
        ("foo[5m", "1:7: parse error: unclosed left bracket"),
        ("foo[5m]]", "1:8: parse error: unexpected right bracket ']'"),
        ("foo[[5m]", "1:5: parse error: unexpected left bracket '['"),
        ("foo{a='b'", "1:10: parse error: unexpected end of input inside braces"),
        ("foo{a='b'}}", "1:11: parse error: unexpected character: '}'"),
        ("foo{{", "1:5: parse error: unexpected left brace '{'"),
        ("foo{1}", "1:5: parse error: unexpected character inside braces: '1'"),
        ("foo{a}", '1:6: parse error: unexpected "}" in label matching, expected label matching operator'),
        ("foo{a=b}", '1:7: parse error: unexpected identifier "b" in label matching, expected string'),
        ("foo{=", '1:5: parse error: unexpected "=" in label matching, expected identifier or "}"'),
        ("foo{a='b' c='d'}", '1:11: parse error: unexpected identifier "c" in label matching, expected "," or "}"'),
        ("foo{a!b}", "1:6: parse error: unexpected character after '!' inside braces: 'b'"),
        ('{a="b" or c="d"}', '1:8: parse error: unexpected identifier "or" in label matching, expected "," or "}"'),
        ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
        ("a ! b", "1:3: parse error: unexpected character after '!': ' '"),
        ("a $ b", "1:3: parse error: unexpected character: '$'"),
        ('"unclosed', "1:1: parse error: unterminated quoted string"),
        ("`unclosed", "1:1: parse error: unterminated raw string"),
        ('"a\\q"', "1:3: parse error: unknown escape sequence U+0071 'q'"),
        ('"\\x1"', "1:2: parse error: escape sequence not terminated"),
        ("5mm", '1:1: parse error: bad number or duration syntax: "5mm"'),
        ("1..2", '1:1: parse error: bad number or duration syntax: "1.."'),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('{a=~".*"}', "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ('foo{__name__="bar"}', '1:1: parse error: metric name must not be set twice: "foo" or "bar"'),
        ("rate(foo)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("abs()", '1:1: parse error: expected 1 argument(s) in call to "abs", got 0'),
        ("round(a, 1, 2)", '1:1: parse error: expected at most 2 argument(s) in call to "round", got 3'),
        ("label_join(a, 'b')", '1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 2'),
        ("nope(1)", '1:1: parse error: unknown function with name "nope"'),
        ("RATE(foo[5m])", '1:1: parse error: unknown function with name "RATE"'),
        ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("sum by a (b)", '1:8: parse error: unexpected identifier "a" in grouping opts, expected "("'),
        ("sum by (1) (b)", '1:9: parse error: unexpected number "1" in grouping opts, expected label'),
        ("sum by (a b) (c)", '1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"'),
        ("sum without (a) (b) by (c)", "1:21: parse error: unexpected <by>"),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("a and 1", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
        ("a + on (x) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("a or on (x) group_left b", '1:1: parse error: no grouping allowed for "or" operation'),
        ("a + on (x) group_left (x) b", '1:3: parse error: label "x" must not occur in ON and GROUP clause at once'),
        ("'x' + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
        (
            "-'x'",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector,"
            ' got "string"',
        ),
        ("foo[5m][5m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        ("sum(a)[5m]", "1:7: parse error: ranges only allowed for vector selectors"),
        ("foo offset 1m [5m]", "1:15: parse error: no offset modifiers allowed before range"),
        ("foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"),
        ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("foo @ 1e18", "1:1: parse error: timestamp out of bounds for @ modifier: 1000000000000000000.000000"),
        ("foo @ bar", '1:7: parse error: unexpected identifier "bar" in @, expected timestamp'),
        (
            "sum(a) offset 1m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector"
            " or a subquery",
        ),
        ("foo[0s]", "1:5: parse error: duration must be greater than 0"),
        ("foo[1m30]", '1:5: parse error: bad number or duration syntax: "1m30"'),
        ("foo[30s1m]", '1:5: parse error: not a valid duration string: "30s1m"'),
        ("foo[5m:x]", '1:8: parse error: unexpected identifier "x" in subquery selector, expected duration or "]"'),
        ('foo{a=~"("}', '1:5: parse error: the regular expression "(" is not valid: error: unclosed group'),
        ('foo{a=~"\\xff"}', '1:5: parse error: the regular expression "\\xff" is not UTF-8'),
        ('{"\\xff"="a"}', '1:2: parse error: invalid label name "\\xff"'),
        ("foo\n  + on(", "2:8: parse error: unclosed left parenthesis"),
        ('{ä="x"} + ', "1:2: parse error: unexpected character inside braces: 'ä'"),
        ('"ä" foo', '1:6: parse error: unexpected identifier "foo"'),  # columns count bytes, as Prometheus' do
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value) == message
    assert caught.value.kind is ErrorType.BAD_DATA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("info(up)", "1:1: parse error: info() is not supported"),
        ("foo[5m + 1m]", "1:8: parse error: duration expressions are not supported"),
        ("foo[step()]", "1:5: parse error: duration expressions are not supported"),
        ("foo offset (1m * 2)", "1:12: parse error: duration expressions are not supported"),
        ("foo[5m:-1m]", "1:8: parse error: duration expressions are not supported"),
        ("rate(foo[5m] anchored)", "1:14: parse error: anchored modifier is not supported"),
        ("a + fill (0) b", "1:5: parse error: binop fill modifiers are not supported"),
    ],
)
def test_what_is_not_there_says_so(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text, experimental=True)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["mad_over_time(a[5m])", "limitk(1, a)", "sort_by_label(a, 'b')", "end()"])
def test_experimental_functions_are_behind_a_setting(text: str) -> None:
    assert printed(text)
    with pytest.raises(ParseError, match="is experimental and must be enabled"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("a or b and c", "a or (b and c)"),
        ("a and b unless c", "(a and b) unless c"),
        ("a == b + c", "a == (b + c)"),
        ("a > b == c", "(a > b) == c"),
        ("a * b atan2 c", "(a * b) atan2 c"),
        ("-a * b", "(-a) * b"),
        ("2 ^ -a * b", "(2 ^ (-a)) * b"),
        ("-foo offset 5m", "-(foo offset 5m)"),
    ],
)
def test_precedence(text: str, same: str) -> None:
    def bare(expr: ast.Expr) -> ast.Expr:
        """Without parentheses."""
        match without_positions(expr):
            case ast.Paren(inner):
                return bare(inner)
            case ast.Binary(op, left, right, as_bool, matching):
                return ast.Binary(op, bare(left), bare(right), as_bool, matching)
            case ast.Unary(negative, inner):
                return ast.Unary(negative, bare(inner))
            case other:
                return other

    assert bare(parse(text).expr) == bare(parse(same).expr)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("SUM(a) BY (b)", "sum by (b) (a)"),
        ("sum by () (a)", "sum(a)"),
        ("sum by (a,) (b)", "sum by (a) (b)"),
        ("foo{a='b',}", 'foo{a="b"}'),
        ('{"foo", a="b"}', '{__name__="foo",a="b"}'),
        ("{__name__='foo'}", '{__name__="foo"}'),
        ("foo[90s] offset 1h", "foo[1m30s] offset 1h"),
        ("foo[300]", "foo[5m]"),
        ("foo offset 1.5", "foo offset 1s500ms"),
        ("foo @ 1.5", "foo @ 1.500"),
        ("foo offset 5m @ 1", "foo @ 1.000 offset 5m"),
        ("foo @ -0.25", "foo @ -0.250"),
        ("1e3", "1000"),
        ("1_000", "1000"),
        ("0x1f", "31"),
        ("017", "15"),
        ("+5", "5"),
        ("-inf", "-Inf"),
        ("inf ^ 2", "Inf ^ 2"),
        ("1h", "1h"),
        ("a + ignoring () b", "a + b"),
        ("a + on () b", "a + on () b"),
        ("a+on(x)group_left b", "a + on (x) group_left () b"),
        ("'it\\'s'", '"it\'s"'),
        ("`a\\b`", '"a\\\\b"'),
        ('"\\xff\\u00e4"', '"\\xffä"'),
        ("a # comment\n+ b", "a + b"),
        ("a\n\t+\r\nb", "a + b"),
    ],
)
def test_canonical_form(text: str, canonical: str) -> None:
    assert printed(text) == canonical
    assert printed(canonical) == canonical


@pytest.mark.parametrize("text", CORPUS)
def test_the_second_opinion_agrees(text: str) -> None:
    """promql-parser reads what we print as it reads the text itself."""
    assert second_opinion(printed(text)) == second_opinion(text)


@given(VECTORS)
@settings(max_examples=150, deadline=None)
def test_printing_and_parsing_are_reverse(text: str) -> None:
    expr = parse(text).expr
    canonical = to_text(expr)
    again = parse(canonical).expr
    assert to_text(again) == canonical
    assert repr(without_positions(again)) == repr(without_positions(expr))  # NaN is not equal to itself
    assert second_opinion(canonical) == second_opinion(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("(" * 10_000 + "1" + ")" * 10_000, MAX_DEPTH + 1),
        ("-" * 10_000 + "a", MAX_DEPTH + 1),
        ("1^" * 10_000 + "1", 2 * MAX_DEPTH + 1),
        ("abs(" * 10_000 + "a" + ")" * 10_000, 4 * MAX_DEPTH + 1),
    ],
)
def test_depth_is_limited(text: str, place: int) -> None:
    with pytest.raises(ParseError, match=f"^1:{place}: .*nested more than {MAX_DEPTH} levels deep"):
        parse(text)


def test_the_allowed_depth_works() -> None:
    inner = "abs(" * (MAX_DEPTH - 1) + "a" + ")" * (MAX_DEPTH - 1)
    assert printed(inner) == inner


def test_chains_and_length_are_limited() -> None:
    chain = "1" + " + 1" * MAX_OPERATORS
    assert printed(chain) == chain
    with pytest.raises(ParseError, match=f"more than {MAX_OPERATORS} operators in a row"):
        parse(chain + " + 1")
    with pytest.raises(ParseError, match=f"longer than {MAX_LENGTH} characters"):
        parse("1" + " " * MAX_LENGTH)
    with pytest.raises(ParseError, match="subquery is only allowed on instant vector"):
        parse("a" + "[1m:]" * 10_000)


def test_spans_cover_what_they_name() -> None:
    text = " -sum by (x) (rate(foo{a='b'}[5m] offset 1m)) / on (x) (max(bar)[1h:1m] @ 3) "
    text = text.replace("(max", "last_over_time(max")
    found = [text[node.span.start : node.span.end] for node in ast.walk(parse(text).expr)]
    assert found == [
        "-sum by (x) (rate(foo{a='b'}[5m] offset 1m)) / on (x) last_over_time(max(bar)[1h:1m] @ 3)",
        "-sum by (x) (rate(foo{a='b'}[5m] offset 1m))",
        "sum by (x) (rate(foo{a='b'}[5m] offset 1m))",
        "rate(foo{a='b'}[5m] offset 1m)",
        "foo{a='b'}[5m] offset 1m",
        "foo{a='b'}",
        "last_over_time(max(bar)[1h:1m] @ 3)",
        "max(bar)[1h:1m] @ 3",
        "max(bar)",
        "bar",
    ]


def test_selectors_of_the_api() -> None:
    assert parse_selector('up{job!="a"}') == (
        Matcher("job", MatchOp.NOT_EQUAL, "a"),
        Matcher("__name__", MatchOp.EQUAL, "up"),
    )
    for text in ("rate(up[5m])", "up offset 1m", "up @ 1", "up[5m]"):
        with pytest.raises(ParseError, match="expected a vector selector without modifiers"):
            parse_selector(text)
