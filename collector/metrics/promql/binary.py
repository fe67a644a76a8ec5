"""Binary operators: scalars, a vector and a scalar, and two vectors whose series belong together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.arithmetic import ARITHMETIC, COMPARISON
from collector.metrics.promql.ast import Binary, Cardinality, Matching
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.matrix import Bools, Floats, Ints, Matrix, Scalar, Value
from collector.metrics.promql.printer import braced
from collector.metrics.promql.setops import combined
from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Labels


def binary(node: Binary, left: Value, right: Value) -> Value:
    match left, right:
        case Scalar(), Scalar():
            values, _ = _apply(node, left.values, right.values, left.values)
            return Scalar(values)
        case Matrix(), Scalar():
            return _with_scalar(node, left, left.values, right.values)
        case Scalar(), Matrix():
            return _with_scalar(node, right, left.values, right.values)
        case Matrix(), Matrix() if node.op.is_set:
            return combined(node.op, left, right, signature(node.matching))
        case Matrix(), Matrix():
            return _vectors(node, left, right)
    raise AssertionError("the types were checked when it was parsed")


def _apply(node: Binary, left: Floats, right: Floats, kept: Floats) -> tuple[Floats, Bools | None]:
    """Values, and for a comparison that filters which of them stay: those of `kept`."""
    if node.op in ARITHMETIC:
        return ARITHMETIC[node.op](left, right), None
    holds = COMPARISON[node.op](left, right)
    return (holds.astype(np.float64), None) if node.as_bool else (kept, holds)


def _with_scalar(node: Binary, of: Matrix, left: Floats, right: Floats) -> Matrix:
    """A comparison keeps the vector's value, whichever side it stands on."""
    values, holds = _apply(node, left, right, of.values)
    return mx.replaced(of, values) if holds is None else mx.filtered(of, holds)


def signature(matching: Matching) -> Callable[[Labels], Labels]:
    """What series of both sides have in common when they belong together."""
    if matching.on:
        wanted = frozenset(matching.labels)
        return lambda labels: tuple([pair for pair in labels if pair[0] in wanted])
    unwanted = frozenset((*matching.labels, NAME_LABEL))
    return lambda labels: tuple([pair for pair in labels if pair[0] not in unwanted])


class _Pairs(msgspec.Struct, frozen=True):
    """Rows of the many side and of the one side that belong together."""

    many: Ints
    one: Ints
    group: Ints


def _vectors(node: Binary, left: Matrix, right: Matrix) -> Matrix:
    """Nothing is matched at steps where one of the sides is empty, so nothing can be wrong with it there either."""
    reversed_ = node.matching.cardinality is Cardinality.ONE_TO_MANY
    both: Bools = np.logical_and(left.present.any(axis=0), right.present.any(axis=0))
    left, right = mx.filtered(left, both), mx.filtered(right, both)
    many, one = (right, left) if reversed_ else (left, right)
    key = signature(node.matching)
    ones = _groups(one, key)
    _refuse_duplicates(one, ones, "left" if reversed_ else "right")
    pairs = _pairs(_groups(many, key), ones)
    many_values, one_values = many.values[pairs.many], one.values[pairs.one]
    present = many.present[pairs.many] & one.present[pairs.one]
    operands = (one_values, many_values) if reversed_ else (many_values, one_values)
    if node.matching.cardinality is Cardinality.ONE_TO_ONE:
        _refuse_many(pairs.group, present)
    values, holds = _apply(node, *operands, operands[0])
    labels = _result_labels(node, many, one, pairs)
    drop = np.full(len(labels), True) if node.as_bool else many.drop_name[pairs.many]
    result = Matrix(labels, values, present, drop)
    if node.matching.cardinality is not Cardinality.ONE_TO_ONE:
        _refuse_same(result)
    return _joined(result if holds is None else mx.filtered(result, holds))


def _joined(result: Matrix) -> Matrix:
    """Different pairs give the same series where one of them ended before the other began."""
    return mx.merged(mx.pruned(result))


def _groups(of: Matrix, key: Callable[[Labels], Labels]) -> dict[Labels, list[int]]:
    found: dict[Labels, list[int]] = {}
    for row, labels in enumerate(of.labels):
        found.setdefault(key(labels), []).append(row)
    return found


def _refuse_duplicates(one: Matrix, groups: dict[Labels, list[int]], side: str) -> None:
    for group, rows in groups.items():
        if len(rows) == 1 or (counts := one.present[rows].sum(axis=0)).max() <= 1:
            continue
        step = int(np.argmax(counts > 1))
        first, second = sorted(one.labels[row] for row in rows if one.present[row, step])[:2]
        raise QueryError(
            f"found duplicate series for the match group {braced(group)} on the {side} hand-side of the operation:"
            f" [{braced(first)}, {braced(second)}]"
            ";many-to-many matching not allowed: matching labels must be unique on one side"
        )


def _pairs(many: dict[Labels, list[int]], ones: dict[Labels, list[int]]) -> _Pairs:
    chosen: list[tuple[int, int, int]] = []
    for group, (common, rows) in enumerate(many.items()):
        chosen.extend((row, other, group) for row in rows for other in ones.get(common, ()))
    columns = np.array(chosen, np.int64).reshape(-1, 3)
    return _Pairs(columns[:, 0], columns[:, 1], columns[:, 2])


def _refuse_many(group: Ints, present: Bools) -> None:
    if not len(group):
        return
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    if len(starts) < len(group) and np.add.reduceat(present[order].astype(np.int64), starts).max() > 1:
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")


def _refuse_same(result: Matrix) -> None:
    try:
        mx.merged(result)
    except QueryError:
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches") from None


def _result_labels(node: Binary, many: Matrix, one: Matrix, pairs: _Pairs) -> tuple[Labels, ...]:
    matching = node.matching
    keeps_name = node.op.compares and not node.as_bool
    one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE
    listed = frozenset(matching.labels)
    made = []
    for row, other in zip(pairs.many.tolist(), pairs.one.tolist(), strict=True):
        labels = many.labels[row] if keeps_name else mx.without_name(many.labels[row])
        if one_to_one:
            labels = tuple([pair for pair in labels if (pair[0] in listed) is matching.on])
        for name in matching.include:
            labels = mx.with_label(labels, name, mx.label(one.labels[other], name))
        made.append(labels)
    return tuple(made)
