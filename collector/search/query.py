"""What a query means: a frozen tree, free of the text it was written in. The single source of meaning.

`language.parse` makes it; `plan.compile` turns it into columns for the embedded store, log metrics and live tail, and
another back end (Elasticsearch) translates the same tree. Field names in it are resolved: the full ECS names, never
the short ones. Which leaf stands on which field is part of the contract:

- `Word`, `Phrase`, `Wildcard`, `Regex`, `Substring` on TEXT_FIELD speak about words inside the text;
- `Term`, `Wildcard`, `Regex` on any other field speak about its whole value, case-sensitively;
- `Level` speaks about `log.level`, whose values are ordered;
- `Range` compares what its bounds are (quantities.py): numbers, quantities with units, times, addresses, versions, else
  texts by code point; a value that can't be compared with them is not in the range;
- a `Term` whose value is a network (10.0.0.0/8) also holds for the addresses in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

TEXT_FIELD = "message"
"""The one field that is searched by words, and the field of every term that names none."""


class All(msgspec.Struct, frozen=True, tag=True):
    """Every record."""


class And(msgspec.Struct, frozen=True, tag=True):
    parts: tuple[Query, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    parts: tuple[Query, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    part: Query


class Word(msgspec.Struct, frozen=True, tag=True):
    """One whole word of the text, compared case-insensitively (words.py says what a word is)."""

    field: str
    text: str


class Phrase(msgspec.Struct, frozen=True, tag=True):
    """Whole words that follow each other with only non-word characters between them."""

    field: str
    words: tuple[str, ...]


class Substring(msgspec.Struct, frozen=True, tag=True):
    """The text anywhere, case-insensitively: for scripts that put no spaces between words (Chinese, Japanese...)."""

    field: str
    text: str


class AnyRun(msgspec.Struct, frozen=True, tag=True):
    """`*` in a pattern: any number of characters, none too."""


class AnyOne(msgspec.Struct, frozen=True, tag=True):
    """`?` in a pattern: exactly one character."""


class Wildcard(msgspec.Struct, frozen=True, tag=True):
    """`*` (any number of characters) and `?` (one). On TEXT_FIELD they stand for word characters only, so that the
    pattern matches one word (or adjacent ones, where it holds other characters)."""

    field: str
    pattern: tuple[str | AnyRun | AnyOne, ...]
    """Texts that stand for themselves, and wildcards between them."""


class Regex(msgspec.Struct, frozen=True, tag=True):
    """RE2-like (the syntax of Rust's regex crate). Anywhere in TEXT_FIELD; the whole value of other fields."""

    field: str
    pattern: str


class Term(msgspec.Struct, frozen=True, tag=True):
    """The field's whole value."""

    field: str
    value: str


class Level(msgspec.Struct, frozen=True, tag=True):
    """`log.level` is one of these codes (collector.records.LEVELS): equality, wildcards and ranges come to this."""

    codes: tuple[int, ...]


class Range(msgspec.Struct, frozen=True, tag=True):
    field: str
    low: str | None = None
    high: str | None = None
    include_low: bool = True
    include_high: bool = True


class Exists(msgspec.Struct, frozen=True, tag=True):
    field: str


Query = All | And | Or | Not | Word | Phrase | Substring | Wildcard | Regex | Term | Level | Range | Exists


def children(query: Query) -> tuple[Query, ...]:
    match query:
        case And(parts) | Or(parts):
            return parts
        case Not(part):
            return (part,)
    return ()


def walk(query: Query) -> Iterator[Query]:
    """The tree, parents first."""
    yield query
    for child in children(query):
        yield from walk(child)


def both(left: Query, right: Query) -> Query:
    """`left AND right`, flat: for callers that add a condition of their own to a user's query."""
    parts: list[Query] = []
    for side in (left, right):
        if isinstance(side, And):
            parts.extend(side.parts)
        elif not isinstance(side, All):
            parts.append(side)
    if not parts:
        return All()
    return parts[0] if len(parts) == 1 else And(tuple(parts))
