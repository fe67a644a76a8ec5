"""The words of PromQL. Case doesn't matter to keywords; inside of braces and brackets other rules hold.

Messages are Prometheus' own where it has them (promql/parser/lex.go), so that what people know is what they see.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from collector.metrics.promql.ast import Op, Span
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.quoting import describe_rune, is_utf8, quote
from collector.metrics.promql.signatures import AGGREGATIONS

MAX_LENGTH = 65_536
"""Characters of an expression. Dashboards and generated rules stay below a few thousand."""


class Kind(StrEnum):
    """The value is what messages call it; punctuation and keywords are called by their text."""

    END = "end of input"
    IDENTIFIER = "identifier"
    METRIC = "metric identifier"  # holds a colon
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    KEYWORD = "keyword"
    SIGN = "sign"


class Token(msgspec.Struct, frozen=True):
    kind: Kind
    text: str  # as written; keywords in small letters
    span: Span
    written: str = ""

    @property
    def described(self) -> str:
        """In "unexpected ...", as Prometheus has it."""
        match self.kind:
            case Kind.END:
                return self.kind.value
            case Kind.SIGN | Kind.KEYWORD if self.text in OPERATORS:
                return f"<op:{self.written}>"
            case Kind.SIGN:
                return quote(self.text)
            case Kind.KEYWORD:
                return f"<{'aggr:' if self.text in AGGREGATIONS else ''}{self.written}>"
            case Kind.IDENTIFIER | Kind.METRIC:
                return f"{self.kind.value} {quote(self.text)}"
            case _:
                shortened = quote(self.text[:10]) + ("..." if len(self.text) > 10 else "")
                return f"{self.kind.value} {shortened}"

    def sign(self, *texts: str) -> bool:
        return self.kind is Kind.SIGN and self.text in texts

    def keyword(self, *texts: str) -> bool:
        return self.kind is Kind.KEYWORD and self.text in texts


OPERATORS = frozenset({*Op, "=~", "!~", "@"})
KEYWORDS = frozenset(
    {
        *(Op.AND.value, Op.OR.value, Op.UNLESS.value, Op.ATAN2.value),
        *("offset", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"),
        *("smoothed", "anchored", "fill", "fill_left", "fill_right"),
        *("start", "end", "step", "range"),
        *AGGREGATIONS,
    }
)

_SPACE = re.compile(r"(?:[ \t\n\r]+|#[^\n]*)+")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_NUMBER = re.compile(
    r"0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    r"|(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    re.ASCII,
)
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_])", re.ASCII)
_ALNUM = re.compile(r"[a-zA-Z0-9_]+", re.ASCII)
_SIGNS = re.compile(r"==|!=|<=|>=|[-+*/%^<>(){}\[\],=@]")
_BRACE_SIGNS = re.compile(r"=~|!~|!=|=|,|\}")
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`")
_NUMBER_WORDS = frozenset({"inf", "nan"})


class Lexer:
    """One text, token by token; what can't be a token raises ParseError when it is reached."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ParseError(text, Span(0, len(text)), f"the expression is longer than {MAX_LENGTH} characters")
        if not is_utf8(text):
            raise ParseError(text, Span(0, len(text)), "the expression is not UTF-8")
        self._text = text
        self._at = 0
        self._parens = 0
        self._brace = False
        self._bracket = False

    def next(self) -> Token:
        """The next token; END for ever once the text is read."""
        found = self._next()
        return Token(Kind.END, "", Span(len(self._text), len(self._text))) if found is None else found

    def _next(self) -> Token | None:
        if space := _SPACE.match(self._text, self._at):
            self._at = space.end()
        if self._at == len(self._text):
            self._check_closed()
            return None
        if self._brace:
            return self._in_braces()
        return self._string() or self._numeric() or self._word() or self._sign()

    def _check_closed(self) -> None:
        if self._brace:
            raise self._error("unexpected end of input inside braces")
        if self._parens:
            raise self._error("unclosed left parenthesis")
        if self._bracket:
            raise self._error("unclosed left bracket")

    def _take(self, kind: Kind, length: int, text: str | None = None) -> Token:
        written = self._text[self._at : self._at + length]
        span = Span(self._at, self._at + length)
        self._at += length
        return Token(kind, written if text is None else text, span, written)

    def _in_braces(self) -> Token:
        if found := _LABEL.match(self._text, self._at):
            return self._take(Kind.IDENTIFIER, len(found.group()))
        if string := self._string():
            return string
        if sign := _BRACE_SIGNS.match(self._text, self._at):
            self._brace = sign.group() != "}"
            return self._take(Kind.SIGN, len(sign.group()))
        letter = self._text[self._at]
        if letter == "!":
            after = self._text[self._at + 1 : self._at + 2]
            raise self._error(f"unexpected character after '!' inside braces: {_rune(after)}")
        if letter == "{":
            raise self._error("unexpected left brace '{'")
        raise self._error(f"unexpected character inside braces: {_rune(letter)}")

    def _string(self) -> Token | None:
        if self._text[self._at] not in "\"'`":
            return None
        if found := _STRING.match(self._text, self._at):
            return self._take(Kind.STRING, len(found.group()))
        kind = "raw" if self._text[self._at] == "`" else "quoted"
        raise self._error(f"unterminated {kind} string")

    def _numeric(self) -> Token | None:
        letter = self._text[self._at]
        following = self._text[self._at + 1 : self._at + 2]
        if not (_is_digit(letter) or (letter == "." and _is_digit(following))):
            return None
        if found := _DURATION.match(self._text, self._at):
            return self._take(Kind.DURATION, len(found.group()))
        number = _NUMBER.match(self._text, self._at)
        end = number.end() if number else self._at
        rest = _ALNUM.match(self._text, end)
        if number is None or rest is not None or self._text[end : end + 1] == ".":
            stop = rest.end() if rest else end + 1
            raise self._error(f"bad number or duration syntax: {quote(self._text[self._at : stop])}")
        return self._take(Kind.NUMBER, len(number.group()))

    def _word(self) -> Token | None:
        found = _WORD.match(self._text, self._at)
        if found is None:
            return None
        word = found.group()
        if self._bracket and word.startswith(":"):
            return self._take(Kind.SIGN, 1)
        lowered = word.lower()
        if lowered in KEYWORDS:
            return self._take(Kind.KEYWORD, len(word), lowered)
        if lowered in _NUMBER_WORDS:
            return self._take(Kind.NUMBER, len(word))
        return self._take(Kind.METRIC if ":" in word else Kind.IDENTIFIER, len(word))

    def _sign(self) -> Token:
        found = _SIGNS.match(self._text, self._at)
        if found is None:
            letter = self._text[self._at]
            if letter == "!":
                after = self._text[self._at + 1 : self._at + 2]
                raise self._error(f"unexpected character after '!': {_rune(after)}")
            raise self._error(f"unexpected character: {_rune(letter)}")
        sign = found.group()
        self._count(sign)
        return self._take(Kind.SIGN, len(sign))

    def _count(self, sign: str) -> None:
        match sign:
            case "(":
                self._parens += 1
            case ")":
                self._parens -= 1
                if self._parens < 0:
                    raise self._error("unexpected right parenthesis ')'", self._at + 1)
            case "{":
                self._brace = True
            case "[":
                if self._bracket:
                    raise self._error("unexpected left bracket '['")
                self._bracket = True
            case "]":
                if not self._bracket:
                    raise self._error("unexpected right bracket ']'")
                self._bracket = False
            case "=" if self._text[self._at + 1 : self._at + 2] == "~":
                raise self._error("unexpected character after '=': '~'")
            case "}":
                raise self._error("unexpected character: '}'")

    def _error(self, reason: str, at: int | None = None) -> ParseError:
        start = self._at if at is None else at
        return ParseError(self._text, Span(start, len(self._text)), reason)


def _rune(letter: str) -> str:
    """Go's %q of a character."""
    if not letter:
        return "end of input"
    return f"'{letter}'" if letter.isprintable() else describe_rune(letter)


def _is_digit(letter: str) -> bool:
    return "0" <= letter <= "9"
