"""`[5m]`, `offset` and `@` behind a selector or a subquery."""

from __future__ import annotations

import msgspec

from collector.metrics.promql.ast import At, Expr, MatrixSelector, Span, Subquery, VectorSelector
from collector.metrics.promql.faults import ParseError

_WHERE = "must be preceded by an instant vector selector or range vector selector or a subquery"


def with_range(text: str, expr: Expr, range_ms: int, brackets: Span) -> MatrixSelector:
    if not isinstance(expr, VectorSelector):
        raise ParseError(text, brackets, "ranges only allowed for vector selectors")
    if expr.offset_ms:
        raise ParseError(text, brackets, "no offset modifiers allowed before range")
    if expr.at is not None:
        raise ParseError(text, brackets, "no @ modifiers allowed before range")
    return MatrixSelector(expr, range_ms, Span(expr.span.start, brackets.end))


def with_offset(text: str, expr: Expr, offset_ms: int, end: int) -> Expr:
    if _carrier(text, expr, "offset modifier").offset_ms:
        raise ParseError(text, expr.span, "offset may not be set multiple times")
    return _replace(expr, end, offset_ms=offset_ms)


def with_at(text: str, expr: Expr, at: At, end: int) -> Expr:
    if _carrier(text, expr, "@ modifier").at is not None:
        raise ParseError(text, expr.span, "@ <timestamp> may not be set multiple times")
    return _replace(expr, end, at=at)


def _carrier(text: str, expr: Expr, what: str) -> VectorSelector | Subquery:
    """Who holds offset and @ of this expression."""
    match expr:
        case VectorSelector() | Subquery():
            return expr
        case MatrixSelector():
            return expr.vector
        case _:
            raise ParseError(text, expr.span, f"{what} {_WHERE}")


def _replace(expr: Expr, end: int, **changed: At) -> Expr:
    span = Span(expr.span.start, end)
    if isinstance(expr, MatrixSelector):
        return MatrixSelector(msgspec.structs.replace(expr.vector, **changed), expr.range_ms, span)
    return msgspec.structs.replace(expr, span=span, **changed)
