"""Parser of Go's text/template (go/src/text/template/parse).

Taken: text, trim marks, comments, pipelines with parentheses and fields behind them, fields, methods, variables, their
declaration and assignment, strings, numbers, `if`, `else`, `else if`, `with`, `range` with one or two variables,
`break`, `continue`, `define`, `template`, `block`, `end`.
"""

from __future__ import annotations

import re

from alerting.templates.lexer import Action, Token, pieces
from alerting.templates.nodes import (
    Body,
    Branch,
    Call,
    Chain,
    Command,
    Function,
    Jump,
    Node,
    Operand,
    Parsed,
    Path,
    Pipeline,
    Range,
    Source,
    TemplateError,
    Text,
    Value,
)
from collector.metrics.promql.quoting import BadEscape, unquote

_MAX_DEPTH = 30


def parse_template(source: Source, functions: frozenset[str], variables: frozenset[str]) -> Parsed:
    """Raises TemplateError. `functions` are the names that exist, `variables` those declared from outside."""
    return _Parser(source, functions, variables).parse()


class _Parser:
    def __init__(self, source: Source, functions: frozenset[str], variables: frozenset[str]) -> None:
        self._source = source
        self._pieces = pieces(source.text)
        self._next = 0
        self._functions = functions
        self._variables = set(variables)
        self._depth = 0
        self._ranges = 0
        self._defined: dict[str, Body] = {}

    def parse(self) -> Parsed:
        nodes, ending = self._body()
        if ending is not None:
            raise TemplateError(f"unexpected {{{{{ending.tokens[0][1]}}}}}")
        return Parsed(Body(nodes, self._source), self._defined)

    def _body(self) -> tuple[tuple[Node, ...], Action | None]:
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
            node = self._action(keyword, piece)
            if node is not None:
                nodes.append(node)
        return tuple(nodes), None

    def _action(self, keyword: str, piece: Action) -> Node | None:
        rest = piece.tokens[1:]
        match keyword:
            case "if" | "with":
                return self._branch(keyword, rest)
            case "range":
                return self._range(rest, piece.at)
            case "break" | "continue":
                if not self._ranges:
                    raise TemplateError(f"{{{{{keyword}}}}} outside {{{{range}}}}")
                return Jump(keyword == "break")
            case "define":
                self._define(keyword, piece)
                return None
            case "template":
                name, data = self._name(keyword, piece)
                return Call(name, self._pipeline(data) if data else None, piece.at)
            case "block":
                name, data = self._define(keyword, piece)
                return Call(name, self._pipeline(data), piece.at)
        return self._pipeline(piece.tokens)

    def _name(self, keyword: str, piece: Action) -> tuple[str, tuple[Token, ...]]:
        rest = piece.tokens[1:]
        if not rest or rest[0][0] != "string":
            raise TemplateError(f"{keyword} needs a name in quotes at character {piece.at + 1}")
        return _unquoted(rest[0][1], rest[0][2]), rest[1:]

    def _define(self, keyword: str, piece: Action) -> tuple[str, tuple[Token, ...]]:
        """The body has no variables but $."""
        name, rest = self._name(keyword, piece)
        if keyword == "block" and not rest:
            raise TemplateError("missing value for block clause")
        self._enter()
        scope, self._variables = self._variables, set()
        ranges, self._ranges = self._ranges, 0
        body, ending = self._body()
        self._must_end(keyword, ending)
        self._variables, self._ranges = scope, ranges
        self._depth -= 1
        self._defined[name] = Body(body, self._source)
        return name, rest

    def _range(self, tokens: tuple[Token, ...], at: int) -> Range:
        self._enter()
        scope = set(self._variables)
        declares, tokens = _declared(tokens)
        if not tokens:
            raise TemplateError("missing value for range")
        over = self._pipeline(tokens)
        self._variables.update(declares)
        self._ranges += 1
        body, ending = self._body()
        self._ranges -= 1
        otherwise: tuple[Node, ...] = ()
        if ending is not None and ending.tokens[0][1] == "else":
            otherwise, ending = self._body()
        self._must_end("range", ending)
        self._variables = scope
        self._depth -= 1
        return Range(over, declares, body, otherwise, at)

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

    def _must_end(self, keyword: str, ending: Action | None) -> None:
        if ending is None or ending.tokens[0][1] != "end":
            raise TemplateError(f"unexpected end: {{{{{keyword}}}}} has no {{{{end}}}}")

    def _pipeline(self, tokens: tuple[Token, ...]) -> Pipeline:
        declares, assigns = "", False
        if len(tokens) > 1 and tokens[0][0] == "path" and tokens[1][1] in (":=", "="):
            declares, assigns = tokens[0][1], tokens[1][1] == "="
            self._check_variable(declares, tokens[0][2], assigns=assigns)
            tokens = tokens[2:]
        commands: list[Command] = []
        operands: list[Operand] = []
        place = 0
        while place < len(tokens):
            kind, text, at = tokens[place]
            if text == "|" and kind == "mark":
                commands.append(self._command(operands, at, first=not commands))
                operands = []
            elif text == "(" and kind == "mark":
                closing = _closing(tokens, place)
                self._enter()
                inner = self._pipeline(tokens[place + 1 : closing])
                self._depth -= 1
                chained = _fields_behind(tokens, closing)
                operands.append(Chain(inner, chained, at, tokens[closing + 1][1]) if chained else inner)
                place = closing + bool(chained)
            else:
                operands.append(self._operand(kind, text, at))
            place += 1
        commands.append(self._command(operands, tokens[-1][2] if tokens else 0, first=not commands))
        if declares:
            self._variables.add(declares)
        return Pipeline(tuple(commands), declares, assigns)

    def _check_variable(self, name: str, at: int, *, assigns: bool) -> None:
        if not name.startswith("$") or "." in name:
            raise TemplateError(f"{name} can't be assigned to at character {at + 1}")
        if assigns and name not in self._variables:
            raise TemplateError(f'undefined variable "{name}" at character {at + 1}')

    def _command(self, operands: list[Operand], at: int, *, first: bool) -> Command:
        if not operands:
            raise TemplateError(f"missing value for command at character {at + 1}")
        if not first and not isinstance(operands[0], Function | Path | Chain):
            raise TemplateError(f"non executable command in pipeline at character {at + 1}")
        return Command(tuple(operands))

    def _operand(self, kind: str, text: str, at: int) -> Value | Path | Function:
        if kind == "string":
            return Value(_unquoted(text, at))
        if kind == "number":
            return Value(_number(text))
        if kind == "rune":
            return Value(ord(_unquoted('"' + text[1:-1].replace('"', '\\"') + '"', at)))
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


