"""A tree as text, in Prometheus' canonical form: parsing it gives the same tree, positions aside."""

from __future__ import annotations

import msgspec

from collector.metrics.promql import ast
from collector.metrics.promql.ast import At, Cardinality, Edge, Expr, Matching, Span
from collector.metrics.promql.durations import format_duration_ms
from collector.metrics.promql.numbers import format_plain
from collector.metrics.promql.quoting import is_plain_label, quote
from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels


def to_text(expr: Expr) -> str:
    match expr:
        case ast.Number():
            return _number(expr)
        case ast.String():
            return quote(expr.value)
        case ast.VectorSelector():
            return _selector(expr) + _modifiers(expr.at, expr.offset_ms)
        case ast.MatrixSelector():
            inner = expr.vector
            brackets = f"[{format_duration_ms(expr.range_ms)}]"
            return _selector(inner) + brackets + _modifiers(inner.at, inner.offset_ms)
        case ast.Subquery():
            step = "" if expr.step_ms is None else format_duration_ms(expr.step_ms)
            brackets = f"[{format_duration_ms(expr.range_ms)}:{step}]"
            return to_text(expr.expr) + brackets + _modifiers(expr.at, expr.offset_ms)
        case ast.Paren():
            return f"({to_text(expr.expr)})"
        case ast.Unary():
            return ("-" if expr.negative else "+") + to_text(expr.expr)
        case ast.Binary():
            first, chain = ast.spine(expr)
            return to_text(first) + "".join(f" {_operator(node)} {to_text(node.right)}" for node in chain)
        case ast.Aggregate():
            return _aggregate(expr)
        case ast.Call():
            return f"{expr.function}({', '.join(map(to_text, expr.args))})"


def _number(expr: ast.Number) -> str:
    if expr.duration:
        ms = round(expr.value * 1000)
        return ("-" if ms < 0 else "") + format_duration_ms(abs(ms))
    return format_plain(expr.value).removeprefix("+")  # `+Inf ^ 2` would be +(Inf ^ 2)


def _selector(expr: ast.VectorSelector) -> str:
    matchers = expr.matchers[:-1] if expr.name else expr.matchers
    inner = ",".join(map(_matcher, matchers))
    return expr.name + (f"{{{inner}}}" if inner or not expr.name else "")


def _matcher(matcher: Matcher) -> str:
    return f"{_label(matcher.label)}{matcher.op.value}{quote(matcher.value)}"


def _label(name: str) -> str:
    return name if is_plain_label(name) else quote(name)


def _modifiers(at: At, offset_ms: int) -> str:
    text = ""
    if isinstance(at, Edge):
        text += f" @ {at.value}()"
    elif at is not None:
        sign, (seconds, ms) = "-" if at < 0 else "", divmod(abs(at), 1000)
        text += f" @ {sign}{seconds}.{ms:03d}"
    if offset_ms:
        text += f" offset {'-' if offset_ms < 0 else ''}{format_duration_ms(abs(offset_ms))}"
    return text


def _operator(node: ast.Binary) -> str:
    return node.op.value + (" bool" if node.as_bool else "") + _matching(node.matching)


def _matching(matching: Matching) -> str:
    grouped = matching.cardinality is not Cardinality.ONE_TO_ONE
    if not (matching.labels or matching.on or grouped):
        return ""
    text = f" {'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})"
    if grouped:
        side = "left" if matching.cardinality is Cardinality.MANY_TO_ONE else "right"
        text += f" group_{side} ({_labels(matching.include)})"
    return text


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(map(_label, names))


def _aggregate(expr: ast.Aggregate) -> str:
    grouping = ""
    if expr.without:
        grouping = f" without ({_labels(expr.labels)}) "
    elif expr.labels:
        grouping = f" by ({_labels(expr.labels)}) "
    param = "" if expr.param is None else f"{to_text(expr.param)}, "
    return f"{expr.op}{grouping}({param}{to_text(expr.expr)})"


def braced(labels: Labels) -> str:
    """A series as messages show it, its name among its labels: `{__name__="up", job="a"}`."""
    return "{" + ", ".join(f"{_label(name)}={quote(value)}" for name, value in labels) + "}"


def without_positions(expr: Expr) -> Expr:
    """To compare trees of different texts. Recursive: for trees whose chains are short."""
    changed: dict[str, object] = {"span": Span()}
    for name in expr.__struct_fields__:
        value = getattr(expr, name)
        if isinstance(value, Expr.__args__):
            changed[name] = without_positions(value)
        elif name == "args":
            changed[name] = tuple(without_positions(arg) for arg in value)
        elif name == "op_span":
            changed[name] = Span()
    return msgspec.structs.replace(expr, **changed)
