from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.search.language import parse
from collector.search.plan import compile
from collector.search.query import And, Query
from collector.search.words import (
    Anything,
    Every,
    Needs,
    Prefix,
    Some,
    Token,
    may_match,
    required_words,
    tokens,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("connection refused", ("connection", "refused")),
        ("10.0.0.1", ("10", "0", "0", "1")),
        ("/api/v1", ("api", "v1")),
        ("user-id=7", ("user", "id", "7")),
        ("snake_case Straße", ("snake_case", "Straße")),
        ("e\u0301a", ("e\u0301a",)),  # a combining mark belongs to its word
        ("½ → x", ("x",)),
        ("错误 error", ("错误", "error")),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(text) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12))
def test_words_are_those_of_the_regex_crate(text: str) -> None:
    """Python's and Rust's tables may be of different versions of Unicode: characters that only one knows are left
    out by both."""
    known = "".join(c for c in text if c.isprintable())
    found = pl.Series([known]).str.extract_all(r"\w+").to_list()[0]
    other_alphabetic = pl.Series([known]).str.contains(r"[\p{Alphabetic}--[\p{L}\p{M}\p{Nl}]]").item()
    if not other_alphabetic:
        assert list(words(known)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Connection REFUSED", ("connection", "refused")),
        ("naïve", ("na", "ve")),  # the filter holds the ASCII runs
        ("错误42", ("42", "错", "误")),
        ("", ()),
    ],
)
def test_tokens(text: str, expected: tuple[str, ...]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("query", "needs"),
    [
        ("", Anything()),
        ("Timeout", Token("timeout")),
        ("a b", Every((Token("a"), Token("b")))),
        ("a OR b", Some((Token("a"), Token("b")))),
        ("a OR level:error", Anything()),
        ("a level:error", Token("a")),
        ("NOT a", Anything()),
        ("a NOT b", Token("a")),
        ("10.0.0.1", Every((Token("10"), Token("0"), Token("0"), Token("1")))),
        ("time*", Prefix("time")),
        ("*time", Anything()),
        ("time*out", Prefix("time")),
        ("user-id*", Every((Token("user"), Prefix("id")))),
        ("user-*", Token("user")),
        ("*-id", Token("id")),
        ("t?me", Prefix("t")),
        ("/time.ut/", Anything()),
        ("错误", Every((Token("错"), Token("误")))),
        ("错误x", Every((Token("错"), Token("误")))),  # as a substring: the x may go on
        ("naïve", Every((Token("na"), Token("ve")))),
        ("...", Anything()),
        ("container:web", Anything()),
        ("status:500", Every((Token("status"), Token("500")))),
        ("path_in_body:/api/v1", Every((Token("path_in_body"), Token("api"), Token("v1")))),
        ("user:a<b", Token("user")),  # Go's encoder writes < as \u003c
        ("client.ip:10.0.0.0/8", Every((Token("client"), Token("ip")))),  # any address of the network
        ("body.user:an*", Token("user")),
        ("status:>500", Token("status")),
        ("user.name:/a.*/", Every((Token("user"), Token("name")))),
        ("user:*", Token("user")),
        ("NOT user:*", Anything()),
        ("größe:*", Anything()),  # a name that JSON may write with escapes
    ],
)
def test_required_words(query: str, needs: Needs) -> None:
    assert required_words(parse(query)) == needs


def test_may_match_asks_the_filter() -> None:
    held = {"a", "b", "timeout"}
    begins = lambda prefix: any(token.startswith(prefix) for token in held)  # noqa: E731
    for query, possible in (
        ("a b", True),
        ("a c", False),
        ("a OR c", True),
        ("c OR d", False),
        ("time*", True),
        ("tame*", False),
        ("NOT a", True),
    ):
        needs = required_words(parse(query))
        assert may_match(needs, held.__contains__, begins) is possible
        if "*" in query:
            assert may_match(needs, held.__contains__)  # a filter that knows no prefixes says perhaps


_texts = st.text(st.sampled_from("abK1_ -./:éßıſ\u212a错\u0301\n"), max_size=14)
_terms = st.text(st.sampled_from("abkK1_-.éßſ错"), min_size=1, max_size=4).filter(words)


@settings(max_examples=400, deadline=None)
@given(_texts, st.lists(st.tuples(_terms, st.sampled_from(["", "*", "phrase"])), min_size=1, max_size=3))
def test_pruning_never_hides_a_match(text: str, terms: list[tuple[str, str]]) -> None:
    """A text that matches holds every token that the query says it needs."""
    parts: list[Query] = []
    for term, form in terms:
        source = f'"{term} {term}"' if form == "phrase" else term.replace("-", "\\-") + form
        parts.append(parse(source))
    query = And(tuple(parts))
    compiled = compile(query, {})
    rows = pl.DataFrame({"message": [text]})
    if len(compiled.filter(rows)):
        held = set(tokens(text))
        assert may_match(compiled.words, held.__contains__, lambda prefix: any(t.startswith(prefix) for t in held))
