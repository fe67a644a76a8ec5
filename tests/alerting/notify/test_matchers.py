from __future__ import annotations

import pytest

from alerting.notify.matchers import matchers_text, parse_matcher, parse_matchers, passes_filter, sorted_matchers
from collector.metrics.selector import Matcher, MatchOp
from deckwatch.runtime.faults import Reject

EQ, NE, RE, NR = MatchOp.EQUAL, MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('a="b"', Matcher("a", EQ, "b")),
        ("a=b", Matcher("a", EQ, "b")),
        (" a = b ", Matcher("a", EQ, "b")),
        ('a!="b"', Matcher("a", NE, "b")),
        ('a=~"b.*"', Matcher("a", RE, "b.*")),
        ("a!~b|c", Matcher("a", NR, "b|c")),
        ('a=""', Matcher("a", EQ, "")),
        ("a=", Matcher("a", EQ, "")),
        ("a=b c", Matcher("a", EQ, "b c")),  # classic alone
        ("a={b}", Matcher("a", EQ, "{b}")),
        ('a="x\\"y\\\\z\\nw"', Matcher("a", EQ, 'x"y\\z\nw')),
        ('a="\\d"', Matcher("a", EQ, "\\d")),  # a backslash that escapes nothing
        ("a=b\\d", Matcher("a", EQ, "b\\d")),
        ('"sömé name"="b"', Matcher("sömé name", EQ, "b")),  # UTF-8 alone
        ("größe=5", Matcher("größe", EQ, "5")),
        ('a="\\u00e9"', Matcher("a", EQ, "\\u00e9")),  # both understand it: what it always meant
        ("🙂=🙂", Matcher("🙂", EQ, "🙂")),
        ('a="b,c"', Matcher("a", EQ, "b,c")),
        ("a:b=c", Matcher("a:b", EQ, "c")),
    ],
)
def test_one_matcher(text: str, want: Matcher) -> None:
    assert parse_matcher(text) == want


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("foo{bar", "bad matcher format: foo{bar"),
        ("", "bad matcher format: "),
        ("=b", "bad matcher format: =b"),
        ('a="b', 'matcher value contains unescaped double quote: "b'),
        ('a="b"c"', 'matcher value contains unescaped double quote: "b"c"'),
        ('a=b"', 'matcher value contains unescaped double quote: b"'),
        ('a="b\\"', 'matcher value contains unescaped double quote: "b\\"'),
        ('a=~"("', "the regular expression"),
        ('"a b"=~"("', "the regular expression"),
    ],
)
def test_bad_matcher(text: str, problem: str) -> None:
    with pytest.raises(Reject) as caught:
        parse_matcher(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", []),
        ("{}", []),
        ('{a="b",c=~"d"}', [Matcher("a", EQ, "b"), Matcher("c", RE, "d")]),
        ('a="b", c!="d,e",', [Matcher("a", EQ, "b"), Matcher("c", NE, "d,e")]),
        ('{"a b"="c", d=e}', [Matcher("a b", EQ, "c"), Matcher("d", EQ, "e")]),
        ("{foo=bar,}", [Matcher("foo", EQ, "bar")]),
    ],
)
def test_several(text: str, want: list[Matcher]) -> None:
    assert list(parse_matchers(text)) == want


@pytest.mark.parametrize("text", ['{"a b"="c"', '"a b"="c"}', '"a b"', '"a b"="c" "d"="e"', '"a b"=,', '"a\\q b"="c"'])
def test_bad_several(text: str) -> None:
    with pytest.raises(Reject):
        parse_matchers(text)


def test_keys_are_sorted_and_quoted() -> None:
    matchers = sorted_matchers(parse_matchers('b="2", a="1", "x y"="q\\"", a!="1"'))
    assert matchers_text(matchers) == '{a="1",a!="1",b="2","x y"="q\\""}'


@pytest.mark.parametrize(
    ("text", "labels", "want"),
    [
        ('a="1"', {"a": "1"}, True),
        ('a="1"', {}, False),
        ('a=""', {}, True),
        ('a=""', {"a": "1"}, False),
        ('a!=""', {"a": "1"}, True),
        ('a!=""', {}, False),
        ('a!="1"', {}, True),
        ('a=~"1|2"', {"a": "12"}, False),
        ('a!~"1|2"', {"a": "1"}, False),
    ],
)
def test_filters(text: str, labels: dict[str, str], want: bool) -> None:
    assert passes_filter([parse_matcher(text)], labels) is want
