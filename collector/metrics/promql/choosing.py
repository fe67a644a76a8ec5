"""topk, bottomk, limitk, limit_ratio: which series of a group stay, at each step anew."""

from __future__ import annotations

import hashlib

import numpy as np

from collector.metrics.promql.annotations import Annotations
from collector.metrics.promql.ast import Span
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.kernels import ranking
from collector.metrics.promql.matrix import Bools, Floats, Ints, Matrix
from collector.metrics.promql.ordering import by_value
from deckwatch.wire.model import Labels

CHOOSERS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})


def checked(op: str, param: Floats, span: Span, annotations: Annotations) -> Floats:
    """The parameter at each step, within its limits. Raises QueryError where it is no number."""
    if np.isnan(param).any():
        raise QueryError(f"{'Ratio' if op == 'limit_ratio' else 'Parameter'} value is NaN")
    if op != "limit_ratio":
        beyond = param[np.abs(param) >= 2**63]
        if len(beyond):
            raise QueryError(f"Scalar value {beyond[0]:g} overflows int64")
        return np.trunc(param)
    capped = np.clip(param, -1, 1)
    for ratio in np.unique(param[param != capped]):
        annotations.invalid_ratio(float(ratio), float(np.clip(ratio, -1, 1)), span)
    return capped


def choose(op: str, of: Matrix, order: Ints, bounds: Ints, param: Floats, kept: Bools) -> Ints:
    """Fill `kept`. Group g has the series order[bounds[g]:bounds[g + 1]]. Returns all series in the order in which an
    instant query shows them."""
    if op == "limit_ratio":
        kept[:] = _sampled(of.labels, param)
        return order
    size = np.clip(param, 0, len(order)).astype(np.int64)
    if op == "limitk":
        ranking.first(of.present, order, bounds, size, kept)
        return order
    ranking.best(of.values, of.present, order, bounds, size, op == "topk", kept)
    groups = [order[low:high] for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
    ranked = [rows[by_value(of.values[rows, -1], descending=op == "topk")] for rows in groups if of.steps]
    return np.concatenate([np.empty(0, np.int64), *ranked])


def _sampled(labels: tuple[Labels, ...], ratio: Floats) -> Bools:
    """A share of the series by a hash of their labels, the same ones each time; -0.1 takes those that 0.9 leaves."""
    places = np.array([_place(one) for one in labels]).reshape(-1, 1)
    return np.where(ratio >= 0, places < ratio, places >= 1 + ratio)


def _place(labels: Labels) -> float:
    """In [0, 1). Prometheus hashes otherwise, so it takes other series."""
    text = "\xff".join(part for pair in labels for part in pair)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
