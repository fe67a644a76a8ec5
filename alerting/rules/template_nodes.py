"""The tree of a template, and its parser: a subset of Go's text/template (go/src/text/template/parse).

Taken: text, trim marks, comments, pipelines with parentheses, fields, variables and their declaration, strings,
numbers, `if`, `else`, `else if`, `with`, `end`. What Go and Prometheus have beyond that parses where it can and fails
when it is expanded, as a template that fails in Prometheus does: the alert fires all the same.
"""

from __future__ import annotations

import re

import msgspec

from alerting.rules.lexer import ExpressionError
from alerting.rules.lexer import tokens as lex
from deckwatch.runtime.faults import Reject


class TemplateError(Reject):
    """The template can't be parsed."""


class Text(msgspec.Struct, frozen=True):
    text: str


class Value(msgspec.Struct, frozen=True):
    value: str | float | int | bool | None


class Path(msgspec.Struct, frozen=True):
    """`.Labels.x`, `$labels.x`, `$value`. `root` is `.` or the variable's name with its $."""

    root: str
    fields: tuple[str, ...]
    at: int
    source: str


class Function(msgspec.Struct, frozen=True):
    name: str
    at: int


class Command(msgspec.Struct, frozen=True):
    operands: tuple[Value | Path | Function | Pipeline, ...]


class Pipeline(msgspec.Struct, frozen=True):
    commands: tuple[Command, ...]
    declares: str = ""  # a variable's name with its $


class Branch(msgspec.Struct, frozen=True):
    """`with` sets the dot to the condition's value."""

    is_with: bool
    condition: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Later(msgspec.Struct, frozen=True):
    """An action of Go's that this version does not carry out."""

    keyword: str
    at: int


Node = Text | Pipeline | Branch | Later

