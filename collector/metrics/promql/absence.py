"""absent() and absent_over_time(): a series where there is none, with the labels that its matchers fix."""

from __future__ import annotations

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql import over_time
from collector.metrics.promql.ast import Call, Expr, MatrixSelector, VectorSelector, unwrapped
from collector.metrics.promql.frame import Frame
from collector.metrics.promql.matrix import Matrix
from collector.metrics.selector import NAME_LABEL, MatchOp
from deckwatch.wire.model import Labels


def absent(call: Call, frame: Frame) -> Matrix:
    of = over_time.absent(call, frame) if call.function == "absent_over_time" else frame.matrix(call.args[0])
    missing = ~of.present.any(axis=0)
    shape = (1, frame.steps)
    return mx.pruned(
        Matrix((fixed_labels(call.args[0]),), np.ones(shape), missing.reshape(shape), np.zeros(1, np.bool_))
    )


def fixed_labels(expr: Expr) -> Labels:
    """Labels that exactly one `=` of a selector asks for, and no other matcher."""
    selector = unwrapped(expr)
    if isinstance(selector, MatrixSelector):
        selector = selector.vector
    if not isinstance(selector, VectorSelector):
        return ()
    fixed: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.label == NAME_LABEL:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.label not in seen:
            fixed[matcher.label] = matcher.value
            seen.add(matcher.label)
        else:
            fixed.pop(matcher.label, None)
    return tuple(sorted(pair for pair in fixed.items() if pair[1]))
