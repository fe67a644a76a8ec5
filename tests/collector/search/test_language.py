from __future__ import annotations

import pytest

from collector.records import LEVELS
from collector.search.faults import QueryError
from collector.search.language import parse
from collector.search.query import (
    All,
    And,
    AnyOne,
    AnyRun,
    Exists,
    Level,
    Not,
    Or,
    Phrase,
    Query,
    Range,
    Regex,
    Substring,
    Term,
    Wildcard,
    Word,
    both,
)

A, B, C = Word("message", "a"), Word("message", "b"), Word("message", "c")
RUN, ONE = AnyRun(), AnyOne()
ERROR, FATAL = LEVELS.index("error"), LEVELS.index("fatal")


def at_least(level: str) -> Level:
    return Level(tuple(range(LEVELS.index(level), len(LEVELS))))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", All()),
        ("  ", All()),
        ("*", All()),
        # operators
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a and b", And((A, B))),
        ("a && b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a or b", Or((A, B))),
        ("a || b", Or((A, B))),
        ("a OR b c", Or((A, And((B, C))))),  # a missing AND binds as a written one
        ("a b OR c", Or((And((A, B)), C))),
        ("(a OR b) c", And((Or((A, B)), C))),
        ("a (b c)", And((A, B, C))),
        ("NOT a", Not(A)),
        ("!a", Not(A)),
        ("-a +b", And((Not(A), B))),
        ("a NOT b", And((A, Not(B)))),
        ("NOT (a OR b)", Not(Or((A, B)))),
        ("NOT NOT a", Not(Not(A))),
        ("a OR *", All()),
        ("file not found", And((Word("message", "file"), Word("message", "not"), Word("message", "found")))),
        ("and", Word("message", "and")),
        ("android OR nota", Or((Word("message", "android"), Word("message", "nota")))),
        # words and phrases
        ("Timeout", Word("message", "Timeout")),
        ("message:timeout", Word("message", "timeout")),
        ('"connection refused"', Phrase("message", ("connection", "refused"))),
        ('"say \\"hi\\""', Phrase("message", ("say", "hi"))),
        ("10.0.0.1", Phrase("message", ("10", "0", "0", "1"))),
        ("/api/v1", Phrase("message", ("api", "v1"))),
        ("/var/log/app/", Phrase("message", ("var", "log", "app"))),
        ("user-id", Phrase("message", ("user", "id"))),
        ("http://host/x", Phrase("message", ("http", "host", "x"))),
        ("12:30:45", Phrase("message", ("12", "30", "45"))),
        ("std::bad_alloc", Phrase("message", ("std", "bad_alloc"))),
        ("Foo.java:42", Phrase("message", ("Foo", "java", "42"))),
        ("(com/shop/main.go:17:3)", Phrase("message", ("com", "shop", "main", "go", "17", "3"))),
        ("Foo.java:x", Term("Foo.java", "x")),
        ("a\\:b", Phrase("message", ("a", "b"))),
        ("错误", Substring("message", "错误")),
        ("错误*", Substring("message", "错误")),
        ("->", Not(Substring("message", ">"))),
        ('"->"', Substring("message", "->")),
        # wildcards
        ("time*", Wildcard("message", ("time", RUN))),
        ("*time*", Wildcard("message", (RUN, "time", RUN))),
        ("t?me**", Wildcard("message", ("t", ONE, "me", RUN))),
        ("2\\*3", Phrase("message", ("2", "3"))),
        ('"a*"', A),
        # regexes
        ("/ab+c/", Regex("message", "ab+c")),
        ("/a b/ c", And((Regex("message", "a b"), C))),
        ("/a\\/b/", Regex("message", "a/b")),
        ("(/a/)", Regex("message", "a")),
        ("path:/.*web.*/", Regex("log.file.path", ".*web.*")),
        # levels
        ("level:error", Level((ERROR,))),
        ("log.level:Error", Level((ERROR,))),
        ("level:warning", Level((LEVELS.index("warn"),))),
        ("level:crit", Level((FATAL,))),
        ("level:>=warn", at_least("warn")),
        ("level:>err", Level((FATAL,))),
        ("level:<debug", Level((1,))),
        ("level:[info TO warn}", Level((LEVELS.index("info"), LEVELS.index("notice")))),
        ("level:[error TO *]", at_least("error")),
        ("level:(error OR fatal)", Or((Level((ERROR,)), Level((FATAL,))))),
        ("level:*", at_least("trace")),
        ("level:*a*", Level((1, LEVELS.index("warn"), FATAL))),
        ("level:/err.*|fatal/", Level((ERROR, FATAL))),
        # fields
        ("host:h1", Term("host.name", "h1")),
        ("container:web", Term("container.name", "web")),
        ("stream:stderr", Term("log.iostream", "stderr")),
        ("workload:shop", Term("deckwatch.workload", "shop")),
        ("pod:web-1", Term("orchestrator.resource.name", "web-1")),
        ("namespace:shop", Term("orchestrator.namespace", "shop")),
        ("service:'x'", Term("service.name", "'x'")),
        ("path:/var/log/x", Term("log.file.path", "/var/log/x")),
        ("container: web", Term("container.name", "web")),
        ("container.labels.com.docker.x:y", Term("container.labels.com.docker.x", "y")),
        ("container:web-*", Wildcard("container.name", ("web-", RUN))),
        ('service:"my shop"', Term("service.name", "my shop")),
        ("user.name:ann", Term("user.name", "ann")),
        ("body.level:x", Term("body.level", "x")),
        ("t:12:30", Term("t", "12:30")),
        ("delta:-5", Term("delta", "-5")),
        ("a\\ b:c", Term("a b", "c")),
        ("image:nginx:1.27", Term("container.image.name", "nginx:1.27")),
        (
            "image:nginx",
            Or(
                (
                    Term("container.image.name", "nginx"),
                    Wildcard("container.image.name", ("nginx:", RUN)),
                    Wildcard("container.image.name", ("nginx@", RUN)),
                )
            ),
        ),
        ("container.id:0123abcd", Wildcard("container.id", ("0123abcd", RUN))),
        ("container.id:" + "ab" * 32, Term("container.id", "ab" * 32)),
        ("user:*", Exists("user")),
        ("_exists_:container", Exists("container.name")),
        ("log.offset:5", Term("log.offset", "5")),
        ("log.flags:multiline", Term("log.flags", "multiline")),
        ("@timestamp:2026-01-31", Range("@timestamp", "2026-01-31", "2026-01-31")),
        ("message:*", All()),
        ("service:(shop OR cart)", Or((Term("service.name", "shop"), Term("service.name", "cart")))),
        ("service:(a:b)", Term("service.name", "a:b")),
        ("container:(NOT web)", Not(Term("container.name", "web"))),
        ("!container:web", Not(Term("container.name", "web"))),
        # ranges
        ("x:>5", Range("x", "5", None, False, True)),
        ("x:>=5", Range("x", "5")),
        ("x:<5", Range("x", None, "5", True, False)),
        ("x:<= -5", Range("x", None, "-5")),
        ("x:[1 TO 2]", Range("x", "1", "2")),
        ("x >= 5", Range("x", "5")),
        ("level >= warn", at_least("warn")),
        ("log.level>err", Level((FATAL,))),
        ("user.age<-1.5", Range("user.age", None, "-1.5", include_high=False)),
        ('x > "b"', Range("x", "b", None, include_low=False)),
        ("a > b", And((A, Substring("message", ">"), B))),
        ("a->b", Phrase("message", ("a", "b"))),
        ("took:>1m30s", Range("took", "1m30s", None, include_low=False)),
        ("client.ip:10.0.0.0/8", Term("client.ip", "10.0.0.0/8")),
        ("x:{1 TO 2]", Range("x", "1", "2", False, True)),
        ("x:[1 TO 2}", Range("x", "1", "2", True, False)),
        ("x:[-5 TO *]", Range("x", "-5", None)),
        ('x:["a b" TO c]', Range("x", "a b", "c")),
        ("x:[* TO *]", Exists("x")),
        ("@timestamp:>=2026-01-31T10:00:00Z", Range("@timestamp", "2026-01-31T10:00:00Z")),
    ],
)
def test_parse(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "position", "problem", "expected", "suggestion"),
    [
        ("a AND", 5, "ends too early", "a word", ""),
        ("NOT", 3, "ends too early", "a word", ""),
        ("field:", 6, "ends too early", "a value", ""),
        ("x:>", 3, "ends too early", "a value", ""),
        ("OR b", 0, "OR joins two terms", "a word", ""),
        ("a OR AND b", 5, "AND joins two terms", "a word", ""),
        ("a OR )", 5, "closes nothing", "a term", ""),
        ("(a OR )", 6, "nothing stands before ')'", "a word", ""),
        ("()", 1, "nothing stands before ')'", "a word", ""),
        ("a )", 2, "closes nothing", "the end", ""),
        ("((a)", 0, "never closed", "')'", ""),
        ('x "abc', 2, "quote is never closed", '"', ""),
        ("! a", 0, "nothing behind it", "quotes", ""),
        ("- a", 0, "nothing behind it", "quotes", ""),
        ("a\\", 1, "escapes nothing", "a character behind it", ""),
        ("foo~2", 3, "fuzzy", "\\~", "foo*"),
        ('"a b"~3', 5, "proximity", "the term without it", ""),
        ("foo^2", 3, "boosting", "\\^", ""),
        ("x OR +b", 5, "'+'", "AND", ""),
        ("x:[1 2]", 5, "needs TO", "TO", "[low TO high]"),
        ("x:[1 to 2]", 5, "needs TO", "TO", "TO"),
        ("x:[1 TO 2", 2, "never closed", "[low TO high]", ""),
        ("x:[1 TO 2 3]", 10, "two bounds", "']'", ""),
        ("x:[1 TO ]", 8, "bound is missing", "a number", ""),
        ("x:[a* TO b]", 3, "no wildcards", "* alone", ""),
        ("x:[1 TO 10s]", 2, "the bound 1 of x has no unit beside a duration", "one kind", ""),
        ("x:[1kb TO 10s]", 2, "a duration and the other a size", "one kind", ""),
        ("level:bogus", 6, "no level 'bogus'", "trace, debug", ""),
        ("level:eror", 6, "no level 'eror'", "trace, debug", "error"),
        ("level:>=wran", 8, "no level", "warn", "warn"),
        ("level:>=bogus", 8, "no level", "trace", ""),
        ("message:>3", 9, "takes no range", "a word", ""),
        ("stream:>3", 8, "takes no range", "a word", ""),
        ("log.offset:x", 11, "whole number", "a whole number", ""),
        ("log.offset:1*", 11, "no wildcards", "a value or a range", ""),
        ("log.flags:x", 10, "no flag 'x'", "multiline", ""),
        ("log.flags:multi", 10, "no flag 'multi'", "multiline", "multiline"),
        ("@timestamp:>noon", 12, "'noon' is not a time", "RFC 3339", ""),
        ("@timestamp:>now-15x", 12, "not a duration", "", ""),
        ("@timestamp:/x/", 11, "no regex", "a value or a range", ""),
        ("f*o:x", 0, "wildcards in a field's name", "one field's name", ""),
        ("/(/", 0, "regex is not valid: unclosed group", "Rust", ""),
        ("container:/(?x)a #c/", 10, "regex is not valid", "Rust", ""),
        ("/(\\w{1,1000}){1,1000}/", 0, "regex is not valid", "Rust", ""),
        ("*.*", 0, "no letter or digit", "a word", ""),
        ("b " + "*a" * 21, 2, "more than 20 wildcards", "/regex/", ""),
        ("a" * 5000, 0, "5000 bytes", "", ""),
        ("a " * 201, 400, "more than 200 terms", "", ""),
        ("(" * 300, 200, "more than 200 terms", "", ""),
        ("NOT " * 300 + "a", 800, "more than 200 terms", "", ""),
    ],
)
def test_errors_say_where(text: str, position: int, problem: str, expected: str, suggestion: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, 0)
    assert caught.value.position == position
    assert problem in caught.value.problem
    assert expected in caught.value.expected
    assert caught.value.suggestion == suggestion


def test_the_text_of_an_error_shows_the_place() -> None:
    with pytest.raises(QueryError) as caught:
        parse("level:error AND\t)")
    assert str(caught.value) == (
        "query, character 17: ')' closes nothing; expected an operator, a term, or the end\n"
        "  level:error AND )\n"
        "                  ^"
    )


def test_a_long_query_is_shown_around_the_fault() -> None:
    with pytest.raises(QueryError) as caught:
        parse("word " * 150 + ") rest")
    _, shown, caret = str(caught.value).splitlines()
    assert len(shown) < 130
    assert shown[caret.index("^")] == ")"


def test_deep_queries_within_the_limit_parse() -> None:
    assert parse("(" * 190 + "a" + ")" * 190) == A


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (All(), All(), All()),
        (A, All(), A),
        (All(), A, A),
        (A, B, And((A, B))),
        (And((A, B)), C, And((A, B, C))),
        (Or((A, B)), C, And((Or((A, B)), C))),
    ],
)
def test_both(left: Query, right: Query, result: Query) -> None:
    assert both(left, right) == result