_ACTION = re.compile(
    r"\{\{(?P<trim_left>-[ \t\r\n])?(?P<body>(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|/\*.*?\*/|(?!\}\}).)*?)"
    r"(?P<trim_right>[ \t\r\n]-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    | (?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
    | (?P<path>\$[A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*|(?:\.[A-Za-z_][A-Za-z0-9_]*)+|\.)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | (?P<mark>:=|[|()=,])""",
    re.VERBOSE,
)
_LATER_KEYWORDS = ("range", "define", "template", "block", "break", "continue")
_MAX_DEPTH = 30

Token = tuple[str, str, int]
"""(kind, text, place in the template)"""


class _Action(msgspec.Struct, frozen=True):
    tokens: tuple[Token, ...]
    at: int


def parse_template(text: str, functions: frozenset[str], variables: frozenset[str]) -> tuple[Node, ...]:
    """Raises TemplateError. `functions` are the names that exist, `variables` those declared from outside."""
    return _Parser(_pieces(text), functions, variables).parse()


def _pieces(text: str) -> list[Text | _Action]:
    pieces: list[Text | _Action] = []
    at = 0
    trim = False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        match = None if start < 0 else _ACTION.match(text, start)
        plain = plain.lstrip(" \t\r\n") if trim else plain
        plain = plain.rstrip(" \t\r\n") if match and match["trim_left"] else plain
        if plain:
            pieces.append(Text(plain))
        if start < 0:
            return pieces
        if match is None:
            raise TemplateError(f"unclosed action at character {start + 1}")
        if not match["body"].strip().startswith("/*"):
            pieces.append(_Action(_tokens(match["body"], match.start("body")), match.start("body")))
        trim = match["trim_right"] is not None
        at = match.end()


def _tokens(body: str, offset: int) -> tuple[Token, ...]:
    found: list[Token] = []
    at = 0
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            raise TemplateError(f"unexpected {body[at]!r} in an action at character {offset + at + 1}")
        if match.lastgroup:
            found.append((match.lastgroup, match.group(), offset + at))
        at = match.end()
    return tuple(found)


class _Parser:
    def __init__(self, pieces: list[Text | _Action], functions: frozenset[str], variables: frozenset[str]) -> None:
        self._pieces = pieces
        self._next = 0
        self._functions = functions
        self._variables = set(variables)
        self._depth = 0

    def parse(self) -> tuple[Node, ...]:
        nodes, ending = self._body()
        if ending is not None:
            raise TemplateError(f"unexpected {{{{{ending.tokens[0][1]}}}}}")
        return nodes

    def _body(self) -> tuple[tuple[Node, ...], _Action | None]:
        """Nodes up to an `else` or `end`, which is handed back."""
        nodes: list[Node] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if isinstance(piece, Text):
                nodes.append(piece)
                continue
            if not piece.tokens:
                raise TemplateError(f"missing value for command at character {piece.at + 1}")
            keyword = piece.tokens[0][1]
            if keyword in ("else", "end"):
                return tuple(nodes), piece
            if keyword in ("if", "with"):
                nodes.append(self._branch(keyword, piece.tokens[1:]))
            elif keyword in _LATER_KEYWORDS:
                nodes.append(self._later(keyword, piece))
            else:
                nodes.append(self._pipeline(piece.tokens))
        return tuple(nodes), None

    def _later(self, keyword: str, piece: _Action) -> Later:
        if keyword in ("range", "define", "block"):  # they have bodies
            _, ending = self._body()
            while ending is not None and ending.tokens[0][1] == "else":
                _, ending = self._body()
            if ending is None:
                raise TemplateError(f"unexpected end: {{{{{keyword}}}}} has no {{{{end}}}}")
        return Later(keyword, piece.at)

    def _branch(self, keyword: str, tokens: tuple[Token, ...]) -> Branch:
        self._enter()
        scope = set(self._variables)
        if not tokens:
            raise TemplateError(f"missing value for {keyword}")
        condition = self._pipeline(tokens)
        then, ending = self._body()
        otherwise: tuple[Node, ...] = ()
        if ending is not None and ending.tokens[0][1] == "else":
            rest = ending.tokens[1:]
            if rest and rest[0][1] in ("if", "with"):
                otherwise, ending = (self._branch(rest[0][1], rest[1:]),), None
            else:
                otherwise, ending = self._body()
                self._must_end(keyword, ending)
        else:
            self._must_end(keyword, ending)
        self._variables = scope
        self._depth -= 1
        return Branch(keyword == "with", condition, then, otherwise)

    def _must_end(self, keyword: str, ending: _Action | None) -> None:
        if ending is None or ending.tokens[0][1] != "end":
            raise TemplateError(f"unexpected end: {{{{{keyword}}}}} has no {{{{end}}}}")

    def _pipeline(self, tokens: tuple[Token, ...]) -> Pipeline:
        declares = ""
        if len(tokens) > 1 and tokens[0][0] == "path" and tokens[1][1] in (":=", "="):
            declares = tokens[0][1]
            tokens = tokens[2:]
        commands: list[Command] = []
        operands: list[Value | Path | Function | Pipeline] = []
        place = 0
        while place < len(tokens):
            kind, text, at = tokens[place]
            if text == "|" and kind == "mark":
                commands.append(self._command(operands, at, first=not commands))
                operands = []
            elif text == "(" and kind == "mark":
                closing = _closing(tokens, place)
                self._enter()
                operands.append(self._pipeline(tokens[place + 1 : closing]))
                self._depth -= 1
                place = closing
            else:
                operands.append(self._operand(kind, text, at))
            place += 1
        commands.append(self._command(operands, tokens[-1][2] if tokens else 0, first=not commands))
        if declares:
            self._variables.add(declares)
        return Pipeline(tuple(commands), declares)

    def _command(self, operands: list[Value | Path | Function | Pipeline], at: int, *, first: bool) -> Command:
        if not operands:
            raise TemplateError(f"missing value for command at character {at + 1}")
        if not first and not isinstance(operands[0], Function | Path):
            raise TemplateError(f"non executable command in pipeline at character {at + 1}")
        return Command(tuple(operands))

    def _operand(self, kind: str, text: str, at: int) -> Value | Path | Function:
        if kind == "string":
            return Value(_unquoted(text, at))
        if kind == "number":
            return Value(int(text) if re.fullmatch(r"[-+]?[0-9]+", text) else float(text))
        if kind == "path":
            root, *fields = text.split(".")
            root = root or "."
            if root.startswith("$") and root != "$" and root not in self._variables:
                raise TemplateError(f'undefined variable "{root}" at character {at + 1}')
            return Path(root, tuple(field for field in fields if field), at, text)
        if kind == "word":
            return self._word(text, at)
        raise TemplateError(f"unexpected {text!r} in an action at character {at + 1}")

    def _word(self, text: str, at: int) -> Value | Function:
        constants = {"true": True, "false": False, "nil": None}
        if text in constants:
            return Value(constants[text])
        if text not in self._functions:
            raise TemplateError(f'function "{text}" not defined at character {at + 1}')
        return Function(text, at)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TemplateError(f"more than {_MAX_DEPTH} levels in one template")


def _closing(tokens: tuple[Token, ...], opening: int) -> int:
    depth = 0
    for place in range(opening, len(tokens)):
        kind, text, _ = tokens[place]
        if kind == "mark" and text in "()":
            depth += 1 if text == "(" else -1
            if depth == 0:
                return place
    raise TemplateError(f"unclosed left paren at character {tokens[opening][2] + 1}")


def _unquoted(text: str, at: int) -> str:
    try:
        return lex(text)[0].text
    except ExpressionError as error:
        raise TemplateError(f"{error.problem} at character {at + 1}") from None
