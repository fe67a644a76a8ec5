"""Aggregations: groups of series become one (sum, quantile ...), or some of them are chosen (topk ...)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from collector.metrics.promql import choosing
from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Aggregate, Expr
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.frame import Frame, text_of
from collector.metrics.promql.kernels import groups as kernel
from collector.metrics.promql.kernels import quantiles
from collector.metrics.promql.matrix import Bools, Floats, Ints, Matrix
from collector.metrics.promql.numbers import format_plain
from collector.metrics.promql.quoting import is_label, quote
from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Labels


class Groups(msgspec.Struct, frozen=True):
    """Group g has the labels `labels[g]`; series i is in group `of[i]`."""

    labels: tuple[Labels, ...]
    of: Ints
    drop_name: Bools

    def blank(self, steps: int) -> Matrix:
        return mx.blank(self.labels, steps, self.drop_name)

    def rows(self) -> tuple[Ints, Ints]:
        """The series in the order of their groups, and where each group begins among them."""
        order = np.argsort(self.of, kind="stable")
        return order, np.searchsorted(self.of[order], np.arange(len(self.labels) + 1))


def grouped(expr: Aggregate, of: Matrix) -> Groups:
    key = _without(expr.labels) if expr.without else _by(expr.labels)
    numbers: dict[Labels, int] = {}
    group_of = np.empty(len(of), np.int64)
    for row, labels in enumerate(of.labels):
        group_of[row] = numbers.setdefault(key(labels), len(numbers))
    drop = np.zeros(len(numbers), np.bool_)
    if NAME_LABEL in expr.labels and not expr.without:
        np.logical_or.at(drop, group_of, of.drop_name)
    return Groups(tuple(numbers), group_of, drop)


def _by(names: tuple[str, ...]) -> Callable[[Labels], Labels]:
    wanted = frozenset(names)
    if not wanted:
        return lambda labels: ()
    return lambda labels: tuple([pair for pair in labels if pair[0] in wanted])


def _without(names: tuple[str, ...]) -> Callable[[Labels], Labels]:
    unwanted = frozenset((*names, NAME_LABEL))
    return lambda labels: tuple([pair for pair in labels if pair[0] not in unwanted])


def aggregate(expr: Aggregate, frame: Frame) -> Matrix:
    if expr.op == "count_values":
        return _count_values(expr, frame)
    if expr.op in choosing.CHOOSERS:
        return _choose(expr, frame)
    if expr.op == "quantile":
        return _quantile(expr, frame)
    of = frame.matrix(expr.expr)
    found = grouped(expr, of)
    out = found.blank(of.steps)
    KERNELS[expr.op](of, found.of, out)
    return mx.pruned(out)


def _count(of: Matrix, group_of: Ints, out: Matrix) -> None:
    kernel.count(of.present, group_of, out.values)
    np.greater(out.values, 0, out=out.present)


def _group(of: Matrix, group_of: Ints, out: Matrix) -> None:
    _count(of, group_of, out)
    out.values.fill(1.0)


KERNELS: dict[str, Callable[[Matrix, Ints, Matrix], None]] = {
    "sum": lambda of, group_of, out: kernel.total(of.values, of.present, group_of, out.values, out.present),
    "avg": lambda of, group_of, out: kernel.mean(of.values, of.present, group_of, out.values, out.present),
    "min": lambda of, group_of, out: kernel.extreme(of.values, of.present, group_of, False, out.values, out.present),
    "max": lambda of, group_of, out: kernel.extreme(of.values, of.present, group_of, True, out.values, out.present),
    "stdvar": lambda of, group_of, out: kernel.variance(
        of.values, of.present, group_of, False, out.values, out.present
    ),
    "stddev": lambda of, group_of, out: kernel.variance(of.values, of.present, group_of, True, out.values, out.present),
    "count": _count,
    "group": _group,
}


def _param(expr: Aggregate) -> Expr:
    assert expr.param is not None  # noqa: S101 - the parser gave it one
    return expr.param


def _quantile(expr: Aggregate, frame: Frame) -> Matrix:
    param = _param(expr)
    q = frame.scalar(param)
    for bad in np.unique(q[~((q >= 0) & (q <= 1))]):
        frame.run.annotations.invalid_quantile(float(bad), param.span)
    of = frame.matrix(expr.expr)
    found = grouped(expr, of)
    out = found.blank(of.steps)
    order, bounds = found.rows()
    quantiles.across(of.values, of.present, order, bounds, q, out.values, out.present)
    return mx.pruned(out)


def _choose(expr: Aggregate, frame: Frame) -> Matrix:
    """The series stay as they are; in an instant query the largest (smallest) come first in each group."""
    asked = _param(expr)
    param = choosing.checked(expr.op, frame.scalar(asked), asked.span, frame.run.annotations)
    of = frame.matrix(expr.expr)
    found = grouped(expr, of)
    order, bounds = found.rows()
    kept = np.zeros(of.present.shape, np.bool_)
    ranked = choosing.choose(expr.op, of, order, bounds, param, kept)
    if not frame.run.in_range and of.steps == 1:
        return mx.filtered(mx.rows(of, ranked), kept[ranked])
    return mx.filtered(of, kept)


def _count_values(expr: Aggregate, frame: Frame) -> Matrix:
    """How many series have each value; the value becomes a label."""
    name = text_of(_param(expr))
    if not is_label(name):
        raise QueryError(f"invalid label name {quote(name)}")
    of = frame.matrix(expr.expr)
    found = grouped(expr, of)
    counts: dict[Labels, Floats] = {}
    for row, group in enumerate(found.of.tolist()):
        here = of.values[row][of.present[row]]
        for value in np.unique(here):
            labels = mx.with_label(found.labels[group], name, format_plain(float(value)))
            same = np.isnan(of.values[row]) if np.isnan(value) else of.values[row] == value
            counts[labels] = counts.get(labels, np.zeros(of.steps)) + (same & of.present[row])
    values = np.array(list(counts.values())).reshape(len(counts), of.steps)
    return Matrix(tuple(counts), values, values > 0, np.zeros(len(counts), np.bool_))
