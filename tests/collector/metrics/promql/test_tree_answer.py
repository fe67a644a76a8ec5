"""Trees as /api/v1/parse_query gives them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.parser import parse
from collector.metrics.promql.tree_answer import LONGEST_CHAIN, tree

NAME_A = {"name": "__name__", "value": "a", "type": "="}
A: dict[str, Any] = {
    "type": "vectorSelector",
    "name": "a",
    "offset": 0,
    "matchers": [NAME_A],
    "timestamp": None,
    "startOrEnd": None,
}
ONE = {"type": "numberLiteral", "val": "1"}
PLAIN = {"card": "one-to-one", "labels": [], "on": False, "include": []}


def binary(op: str, left: object, right: object, matching: object = None, as_bool: bool = False) -> dict[str, Any]:
    return {"type": "binaryExpr", "op": op, "lhs": left, "rhs": right, "matching": matching, "bool": as_bool}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("1e3", {"type": "numberLiteral", "val": "1000"}),
        ("'x'", {"type": "stringLiteral", "val": "x"}),
        ("a", A),
        (
            'a{b!~"c"} offset 5m',
            A | {"offset": 300_000, "matchers": [{"name": "b", "value": "c", "type": "!~"}, NAME_A]},
        ),
        ("a @ 1.5", A | {"timestamp": 1500}),
        ("a @ end()", A | {"startOrEnd": "end"}),
        ("a[1m] offset -1s", A | {"type": "matrixSelector", "range": 60_000, "offset": -1000}),
        (
            "a[1m:5s] @ start()",
            {
                "type": "subquery",
                "expr": A,
                "range": 60_000,
                "step": 5000,
                "offset": 0,
                "timestamp": None,
                "startOrEnd": "start",
            },
        ),
        ("-(a)", {"type": "unaryExpr", "op": "-", "expr": {"type": "parenExpr", "expr": A}}),
        ("1 + 1", binary("+", ONE, ONE)),
        ("a > bool 1", binary(">", A, ONE, as_bool=True)),
        ("a - a - a", binary("-", binary("-", A, A, PLAIN), A, PLAIN)),
        ("a and on (x) a", binary("and", A, A, PLAIN | {"card": "many-to-many", "labels": ["x"], "on": True})),
        (
            "a / ignoring (x) group_left (y) a",
            binary("/", A, A, {"card": "many-to-one", "labels": ["x"], "on": False, "include": ["y"]}),
        ),
        (
            "topk without (x) (1, a)",
            {"type": "aggregation", "op": "topk", "expr": A, "param": ONE, "grouping": ["x"], "without": True},
        ),
        (
            "round(a, 1)",
            {
                "type": "call",
                "func": {"name": "round", "argTypes": ["vector", "scalar"], "variadic": 1, "returnType": "vector"},
                "args": [A, ONE],
            },
        ),
    ],
)
def test_tree(query: str, wanted: dict[str, Any]) -> None:
    assert tree(parse(query).expr) == wanted


def test_what_is_shown_is_no_deeper_than_json_can_be_written() -> None:
    orjson.dumps(tree(parse(" + ".join(["1"] * (LONGEST_CHAIN + 1))).expr))
    with pytest.raises(QueryError, match="too many to be shown"):
        tree(parse(" + ".join(["1"] * (LONGEST_CHAIN + 2))).expr)
