"""Tokens of an expression, with their places. Lexical rules are PromQL's (prometheus/promql/parser/lex.go)."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from deckwatch.runtime.faults import Reject

MAX_LENGTH = 8192


class Kind(StrEnum):
    IDENTIFIER = "name"
    NUMBER = "number"
    DURATION = "duration"
    STRING = "string"
    OPERATOR = "operator"
    END = "end of the expression"


class Token(msgspec.Struct, frozen=True):
    kind: Kind
    text: str  # of a string: its value
    at: int  # place of its first character

    def __str__(self) -> str:
        if self.kind is Kind.END:
            return self.kind.value
        return f"{self.kind.value} {self.text!r}" if self.kind is Kind.STRING else f'"{self.text}"'


class ExpressionError(Reject):
    """An expression that can't be used. `at` is the place in it, counted from 0."""

    def __init__(self, text: str, at: int, problem: str) -> None:
        line = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"{line}:{column}: {problem}")
        self.problem = problem
        self.at = at


_NUMBER = r"0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|\#[^\n]*)
    | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_]))
    | (?P<number>(?:"""
    + _NUMBER
    + r""")(?![a-zA-Z0-9_.]))
    | (?P<identifier>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    | (?P<operator>==|!=|=~|!~|<=|>=|[-+*/%^<>=(){}\[\],@:])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def tokens(text: str) -> list[Token]:
    """Ends with a token of Kind.END. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, 0, f"the expression has {len(text)} characters; at most {MAX_LENGTH} are taken")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(text, at, _why_not(text[at:]))
        kind = match.lastgroup or ""
        if kind == "string":
            found.append(Token(Kind.STRING, _unquote(text, match.group(), at), at))
        elif kind != "space":
            found.append(Token(Kind[kind.upper()], match.group(), at))
        at = match.end()
    found.append(Token(Kind.END, "", len(text)))
    return found


def _why_not(rest: str) -> str:
    if rest[0] in "\"'`":
        return "the string has no end"
    if rest[0].isdigit() or rest[0] == ".":
        return "bad number or duration " + repr(re.split(r"[^\w.]", rest, maxsplit=1)[0])
    return f"unexpected character {rest[0]!r}"


def _unquote(text: str, literal: str, at: int) -> str:
    if literal[0] == "`":
        return literal[1:-1]

    def replace(match: re.Match[str]) -> str:
        body = match.group(1)
        if body[0] in "xuU" and len(body) > 1:
            code = int(body[1:], 16)
            if code <= 0x10FFFF:
                return chr(code)
        elif body.isdigit():
            return chr(int(body, 8))
        elif body in _SIMPLE:
            return _SIMPLE[body]
        raise ExpressionError(text, at + 1 + match.start(), f"unknown escape {match.group()!r} in the string")

    return _ESCAPE.sub(replace, literal[1:-1])
