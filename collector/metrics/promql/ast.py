"""The tree of an expression. Nodes are frozen; `span` says where in the text each stands.

A chain `a + b + c ...` leans to the left and may be a thousand operators long, while real nesting is limited to
`parser.MAX_DEPTH`. So whoever walks a tree takes chains in a loop (`spine`) and recurses into everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TypeAlias

import msgspec

from collector.metrics.selector import Matcher


class ValueType(StrEnum):
    """The values are Prometheus' `resultType`."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    @property
    def documented(self) -> str:
        """As the documentation and the error messages call it."""
        return {"vector": "instant vector", "matrix": "range vector"}.get(self.value, self.value)


class Span(msgspec.Struct, frozen=True):
    """Characters [start, end) of the text."""

    start: int = 0
    end: int = 0


class Edge(StrEnum):
    """What `@` may name instead of a time."""

    START = "start"
    END = "end"


At: TypeAlias = int | Edge | None
"""`@`: Unix ms, an edge of the query's range, or not given."""


class Number(msgspec.Struct, frozen=True):
    value: float
    span: Span = Span()
    duration: bool = False  # written as a duration: `1h` is 3600


class String(msgspec.Struct, frozen=True):
    """Bytes that are no UTF-8 (`"\\xff"`) are kept as lone surrogates, as Python's surrogateescape has it."""

    value: str
    span: Span = Span()


class VectorSelector(msgspec.Struct, frozen=True):
    """`name` is what stood outside of the braces; then a matcher for it is the last of `matchers`."""

    name: str
    matchers: tuple[Matcher, ...]
    at: At = None
    offset_ms: int = 0
    span: Span = Span()


class MatrixSelector(msgspec.Struct, frozen=True):
    """`at` and `offset` stand in the selector, wherever they were written."""

    vector: VectorSelector
    range_ms: int
    span: Span = Span()


class Subquery(msgspec.Struct, frozen=True):
    expr: Expr
    range_ms: int
    step_ms: int | None = None  # None: the default of the settings
    at: At = None
    offset_ms: int = 0
    span: Span = Span()


class Paren(msgspec.Struct, frozen=True):
    expr: Expr
    span: Span = Span()


class Unary(msgspec.Struct, frozen=True):
    negative: bool
    expr: Expr
    span: Span = Span()


class Cardinality(StrEnum):
    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"  # group_left
    ONE_TO_MANY = "one-to-many"  # group_right


class Matching(msgspec.Struct, frozen=True):
    """Which series of both sides belong together."""

    on: bool = False  # else `labels` are ignored
    labels: tuple[str, ...] = ()
    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    include: tuple[str, ...] = ()  # taken over from the "one" side


class Op(StrEnum):
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    POW = "^"
    ATAN2 = "atan2"
    EQL = "=="
    NEQ = "!="
    LTE = "<="
    LSS = "<"
    GTE = ">="
    GTR = ">"
    AND = "and"
    OR = "or"
    UNLESS = "unless"

    @property
    def compares(self) -> bool:
        return self in COMPARISONS

    @property
    def is_set(self) -> bool:
        return self in SETS


COMPARISONS = frozenset({Op.EQL, Op.NEQ, Op.LTE, Op.LSS, Op.GTE, Op.GTR})
SETS = frozenset({Op.AND, Op.OR, Op.UNLESS})


class Binary(msgspec.Struct, frozen=True):
    op: Op
    left: Expr
    right: Expr
    as_bool: bool = False
    matching: Matching = Matching()
    op_span: Span = Span()
    span: Span = Span()


class Aggregate(msgspec.Struct, frozen=True):
    op: str  # a key of signatures.AGGREGATIONS
    expr: Expr
    param: Expr | None = None
    labels: tuple[str, ...] = ()
    without: bool = False
    span: Span = Span()


class Call(msgspec.Struct, frozen=True):
    function: str  # a key of signatures.FUNCTIONS
    args: tuple[Expr, ...] = ()
    span: Span = Span()


Expr: TypeAlias = (
    Number | String | VectorSelector | MatrixSelector | Subquery | Paren | Unary | Binary | Aggregate | Call
)


def unwrapped(expr: Expr) -> Expr:
    """Without the parentheses around it."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def spine(expr: Binary) -> tuple[Expr, list[Binary]]:
    """A chain as its first operand and its operators, innermost first: `a + b - c` is (a, [a + b, ... - c])."""
    chain: list[Binary] = []
    node: Expr = expr
    while isinstance(node, Binary):
        chain.append(node)
        node = node.left
    chain.reverse()
    return node, chain


def children(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case MatrixSelector():
            return (expr.vector,)
        case Subquery() | Paren() | Unary():
            return (expr.expr,)
        case Binary():
            return (expr.left, expr.right)
        case Aggregate():
            return (expr.expr,) if expr.param is None else (expr.param, expr.expr)
        case Call():
            return expr.args
        case _:
            return ()


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node, parents first, in the order of the text."""
    left = [expr]
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(children(node)))
