"""Values under evaluation: all series at all steps at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.ast import Span
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.source import Selection
from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Labels

SAME_LABELS = "vector cannot contain metrics with the same labelset"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Matrix(msgspec.Struct, frozen=True):
    """An instant vector at each step. `values` and `present` are (series, steps); where `present` is False, the value
    means nothing. NaN is a value.

    Whoever changes what a series means drops its name, but only at the very end (`named`), so that label_replace() over
    a rate() still sees it: `drop_name` says of each series whether it will go. That is Prometheus'
    promql-delayed-name-removal.
    """

    labels: tuple[Labels, ...]
    values: Floats
    present: Bools
    drop_name: Bools

    @property
    def steps(self) -> int:
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.labels)


class Scalar(msgspec.Struct, frozen=True):
    """One number at each step."""

    values: Floats


class Text(msgspec.Struct, frozen=True):
    value: str


class Windows(msgspec.Struct, frozen=True):
    """A range vector: at each step the samples in (ref - width, ref]. None lies outside of all windows."""

    selection: Selection  # without stale markers
    refs_ms: Ints
    width_ms: int
    drop_name: Bools
    span: Span


Value = Matrix | Scalar | Text | Windows


def empty(steps: int) -> Matrix:
    return Matrix((), np.empty((0, steps)), np.zeros((0, steps), np.bool_), np.zeros(0, np.bool_))


def blank(labels: Sequence[Labels], steps: int, drop_name: Bools | None = None) -> Matrix:
    """Zeros, none of them present, for a kernel to fill."""
    shape = (len(labels), steps)
    dropped = np.zeros(len(labels), np.bool_) if drop_name is None else drop_name
    return Matrix(tuple(labels), np.zeros(shape), np.zeros(shape, np.bool_), dropped)


def replaced(matrix: Matrix, values: Floats, *, drop_name: bool = True) -> Matrix:
    """The same series with other values, which then no longer are what their name says."""
    dropped = np.ones(len(matrix), np.bool_) if drop_name else matrix.drop_name
    return Matrix(matrix.labels, values, matrix.present, dropped)


def rows(matrix: Matrix, chosen: Ints) -> Matrix:
    labels = tuple(matrix.labels[row] for row in chosen)
    return Matrix(labels, matrix.values[chosen], matrix.present[chosen], matrix.drop_name[chosen])


def filtered(matrix: Matrix, kept: Bools) -> Matrix:
    """The samples for which `kept` holds; series without any are gone."""
    present = matrix.present & kept
    return pruned(Matrix(matrix.labels, matrix.values, present, matrix.drop_name))


def pruned(matrix: Matrix) -> Matrix:
    alive = matrix.present.any(axis=1)
    return matrix if alive.all() else rows(matrix, np.flatnonzero(alive))


def without_name(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)


def label(labels: Labels, name: str) -> str:
    for pair in labels:
        if pair[0] == name:
            return pair[1]
    return ""


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """An empty value takes the label away."""
    others = [pair for pair in labels if pair[0] != name]
    return tuple(sorted([*others, (name, value)] if value else others))


def named(matrix: Matrix) -> Matrix:
    """With the names dropped that have to go. Series that are then the same become one; raises QueryError where they
    have samples at the same time."""
    if matrix.drop_name.any():
        labels = tuple(
            without_name(labels) if drop else labels
            for labels, drop in zip(matrix.labels, matrix.drop_name.tolist(), strict=True)
        )
        matrix = Matrix(labels, matrix.values, matrix.present, np.zeros(len(matrix), np.bool_))
    return merged(matrix)


def merged(matrix: Matrix) -> Matrix:
    """Series with the same labels as one. Raises QueryError where they have samples at the same time."""
    first: dict[Labels, int] = {}
    group = np.array([first.setdefault(labels, len(first)) for labels in matrix.labels], np.int64)
    if len(first) == len(matrix):
        return matrix
    starts = np.unique(group, return_index=True)[1]
    out = blank(tuple(first), matrix.steps, matrix.drop_name[starts])
    for row, into in enumerate(group.tolist()):
        here = matrix.present[row]
        if (out.present[into] & here).any():
            raise QueryError(SAME_LABELS)
        out.values[into, here] = matrix.values[row, here]
        out.present[into] |= here
    return out


def stacked(upper: Matrix, lower: Matrix) -> Matrix:
    return Matrix(
        upper.labels + lower.labels,
        np.concatenate((upper.values, lower.values)),
        np.concatenate((upper.present, lower.present)),
        np.concatenate((upper.drop_name, lower.drop_name)),
    )


def broadcast(value: Value, steps: int) -> Value:
    """What holds at one step, at all of them."""
    match value:
        case Scalar():
            return Scalar(np.repeat(value.values, steps))
        case Matrix():
            values, present = np.repeat(value.values, steps, axis=1), np.repeat(value.present, steps, axis=1)
            return Matrix(value.labels, values, present, value.drop_name)
        case _:
            return value