def _declared(tokens: tuple[Token, ...]) -> tuple[tuple[str, ...], tuple[Token, ...]]:
    """`$x :=` or `$key, $x :=` before a range's pipeline."""
    marks = [text for _, text, _ in tokens[:4]]
    kinds = [kind for kind, _, _ in tokens[:4]]
    if marks[1:2] == [":="] and kinds[0] == "path":
        return (marks[0],), tokens[2:]
    if marks[1:2] == [","] and marks[3:4] == [":="] and kinds[0] == kinds[2] == "path":
        return (marks[0], marks[2]), tokens[4:]
    return (), tokens


def _fields_behind(tokens: tuple[Token, ...], closing: int) -> tuple[str, ...]:
    """Of `(...).Labels.job`: what touches the parenthesis."""
    if closing + 1 >= len(tokens):
        return ()
    kind, text, at = tokens[closing + 1]
    if kind != "path" or not text.startswith(".") or text == "." or at != tokens[closing][2] + 1:
        return ()
    return tuple(text.split(".")[1:])


def _unquoted(text: str, at: int) -> str:
    try:
        return unquote(text)
    except BadEscape as error:
        raise TemplateError(f"{error} at character {at + 1}") from None


def _number(text: str) -> int | float:
    bare = text.replace("_", "")
    whole = re.fullmatch(r"[-+]?(?:[0-9]+|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+)", bare)
    if not whole:
        return float(bare)
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", bare)
    return int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(bare, 0)
