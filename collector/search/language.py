"""The query language: Lucene's syntax with KQL's habits, from text to a tree of `query`.

    timeout                       the word, anywhere in the message, in any case
    "connection refused"          the words next to each other; 10.0.0.1 and /api/v1 are such phrases too
    time*  *exception  te?t       wildcards inside a word
    /code=5\\d\\d/                  a regex (Rust's syntax), anywhere in the message
    level:error   level:>=warn    levels are ordered: trace < debug < info < notice < warn < error < fatal
    container:web  image:nginx    a field's whole value, wildcards too (container:web-*); image without a tag: any tag
    container.labels.app:shop     any ECS name; any other name is a field of a JSON or logfmt body (body.x forces it)
    status:>=500  [400 TO 499]    ranges: [ ] with, { } without the bound, * for open
    took:>1m30s  size:>=10MiB     bounds with units, times (now-15m too), addresses and versions: see quantities.py
    client.ip:10.0.0.0/8          the addresses of a network
    user:*                        the field is there
    service:(shop OR cart)        values in a group
    a b   a AND b   a && b        both; OR, ||; NOT, !, -; AND binds tighter than OR
    \\                             before a character takes its meaning away

`parse` raises QueryError with the position; what parses, runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

import polars as pl
from luqum import tree
from luqum.exceptions import ParseError
from luqum.parser import parser

from collector.records import LEVELS
from collector.search import query as q
from collector.search.comparison import comparison
from collector.search.faults import QueryError
from collector.search.fields import BODY, FLAG_NAMES, LEVEL_ALIASES, Kind, full_name, kind_of
from collector.search.lexer import A_TERM, MAX_BYTES, Lexer
from collector.search.relative import is_relative, relative_bound, resolved
from collector.search.terms import Pattern, keyword_leaf, levels_like, pattern_of, plain_text, range_ends, text_leaf
from collector.search.words import has_cjk, words
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import absolute_span, time_ns

_MOST_WILDCARDS = 20  # in one term: each makes its regex larger, and the engine ends at 10 MB


def parse(text: str, now_ns: int | None = None) -> q.Query:
    """Raises QueryError. An empty text, and `*`, mean every record. Without `now_ns` there is no `now` in a query."""
    query = _parse(text)
    bound = relative_bound(query)
    if bound is None:
        return query
    if now_ns is None:
        raise QueryError(f"{bound!r} needs somebody who asks now", text, max(0, text.find(bound)), "an absolute time")
    return resolved(query, now_ns)


@lru_cache(maxsize=512)
def _parse(text: str) -> q.Query:
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_BYTES:
        raise QueryError(f"the query has {size} bytes; at most {MAX_BYTES} are taken", text, 0)
    if not text.strip():
        return q.All()
    lexer = Lexer(text)
    try:
        root = parser.parse(text, lexer=lexer)
    except ParseError:
        position = len(text) if lexer.last is None else lexer.last.lexpos
        raise QueryError("this can't stand here", text, position, A_TERM) from None
    return _Reader(text).read(root, q.TEXT_FIELD)


class _Reader:
    """From luqum's tree to ours. Depth is bounded by the lexer's count of terms."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, node: tree.Item, field: str) -> q.Query:
        match node:
            case tree.AndOperation():
                return _conjunction([self.read(part, field) for part in node.operands])
            case tree.OrOperation():
                return self._disjunction(node, field)
            case tree.Not() | tree.Prohibit():
                return q.Not(self.read(node.a, field))
            case tree.Plus():
                return self.read(node.a, field)
            case tree.Group() | tree.FieldGroup():
                return self.read(node.expr, field)
            case tree.SearchField():
                return self._field(node)
        return self._leaf(node, field)

    def _disjunction(self, node: tree.OrOperation, field: str) -> q.Query:
        for part in node.operands:
            if isinstance(part, tree.Plus):
                raise self._error("'+' (must match) has no meaning beside OR", part, "the term alone, or AND")
        parts = [self.read(part, field) for part in node.operands]
        return q.All() if q.All() in parts else q.Or(tuple(parts))

    def _field(self, node: tree.SearchField) -> q.Query:
        name = "".join(part for part in pattern_of(node.name) if isinstance(part, str))
        if pattern_of(node.name) != (name,):
            raise self._error("wildcards in a field's name are not supported", node, "one field's name")
        if name == "_exists_":
            return self._exists(full_name(plain_text(node.expr)))
        return self.read(node.expr, full_name(name))

    def _leaf(self, node: tree.Item, field: str) -> q.Query:
        match node:
            case tree.Regex():
                return self._regex(node, field)
            case tree.Range() | tree.From() | tree.To():
                return self._range(node, field)
            case tree.Phrase():
                return self._value(node, field, (plain_text(node),))
        return self._value(node, field, self._checked_pattern(node, node.value))

    # A term or a phrase

    def _value(self, node: tree.Item, field: str, pattern: Pattern) -> q.Query:
        if set(pattern) == {q.AnyRun()}:
            return self._exists(field)
        match kind_of(field):
            case Kind.TEXT:
                return self._text_value(node, field, pattern)
            case Kind.LEVEL:
                return self._level(node, pattern)
            case Kind.TIME | Kind.NUMBER | Kind.FLAGS:
                return self._column_value(node, field, pattern)
        return keyword_leaf(field, pattern)

    def _checked_pattern(self, node: tree.Item, raw: str) -> Pattern:
        pattern = pattern_of(raw)
        if sum(not isinstance(part, str) for part in pattern) > _MOST_WILDCARDS:
            raise self._error(f"the term has more than {_MOST_WILDCARDS} wildcards", node, "a /regex/")
        return pattern

    def _exists(self, field: str) -> q.Query:
        if field == BODY:
            raise QueryError("'body.' is no field", self._text, self._text.find(BODY), "body.<name>")
        if kind_of(field) in (Kind.TEXT, Kind.TIME, Kind.NUMBER):
            return q.All()  # every record has them
        return q.Level(tuple(range(1, len(LEVELS)))) if kind_of(field) is Kind.LEVEL else q.Exists(field)

    def _text_value(self, node: tree.Item, field: str, pattern: Pattern) -> q.Query:
        if len(pattern) == 1 and isinstance(pattern[0], str):
            return text_leaf(field, pattern[0])
        core = tuple(part for part in pattern if part != q.AnyRun())
        if len(core) == 1 and isinstance(core[0], str) and has_cjk(core[0]):
            return q.Substring(field, core[0])
        if not any(part == q.AnyOne() or (isinstance(part, str) and words(part)) for part in core):
            raise self._error("the pattern holds no letter or digit", node, "a word with * or ?, or a /regex/")
        return q.Wildcard(field, pattern)

    def _level(self, node: tree.Item, pattern: Pattern) -> q.Query:
        if len(pattern) == 1 and isinstance(pattern[0], str):
            return q.Level((self._level_code(node, pattern[0]),))
        expression = "".join(re.escape(p) if isinstance(p, str) else ".*" if p == q.AnyRun() else "." for p in pattern)
        return q.Level(levels_like(f"(?i:{expression})"))

    def _level_code(self, node: tree.Item, name: str) -> int:
        name = name.lower()
        name = LEVEL_ALIASES.get(name, name)
        if not name or name not in LEVELS:
            near = _nearest(name, (*LEVELS[1:], *LEVEL_ALIASES))
            raise self._error(f"there is no level {name!r}", node, ", ".join(LEVELS[1:]), near)
        return LEVELS.index(name)

    def _column_value(self, node: tree.Item, field: str, pattern: Pattern) -> q.Query:
        value = pattern[0] if len(pattern) == 1 else None
        if not isinstance(value, str):
            raise self._error(f"{field} takes no wildcards", node, "a value or a range")
        match kind_of(field):
            case Kind.TIME:
                self._check_time(node, value)
                return q.Range(field, value, value)
            case Kind.FLAGS if value not in FLAG_NAMES:
                near = _nearest(value, FLAG_NAMES)
                raise self._error(f"there is no flag {value!r}", node, ", ".join(FLAG_NAMES), near)
            case Kind.NUMBER:
                self._check_integer(node, field, value)
        return q.Term(field, value)

    # Ranges and regexes

    def _range(self, node: tree.Range | tree.From | tree.To, field: str) -> q.Query:
        low, high, low_in, high_in = range_ends(node)
        if kind_of(field) is Kind.LEVEL:
            return self._level_range(low, high, low_in, high_in)
        for end in (low, high):
            if end is not None:
                self._check_bound(end, field)
        if low is None and high is None:
            return self._exists(field)
        leaf = q.Range(field, self._bound(low), self._bound(high), low_in, high_in)
        if kind_of(field) in (Kind.BODY, Kind.ORIGIN):
            self._check_comparable(node, leaf)
        return leaf

    def _check_comparable(self, node: tree.Item, leaf: q.Range) -> None:
        try:
            comparison(resolved(leaf, 0))
        except Reject as fault:
            raise self._error(str(fault), node, "two bounds of one kind") from None

    def _bound(self, node: tree.Item | None) -> str | None:
        if node is None:
            return None
        pattern = pattern_of(node.value) if isinstance(node, tree.Word) else (plain_text(node),)
        if len(pattern) != 1 or not isinstance(pattern[0], str):
            raise self._error("a bound takes no wildcards", node, "a value, or * alone for an open end")
        return pattern[0]

    def _level_range(self, low: tree.Item | None, high: tree.Item | None, low_in: bool, high_in: bool) -> q.Query:
        first = 1 if low is None else self._level_code(low, self._bound(low) or "") + (not low_in)
        last = len(LEVELS) - 1 if high is None else self._level_code(high, self._bound(high) or "") - (not high_in)
        return q.Level(tuple(range(first, last + 1)))

    def _check_bound(self, node: tree.Item, field: str) -> None:
        bound = self._bound(node) or ""
        match kind_of(field):
            case Kind.TEXT | Kind.IOSTREAM | Kind.FLAGS:
                raise self._error(f"{field} takes no range", node, "a word, a phrase or a wildcard")
            case Kind.TIME:
                self._check_time(node, bound)
            case Kind.NUMBER:
                self._check_integer(node, field, bound)

    def _check_time(self, node: tree.Item, value: str) -> None:
        try:
            _ = time_ns(value, 0) if is_relative(value) else absolute_span(value)
        except Reject as fault:
            problem, _, expected = str(fault).partition(": expected ")
            raise self._error(problem, node, expected) from None

    def _check_integer(self, node: tree.Item, field: str, value: str) -> None:
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise self._error(f"{field} is a whole number, not {value[:40]!r}", node, "a whole number")

    def _regex(self, node: tree.Regex, field: str) -> q.Query:
        pattern = node.value[1:-1].replace("\\/", "/")
        try:
            for used in (pattern, rf"\A(?:{pattern})\z"):  # the second: as it is used for whole values
                pl.Series([""]).str.contains(used)
        except pl.exceptions.PolarsError as error:
            reason = " ".join(str(error).split("error:")[-1].split("This error occurred")[0].split())
            raise self._error(f"the regex is not valid: {reason}", node, "the syntax of Rust's regex crate") from None
        match kind_of(field):
            case Kind.LEVEL:
                return q.Level(levels_like(pattern))
            case Kind.TIME | Kind.NUMBER | Kind.FLAGS:
                raise self._error(f"{field} takes no regex", node, "a value or a range")
        return q.Regex(field, pattern)

    def _error(self, problem: str, node: tree.Item, expected: str = "", suggestion: str = "") -> QueryError:
        return QueryError(problem, self._text, node.pos or 0, expected, suggestion)


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def _conjunction(parts: list[q.Query]) -> q.Query:
    result: q.Query = q.All()
    for part in parts:
        result = q.both(result, part)
    return result
