"""sort, sort_desc, sort_by_label, sort_by_label_desc. Only instant queries have an order; elsewhere they warn."""

from __future__ import annotations

import re
from functools import cmp_to_key

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Call
from collector.metrics.promql.frame import Frame, text_of
from collector.metrics.promql.matrix import Floats, Ints, Matrix
from deckwatch.wire.model import Labels

_CHUNK = re.compile(r"[0-9]+|[^0-9]+")


def sort(call: Call, frame: Frame) -> Matrix:
    of = frame.matrix(call.args[0])
    if frame.run.in_range:
        frame.run.annotations.sort_in_range_query(call.span)
        return of
    if call.function in ("sort", "sort_desc"):
        return mx.rows(of, by_value(of.values[:, -1], descending=call.function == "sort_desc"))
    return mx.rows(of, _by_labels(of.labels, list(map(text_of, call.args[1:])), call.function.endswith("_desc")))


def by_value(values: Floats, *, descending: bool) -> Ints:
    """The order of the rows; NaN last either way (numpy sorts it so), equal ones as they were."""
    return np.argsort(-values if descending else values, kind="stable")


def _by_labels(labels: tuple[Labels, ...], names: list[str], descending: bool) -> Ints:
    def compare(first: int, second: int) -> int:
        for name in names:
            order = natural_order(mx.label(labels[first], name), mx.label(labels[second], name))
            if order:
                return order
        return (labels[first] > labels[second]) - (labels[first] < labels[second])

    order = sorted(range(len(labels)), key=cmp_to_key(compare), reverse=descending)
    return np.array(order, np.int64)


def natural_order(first: str, second: str) -> int:
    """Runs of digits compare as numbers: `4m5` comes before `4m600`. -1, 0 or 1."""
    ours, theirs = _CHUNK.findall(first), _CHUNK.findall(second)
    for one, other in zip(ours, theirs, strict=False):
        if one == other:
            continue
        if one[0].isdigit() and other[0].isdigit() and int(one) != int(other):
            return -1 if int(one) < int(other) else 1
        if not (one[0].isdigit() and other[0].isdigit()):
            return -1 if one < other else 1
    return (len(ours) > len(theirs)) - (len(ours) < len(theirs))
