"""and, or, unless: which series stay, at each step by what the other side has there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Op
from collector.metrics.promql.matrix import Bools, Matrix
from deckwatch.wire.model import Labels


def combined(op: Op, left: Matrix, right: Matrix, key: Callable[[Labels], Labels]) -> Matrix:
    match op:
        case Op.AND:
            return mx.filtered(left, _present_in(right, left, key))
        case Op.UNLESS:
            return mx.filtered(left, ~_present_in(right, left, key))
        case _:
            added = mx.filtered(right, ~_present_in(left, right, key))
            return mx.merged(mx.stacked(left, added))


def _present_in(others: Matrix, of: Matrix, key: Callable[[Labels], Labels]) -> Bools:
    """For each series of `of`, at which steps `others` has one that belongs to it."""
    numbers: dict[Labels, int] = {}
    group = np.array([numbers.setdefault(key(labels), len(numbers)) for labels in others.labels], np.int64)
    there = np.zeros((len(numbers) + 1, of.steps), np.bool_)  # the last row: nothing belongs to it
    np.logical_or.at(there, group, others.present)
    rows = np.array([numbers.get(key(labels), len(numbers)) for labels in of.labels], np.int64)
    return there[rows]
