"""A rule's expression at one time: PromQL over a source, and what of the answer can't be judged at the moment.

Pure: the same for the same expression, time and series.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from collector.metrics.promql import ast
from collector.metrics.promql.ast import Expr, ValueType
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.parser import Query
from collector.metrics.promql.result import Result
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import SeriesSource
from collector.metrics.series import Sample, Vector, without_name
from deckwatch.wire.model import Labels


class JudgedSource(SeriesSource, Protocol):
    def carrying(self) -> SeriesSource:
        """As if what is unknown went on as it was last."""
        ...


class Answer(msgspec.Struct, frozen=True):
    """`vector.unknown` are label sets of the result that may not be judged; `missing` are series of sources."""

    vector: Vector
    missing: tuple[Labels, ...] = ()

    def may_hang_on(self, labels: Labels) -> bool:
        """Could what is missing have made, or unmade, an element with these labels?"""
        return any(compatible(labels, series) for series in self.missing)


def ask(query: Query, at_ms: int, source: JudgedSource, settings: PromqlSettings) -> Answer:
    """Raises QueryError. An element that wouldn't be there if what is unknown went on as it was (`absent(up)`,
    `count(up) < 3`) is no element: it is among the unknown."""
    result = evaluate(query, at_ms, at_ms, 0, source, settings)
    samples = samples_of(result)
    if not result.unknown:
        return Answer(Vector(samples))
    doubtful: tuple[Labels, ...] = ()
    if any(compatible(sample.labels, series) for sample in samples for series in result.unknown):
        as_before = {
            sample.labels for sample in samples_of(evaluate(query, at_ms, at_ms, 0, source.carrying(), settings))
        }
        doubtful = tuple(sample.labels for sample in samples if sample.labels not in as_before)
    sure = tuple(sample for sample in samples if sample.labels not in doubtful)
    return Answer(Vector(sure, doubtful), result.unknown)


def samples_of(result: Result) -> tuple[Sample, ...]:
    """Of an instant query. Raises QueryError where it is neither a vector nor a scalar."""
    if result.kind not in (ValueType.VECTOR, ValueType.SCALAR):
        raise QueryError("rule result is not a vector or scalar", ErrorType.BAD_DATA)
    values = result.values[:, 0].tolist()
    return tuple(Sample(labels, value) for labels, value in zip(result.labels, values, strict=True))


def compatible(labels: Labels, series: Labels) -> bool:
    """Nothing speaks against that an element with `labels` was made of `series`: what both name is the same."""
    known = dict(series)
    return all(known.get(name, value) == value for name, value in without_name(labels))


def selectors(query: Query) -> Iterator[ast.VectorSelector]:
    return (node for node in ast.walk(query.expr) if isinstance(node, ast.VectorSelector))


def reaches_ms(query: Query, lookback_ms: int) -> Iterator[tuple[ast.VectorSelector, int]]:
    """How far back from the time of evaluation each selector looks."""
    left: list[tuple[Expr, int]] = [(query.expr, 0)]
    while left:
        node, back_ms = left.pop()
        match node:
            case ast.VectorSelector():
                yield node, back_ms + lookback_ms + max(0, node.offset_ms)
            case ast.MatrixSelector():
                yield node.vector, back_ms + node.range_ms + max(0, node.vector.offset_ms)
            case ast.Subquery():
                left.append((node.expr, back_ms + node.range_ms + max(0, node.offset_ms)))
            case _:
                left.extend((child, back_ms) for child in ast.children(node))


def shape(query: Query) -> frozenset[tuple[str, str]]:
    """Which functions and operators it has: what it needs of the engine."""
    return frozenset(
        (type(node).__name__, str(getattr(node, "function", "") or getattr(node, "op", "")))
        for node in ast.walk(query.expr)
    )
