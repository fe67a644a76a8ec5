"""Classic histograms: series with a label `le`. Native ones there are none, so their own functions give nothing."""

from __future__ import annotations

import msgspec
import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.annotations import Fix
from collector.metrics.promql.ast import Call, Expr
from collector.metrics.promql.frame import Frame, text_of
from collector.metrics.promql.kernels import buckets as kernel
from collector.metrics.promql.matrix import Floats, Ints, Matrix
from collector.metrics.promql.numbers import format_open_metrics, parse_float
from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Labels

BUCKET_LABEL = "le"


class _Buckets(msgspec.Struct, frozen=True):
    """Histogram g has the series rows[bounds[g]:bounds[g + 1]] of `of`, by their upper bounds `uppers`."""

    of: Matrix
    labels: tuple[Labels, ...]
    rows: Ints
    bounds: Ints
    uppers: Floats
    arg: Expr

    def blank(self) -> Matrix:
        return mx.blank(self.labels, self.of.steps, np.ones(len(self.labels), np.bool_))


def _buckets(arg: Expr, frame: Frame) -> _Buckets:
    of = frame.matrix(arg)
    numbers: dict[Labels, int] = {}
    found: list[tuple[int, float, int]] = []
    for row, labels in enumerate(of.labels):
        text = mx.label(labels, BUCKET_LABEL)
        upper = parse_float(text)
        if upper is None:
            frame.run.annotations.bad_bucket_label(mx.label(labels, NAME_LABEL), text, arg.span)
            continue
        rest = tuple([pair for pair in labels if pair[0] != BUCKET_LABEL])
        found.append((numbers.setdefault(rest, len(numbers)), upper, row))
    found.sort()
    groups = np.array([group for group, _, _ in found], np.int64)
    bounds = np.searchsorted(groups, np.arange(len(numbers) + 1))
    rows = np.array([row for _, _, row in found], np.int64)
    return _Buckets(of, tuple(numbers), rows, bounds, np.array([upper for _, upper, _ in found], np.float64), arg)


def _validated(arg: Expr, frame: Frame) -> Floats:
    """A quantile at each step; what isn't one is warned of, whether there are histograms or not."""
    q = np.ascontiguousarray(frame.scalar(arg))
    for bad in np.unique(q[~((q >= 0) & (q <= 1))]):
        frame.run.annotations.invalid_quantile(float(bad), arg.span)
    return q


def quantile(call: Call, frame: Frame) -> Matrix:
    q = _validated(call.args[0], frame)
    found = _buckets(call.args[1], frame)
    return mx.pruned(_quantile(found, q, frame))


def quantiles(call: Call, frame: Frame) -> Matrix:
    """Several at once; each gets its value as a label."""
    wanted = [_validated(arg, frame) for arg in call.args[2:]]
    found = _buckets(call.args[0], frame)
    name = text_of(call.args[1])
    result = mx.empty(frame.steps)
    for q in wanted:
        of = _quantile(found, q, frame)
        for value in np.unique(q):
            here = np.isnan(q) if np.isnan(value) else q == value
            text = format_open_metrics(float(value))
            labels = tuple(mx.with_label(labels, name, text) for labels in of.labels)
            part = Matrix(labels, of.values, of.present & here, of.drop_name)
            result = mx.stacked(result, part)
    return mx.merged(mx.pruned(result))


def _quantile(found: _Buckets, q: Floats, frame: Frame) -> Matrix:
    out = found.blank()
    fixes = np.zeros((len(found.labels), 6))
    kernel.quantiles(
        found.of.values, found.of.present, found.rows, found.bounds, found.uppers, q, out.values, out.present, fixes
    )
    for fix in _fixes(found.labels, fixes, frame).values():
        frame.run.annotations.forced_monotonicity(fix, found.arg.span)
    return out


def _fixes(labels: tuple[Labels, ...], fixes: Floats, frame: Frame) -> dict[str, Fix]:
    """By metric, from the kernel's notes by histogram."""
    found: dict[str, Fix] = {}
    for group in np.flatnonzero(fixes[:, 0]).tolist():
        samples, first, last, lowest, highest, largest = fixes[group].tolist()
        name = mx.label(labels[group], NAME_LABEL)
        first_ms, last_ms = int(frame.times_ms[int(first)]), int(frame.times_ms[int(last)])
        fix = Fix(name, int(samples), first_ms, last_ms, lowest, highest, largest)
        found[name] = found[name].joined(fix) if name in found else fix
    return found


def fraction(call: Call, frame: Frame) -> Matrix:
    """The share of observations between two bounds."""
    lower, upper = (np.ascontiguousarray(frame.scalar(arg)) for arg in call.args[:2])
    found = _buckets(call.args[2], frame)
    out = found.blank()
    kernel.fractions(
        found.of.values,
        found.of.present,
        found.rows,
        found.bounds,
        found.uppers,
        lower,
        upper,
        out.values,
        out.present,
    )
    return mx.pruned(out)


def native_only(call: Call, frame: Frame) -> Matrix:
    """histogram_count and its like take no notice of anything but native histograms."""
    frame.matrix(call.args[0])
    return mx.empty(frame.steps)
