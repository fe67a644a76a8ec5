"""The tree of a template (go/src/text/template/parse)."""

from __future__ import annotations

import msgspec

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
    operands: tuple[Operand, ...]


class Pipeline(msgspec.Struct, frozen=True):
    commands: tuple[Command, ...]
    declares: str = ""  # a variable's name with its $
    assigns: bool = False  # `=`: one that is there already


class Branch(msgspec.Struct, frozen=True):
    """`with` sets the dot to the condition's value."""

    is_with: bool
    condition: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Chain(msgspec.Struct, frozen=True):
    """`(query "up" | first).Labels.job`"""

    pipeline: Pipeline
    fields: tuple[str, ...]
    at: int
    source: str


class Range(msgspec.Struct, frozen=True):
    """`declares`: variables of the element, or of its key and itself."""

    over: Pipeline
    declares: tuple[str, ...]
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    at: int


class Jump(msgspec.Struct, frozen=True):
    """`break` or `continue`."""

    ends: bool


class Call(msgspec.Struct, frozen=True):
    """`{{template "name" pipeline}}`"""

    name: str
    data: Pipeline | None
    at: int


Operand = Value | Path | Function | Pipeline | Chain
Node = Text | Pipeline | Branch | Range | Jump | Call


class Source(msgspec.Struct, frozen=True):
    """Where a template's text comes from, for places in messages. `shift`: columns that its first line is moved by."""

    name: str
    text: str
    shift: int = 0

    def place(self, at: int, name: str = "") -> str:
        """`name:line:column`, the column counted from 0 as Go does. `name` instead of the source's own."""
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + (self.shift if line == 1 else 0)
        return f"{name or self.name}:{line}:{column}"


class Body(msgspec.Struct, frozen=True):
    nodes: tuple[Node, ...]
    source: Source

    @property
    def is_empty(self) -> bool:
        """Nothing but white space: such a definition takes no other's place."""
        return all(isinstance(node, Text) and not node.text.strip() for node in self.nodes)


class Parsed(msgspec.Struct, frozen=True):
    main: Body
    defined: dict[str, Body]
