"""The pieces of a query as they are written: terms with wildcards and escapes, the ends of ranges, and the leaves that
they become. Pure; language.py says which of them may stand where."""

from __future__ import annotations

import re

import polars as pl
from luqum import tree

from collector.records import LEVELS
from collector.search import query as q
from collector.search.words import has_cjk, words

Pattern = tuple[q.AnyRun | q.AnyOne | str, ...]

_CONTAINER_ID_PREFIX = re.compile(r"[0-9a-f]{8,63}")
_TAG = re.compile(r"[:@][^/]*$")  # of an image


def range_ends(node: tree.Range | tree.From | tree.To) -> tuple[tree.Item | None, tree.Item | None, bool, bool]:
    """Low and high bound (None: open), and whether they belong to the range."""
    match node:
        case tree.From():
            return _unless_open(node.a), None, node.include, True
        case tree.To():
            return None, _unless_open(node.a), True, node.include
    return _unless_open(node.low), _unless_open(node.high), node.include_low, node.include_high


def _unless_open(node: tree.Item) -> tree.Item | None:
    return None if isinstance(node, tree.Word) and node.value == "*" else node


def text_leaf(field: str, text: str) -> q.Query:
    """CJK, and what holds no word at all (`->`), is looked for as it stands."""
    found = words(text)
    if not found or has_cjk(text):
        return q.Substring(field, text)
    return q.Word(field, found[0]) if len(found) == 1 else q.Phrase(field, found)


def keyword_leaf(field: str, pattern: Pattern) -> q.Query:
    if len(pattern) != 1 or not isinstance(pattern[0], str):
        return q.Wildcard(field, pattern)
    value = pattern[0]
    if field == "container.image.name" and not _TAG.search(value):
        tags: tuple[q.Query, ...] = tuple(q.Wildcard(field, (value + mark, q.AnyRun())) for mark in ":@")
        return q.Or((q.Term(field, value), *tags))
    if field == "container.id" and _CONTAINER_ID_PREFIX.fullmatch(value):
        return q.Wildcard(field, (value, q.AnyRun()))
    return q.Term(field, value)


def levels_like(pattern: str) -> tuple[int, ...]:
    names = pl.Series(list(LEVELS[1:]))
    return tuple(code for code, like in enumerate(names.str.contains(f"^(?:{pattern})$"), start=1) if like)


def plain_text(node: tree.Item) -> str:
    """The text of a phrase without its quotes, or of a word, with escapes resolved; wildcards stand for themselves."""
    text: str = node.value[1:-1] if isinstance(node, tree.Phrase) else getattr(node, "value", "")
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def pattern_of(raw: str) -> Pattern:
    """A term as it was written: escapes resolved, wildcards told apart from what stands for itself."""
    parts: list[q.AnyRun | q.AnyOne | str] = []
    for match in re.finditer(r"\\(.)|(\*+)|(\?)|([^\\*?]+)", raw, flags=re.DOTALL):
        escaped, run, one, plain = match.groups()
        text = escaped or plain
        if run or one:
            parts.append(q.AnyRun() if run else q.AnyOne())
        elif parts and isinstance(parts[-1], str):
            parts[-1] += text
        else:
            parts.append(text)
    return tuple(parts)
