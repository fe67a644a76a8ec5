"""The words of the query language, as tokens for luqum's grammar (Lucene's).

luqum's own lexer takes `/api/v1` for a regex and a rest, knows no `&&`, `||`, `!`, and lets what follows a bare term
bind looser than OR. So the tokens are ours and the grammar is luqum's:

- between two terms stands an AND even where nobody wrote it (KQL's habit; Lucene's default is OR);
- AND, OR, NOT in capitals, `and` and `or` in small letters too (KQL); `not` is a word, since "file not found" is;
- `/.../` is a regex only where a space, a bracket or the end follows; else it is a path;
- a colon ends a field's name only once a term, where what stands before it can be a name: `12:30`, `http://host`,
  `std::bad_alloc`, `Foo.java:42` and the second colon of `image:nginx:1.27` are text;
- `status >= 500` is `status:>=500` (KQL), where a number, a quote or `now` follows, and `level >= warn` too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from luqum.head_tail import TokenValue
from luqum.tree import Phrase, Regex, Word

from collector.search.faults import QueryError

MAX_BYTES = 4096
MAX_TERMS = 200

_SPACE = re.compile(r"\s+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_REGEX = re.compile(r"/(?:[^/\\]|\\.)+/(?=[\s()]|$)", re.DOTALL)
_TERM = re.compile(r'(?:[^\s()"\\]|\\.)+', re.DOTALL)
_BOUND = re.compile(r'(?:[^\s()"\\\]}]|\\.)+', re.DOTALL)
_FIELD = re.compile(r"((?:[A-Za-z_@]|\\.)(?:[\w@.\-/*]|\\.)*):(?!//|:)")
_KQL_RANGE = re.compile(
    r"([A-Za-z_@][\w@.-]*) ?(?=[<>]=? ?(?:[-+.]?\d|\"|now))"
    r"|(level|log\.level|@timestamp|event\.ingested) ?(?=[<>]=? ?\w)"
)
_SOURCE_LINE = re.compile(
    r"[\w.$/\\-]+\.(?:java|kt|scala|groovy|py|rb|php|go|rs|cc|cpp|cxx|hpp|cs|js|jsx|mjs|tsx|swift|exs?|erl|lua)"
    r"(?::\d+)+(?=[\s()]|$)"
)
_COMPARE = re.compile(r"[<>]=?")
_SUFFIX = re.compile(r"(?<!\\)[~^](\d+(\.\d+)?)?$")
_OPERATORS = {"AND": "AND_OP", "and": "AND_OP", "&&": "AND_OP", "OR": "OR_OP", "or": "OR_OP", "||": "OR_OP"}

A_TERM = "a word, a \"phrase\", field:value, or '('"
A_VALUE = "a value, a \"phrase\", a range, or '(' right after the colon"


class Lexeme(msgspec.Struct):
    """What PLY asks of a token."""

    type: str
    value: Any
    lexpos: int
    lineno: int = 1
    lexer: Any = None


class Lexer:
    """One query, token by token; PLY calls `token()` until None. `last` is where an error of the grammar stands."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._at = 0
        self._terms = 0
        self._groups: list[tuple[int, bool]] = []  # open '(': position, and whether it holds a field's values
        self._previous = ""  # type of the last token
        self._tokens = self._scan()
        self.last: Lexeme | None = None

    def input(self, text: str) -> None:
        """PLY hands the text again; we have it already."""

    def token(self) -> Lexeme | None:
        self.last = next(self._tokens, None)
        return self.last

    def _scan(self) -> Iterator[Lexeme]:
        while self._skip_space():
            yield from self._next()
        if self._groups:
            raise self._error("'(' is never closed", self._groups[-1][0], "')' somewhere behind it")
        if self._previous not in _OPERAND_ENDS and self._previous:
            raise self._error("the query ends too early", len(self._query), self._wanted())

    def _skip_space(self) -> bool:
        if match := _SPACE.match(self._query, self._at):
            self._at = match.end()
        return self._at < len(self._query)

    def _next(self) -> Iterator[Lexeme]:
        if self._query[self._at] == ")":
            yield self._close()
        elif self._previous in _OPERAND_ENDS:
            yield self._operator()
        else:
            yield from self._operand()

    # Between operands

    def _close(self) -> Lexeme:
        if not self._groups:
            raise self._error("')' closes nothing", self._at, "an operator, a term, or the end")
        if self._previous not in _OPERAND_ENDS:
            raise self._error("nothing stands before ')'", self._at, self._wanted())
        self._groups.pop()
        return self._simple("RPAREN", 1)

    def _operator(self) -> Lexeme:
        match = re.compile(r"(AND|and|OR|or)(?=[\s(]|$)|&&|\|\|").match(self._query, self._at)
        if match is None:
            return self._simple("AND_OP", 0)
        return self._simple(_OPERATORS[match.group()], len(match.group()))

    # Operands and what stands before them

    def _operand(self) -> Iterator[Lexeme]:
        query, at = self._query, self._at
        if self._previous == "COLUMN" and (compare := _COMPARE.match(query, at)):
            yield from self._comparison(compare.group())
        elif self._previous == "COLUMN" and query[at] in "[{":
            yield from self._range()
        elif query[at] == "(":
            self._groups.append((at, self._previous == "COLUMN" or self._in_field_group()))
            yield self._counted("LPAREN", 1)
        elif prefix := self._prefix():
            yield prefix
        elif match := _OPERATOR_WORD.match(query, at):
            raise self._error(f"{match.group()} joins two terms, and one is missing", at, self._wanted())
        else:
            yield from self._term()

    def _prefix(self) -> Lexeme | None:
        """NOT, !, -, + before a term. A minus before a field's value belongs to the value."""
        query, at = self._query, self._at
        if match := re.compile(r"NOT(?=[\s(]|$)").match(query, at):
            return self._counted("NOT", len(match.group()))
        if query[at] not in "!+-" or (query[at] != "!" and self._previous == "COLUMN"):
            return None
        behind = query[at + 1 : at + 2]
        if not behind or behind.isspace() or behind == ")":
            raise self._error(f"{query[at]!r} has nothing behind it", at, "a term right behind it, or quotes around it")
        return self._counted({"!": "NOT", "+": "PLUS", "-": "MINUS"}[query[at]], 1)

    def _term(self) -> Iterator[Lexeme]:
        query, at = self._query, self._at
        names_field = self._previous != "COLUMN" and not self._in_field_group()
        if query[at] == '"':
            yield self._phrase()
        elif match := _REGEX.match(query, at):
            yield self._item("REGEX", Regex(match.group(), pos=at, size=len(match.group())))
        elif names_field and _SOURCE_LINE.match(query, at):
            yield self._word(_TERM)
        elif names_field and (match := _FIELD.match(query, at) or _KQL_RANGE.match(query, at)):
            name = match.group(1) or match.group(2)
            yield self._item("TERM", Word(name, pos=at, size=len(name)))
            yield self._simple("COLUMN", match.end() - self._at)
        else:
            yield self._word(_TERM)

    def _phrase(self) -> Lexeme:
        match = _QUOTED.match(self._query, self._at)
        if match is None:
            raise self._error("the quote is never closed", self._at, "'\"' somewhere behind it")
        lexeme = self._item("PHRASE", Phrase(match.group(), pos=self._at, size=len(match.group())))
        if suffix := re.compile(r"[~^]").match(self._query, self._at):
            raise self._unsupported(suffix.group(), self._at)
        return lexeme

    def _word(self, pattern: re.Pattern[str]) -> Lexeme:
        match = pattern.match(self._query, self._at)
        if match is None:
            raise self._error("a backslash escapes nothing", self._at, "a character behind it, or \\\\")
        text = match.group()
        if (suffix := _SUFFIX.search(text)) and suffix.start() > 0:
            raise self._unsupported(text[suffix.start()], self._at + suffix.start())
        return self._item("TERM", Word(text, pos=self._at, size=len(text)))

    def _comparison(self, sign: str) -> Iterator[Lexeme]:
        yield self._simple("GREATERTHAN" if sign[0] == ">" else "LESSTHAN", len(sign))
        if self._skip_space():
            yield self._bound(_TERM)

    def _range(self) -> Iterator[Lexeme]:
        opened = self._at
        yield self._counted("LBRACKET", 1)
        yield self._bound_of_range(opened)
        if self._query[self._at : self._at + 2] != "TO":
            small = self._query[self._at : self._at + 3].lower() == "to "
            raise self._error("a range needs TO between its bounds", self._at, "TO", "TO" if small else "[low TO high]")
        yield self._simple("TO", 2)
        yield self._bound_of_range(opened)
        if self._query[self._at] not in "]}":
            raise self._error("a range has two bounds", self._at, "']' (with the bound) or '}' (without)")
        yield self._simple("RBRACKET", 1)

    def _bound_of_range(self, opened: int) -> Lexeme:
        if not self._skip_space():
            raise self._error("the range is never closed", opened, "[low TO high]")
        bound = self._bound(_BOUND)
        if not self._skip_space():
            raise self._error("the range is never closed", opened, "[low TO high]")
        return bound

    def _bound(self, pattern: re.Pattern[str]) -> Lexeme:
        if self._query[self._at] == '"':
            return self._phrase()
        if not pattern.match(self._query, self._at):
            raise self._error("a bound is missing", self._at, "a number, a word, or *")
        return self._word(pattern)

    # Making tokens

    def _item(self, kind: str, value: Word | Phrase | Regex) -> Lexeme:
        self._count()
        return self._emit(kind, value, value.size)

    def _simple(self, kind: str, size: int) -> Lexeme:
        value = TokenValue(self._query[self._at : self._at + size])
        value.pos, value.size = self._at, size
        return self._emit(kind, value, size)

    def _counted(self, kind: str, size: int) -> Lexeme:
        self._count()
        return self._simple(kind, size)

    def _emit(self, kind: str, value: Any, size: int) -> Lexeme:
        lexeme = Lexeme(type=kind, value=value, lexpos=self._at, lexer=self)
        self._at += size
        self._previous = kind
        return lexeme

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._error(f"the query has more than {MAX_TERMS} terms, groups and negations", self._at)

    # What is wrong

    def _in_field_group(self) -> bool:
        return bool(self._groups) and self._groups[-1][1]

    def _wanted(self) -> str:
        return A_VALUE if self._previous in ("COLUMN", "GREATERTHAN", "LESSTHAN") else A_TERM

    def _error(self, problem: str, position: int, expected: str = "", suggestion: str = "") -> QueryError:
        return QueryError(problem, self._query, position, expected, suggestion)

    def _unsupported(self, sign: str, position: int) -> QueryError:
        name = "fuzzy and proximity search (~)" if sign == "~" else "boosting (^)"
        term = re.split(r"[\s():]", self._query[:position])[-1]
        like = f"{term}*" if sign == "~" and term.isalnum() else ""
        expected = f"the term without it, or \\{sign} for the character"
        return self._error(f"{name} is not supported", position, expected, like)


_OPERAND_ENDS = ("TERM", "PHRASE", "REGEX", "RPAREN", "RBRACKET")
_OPERATOR_WORD = re.compile(r"(AND|OR)(?=[\s)]|$)|&&|\|\|")
