"""label_replace and label_join: other labels, the same values."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Call
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.frame import Frame, text_of, utf8_of
from collector.metrics.promql.matching import anchored, full_matches
from collector.metrics.promql.matrix import Matrix
from collector.metrics.promql.quoting import is_label, quote
from collector.metrics.selector import NAME_LABEL, check_regex
from deckwatch.runtime.faults import Reject


def label_replace(call: Call, frame: Frame) -> Matrix:
    """`$1` and `${name}` in the replacement stand for what the groups matched; no match, no change."""
    target, source = text_of(call.args[1]), text_of(call.args[3])
    replacement, pattern = utf8_of(call.args[2]), utf8_of(call.args[4])
    try:
        check_regex(pattern)
    except Reject as error:
        raise QueryError(f"invalid regular expression in label_replace(): {error}") from None
    if not is_label(target):
        raise QueryError(f"invalid destination label name in label_replace(): {quote(target)}")
    of = frame.matrix(call.args[0])
    written = _replacements(of, source, pattern, replacement)
    labels = [
        labels if (value := written[mx.label(labels, source)]) is None else mx.with_label(labels, target, value)
        for labels in of.labels
    ]
    matched = np.array([written[mx.label(labels, source)] is not None for labels in of.labels], np.bool_)
    return _relabelled(of, labels, target, matched)


def _replacements(of: Matrix, source: str, pattern: str, replacement: str) -> dict[str, str | None]:
    """For each value of the source label what it becomes; None: the pattern doesn't match."""
    values = pl.Series(sorted({mx.label(labels, source) for labels in of.labels}), dtype=pl.String)
    matched = full_matches(pattern, values.to_list())
    replaced = values.str.replace(anchored(pattern), replacement)
    return {
        value: text if ok else None
        for value, text, ok in zip(values.to_list(), replaced.to_list(), matched.to_list(), strict=True)
    }


def label_join(call: Call, frame: Frame) -> Matrix:
    target, separator = text_of(call.args[1]), utf8_of(call.args[2])
    sources = list(map(text_of, call.args[3:]))
    for name in sources:
        if not is_label(name):
            raise QueryError(f"invalid source label name in label_join(): {quote(name)}")
    if not is_label(target):
        raise QueryError(f"invalid destination label name in label_join(): {quote(target)}")
    of = frame.matrix(call.args[0])
    labels = [
        mx.with_label(labels, target, separator.join(mx.label(labels, name) for name in sources))
        for labels in of.labels
    ]
    return _relabelled(of, labels, target, np.ones(len(of), np.bool_))


def _relabelled(of: Matrix, labels: list[tuple[tuple[str, str], ...]], target: str, changed: np.ndarray) -> Matrix:
    """A name that was written on purpose stays."""
    drop_name = of.drop_name & ~changed if target == NAME_LABEL else of.drop_name
    return mx.merged(msgspec.structs.replace(of, labels=tuple(labels), drop_name=drop_name))
