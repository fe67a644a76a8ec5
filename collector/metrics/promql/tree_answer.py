"""An expression's tree as Prometheus' /api/v1/parse_query gives it (web/api/v1/translate_ast.go): for editors and query
builders."""

from __future__ import annotations

from typing import Any

from collector.metrics.promql import ast
from collector.metrics.promql.check import type_of
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.numbers import format_plain
from collector.metrics.promql.signatures import FUNCTIONS
from collector.metrics.selector import Matcher

LONGEST_CHAIN = 80
"""Operators side by side: each is a level of the answer, and readers of JSON don't go down for ever."""

Node = dict[str, Any]


def tree(expr: ast.Expr) -> Node:
    """Raises QueryError where it would be too deep."""
    match expr:
        case ast.Number():
            return {"type": "numberLiteral", "val": format_plain(expr.value)}
        case ast.String():
            return {
                "type": "stringLiteral",
                "val": expr.value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            }
        case ast.VectorSelector():
            return {"type": "vectorSelector", **_selector(expr)}
        case ast.MatrixSelector():
            return {"type": "matrixSelector", "range": expr.range_ms, **_selector(expr.vector)}
        case ast.Subquery():
            step = {"range": expr.range_ms, "step": expr.step_ms or 0, "offset": expr.offset_ms}
            return {"type": "subquery", "expr": tree(expr.expr), **step, **_at(expr.at)}
        case ast.Paren():
            return {"type": "parenExpr", "expr": tree(expr.expr)}
        case ast.Unary():
            return {"type": "unaryExpr", "op": "-" if expr.negative else "+", "expr": tree(expr.expr)}
        case ast.Binary():
            return _chain(expr)
        case ast.Aggregate():
            return _aggregation(expr)
        case ast.Call():
            return _call(expr)


def _chain(expr: ast.Binary) -> Node:
    first, operators = ast.spine(expr)
    if len(operators) > LONGEST_CHAIN:
        reason = f"{len(operators)} operators side by side are too many to be shown as a tree, at most {LONGEST_CHAIN}"
        raise QueryError(reason, ErrorType.BAD_DATA)
    node = tree(first)
    for one in operators:
        node = {
            "type": "binaryExpr",
            "op": one.op.value,
            "lhs": node,
            "rhs": tree(one.right),
            "matching": _matching(one),
            "bool": one.as_bool,
        }
    return node


def _matching(expr: ast.Binary) -> Node | None:
    """Only between vectors."""
    if {type_of(expr.left), type_of(expr.right)} != {ast.ValueType.VECTOR}:
        return None
    found = expr.matching
    return {
        "card": "many-to-many" if expr.op.is_set else found.cardinality.value,
        "labels": list(found.labels),
        "on": found.on,
        "include": list(found.include),
    }


def _aggregation(expr: ast.Aggregate) -> Node:
    return {
        "type": "aggregation",
        "op": expr.op,
        "expr": tree(expr.expr),
        "param": None if expr.param is None else tree(expr.param),
        "grouping": list(expr.labels),
        "without": expr.without,
    }


def _call(expr: ast.Call) -> Node:
    signature = FUNCTIONS[expr.function]
    function = {
        "name": expr.function,
        "argTypes": [kind.value for kind in signature.args],
        "variadic": signature.variadic,
        "returnType": signature.returns.value,
    }
    return {"type": "call", "func": function, "args": [tree(each) for each in expr.args]}


def _selector(expr: ast.VectorSelector) -> Node:
    return {
        "name": expr.name,
        "offset": expr.offset_ms,
        "matchers": [_matcher(each) for each in expr.matchers],
        **_at(expr.at),
    }


def _matcher(matcher: Matcher) -> Node:
    return {"name": matcher.label, "value": matcher.value, "type": matcher.op.value}


def _at(at: ast.At) -> Node:
    named = isinstance(at, ast.Edge)
    return {"timestamp": None if named else at, "startOrEnd": at.value if isinstance(at, ast.Edge) else None}
