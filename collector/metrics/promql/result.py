"""What a query gives."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from collector.metrics.promql.ast import ValueType
from collector.metrics.promql.matrix import Bools, Floats, Ints, Matrix, Scalar, Text, Windows, without_name
from collector.metrics.promql.source import Selection
from deckwatch.wire.model import Labels


class Points(msgspec.Struct, frozen=True):
    """One series: times in ms and the values then."""

    labels: Labels
    times_ms: Ints
    values: Floats


class Result(msgspec.Struct, frozen=True):
    """`kind` is what the expression gives at one moment. At several steps a scalar or vector is a matrix:
    `values` and `present` are (series, steps), NaN being a value; of a scalar, one series without labels.

    Series are sorted by their labels, except in an instant query, where sort() and topk() have their say. `samples`
    holds those of a range vector (instant queries only), `text` a string's.
    """

    kind: ValueType
    times_ms: Ints
    labels: tuple[Labels, ...]
    values: Floats
    present: Bools
    samples: Selection | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    unknown: tuple[Labels, ...] = ()
    """Series that would have been read if their agents weren't silent, as the source names them. See `is_unsure_of`."""

    def __len__(self) -> int:
        return len(self.labels)

    def is_unsure_of(self, labels: Labels) -> bool:
        """Could a series of a silent agent have brought forth the one with these labels, or changed it? True as soon as
        one of them agrees in all labels that both have, their names aside: whoever decides something because a series
        is not there (that an alert is over) leaves it as it was. An aggregation keeps some labels and loses the others,
        so this is right for it too; it errs on the side of doubt."""
        asked = dict(without_name(labels))
        return any(
            all(asked.get(name, value) == value for name, value in without_name(unknown)) for unknown in self.unknown
        )

    def series(self) -> Iterator[Points]:
        """Each series with what it has."""
        if self.samples is not None:
            bounds = self.samples.offsets.tolist()
            for labels, low, high in zip(self.labels, bounds[:-1], bounds[1:], strict=True):
                yield Points(labels, self.samples.times_ms[low:high], self.samples.values[low:high])
            return
        for row, labels in enumerate(self.labels):
            here = self.present[row]
            yield Points(labels, self.times_ms[here], self.values[row, here])

    def first(self, count: int) -> Result:
        """That many series of it."""
        samples = self.samples
        if samples is not None:
            offsets = samples.offsets[: count + 1]
            end = int(offsets[-1])
            samples = Selection(samples.labels[:count], offsets, samples.times_ms[:end], samples.values[:end])
        return msgspec.structs.replace(
            self, labels=self.labels[:count], values=self.values[:count], present=self.present[:count], samples=samples
        )

    def with_notes(self, warnings: tuple[str, ...], infos: tuple[str, ...], unknown: tuple[Labels, ...]) -> Result:
        return msgspec.structs.replace(self, warnings=warnings, infos=infos, unknown=unknown)


def of_text(value: Text, times_ms: Ints) -> Result:
    return Result(ValueType.STRING, times_ms, (), np.empty((0, 1)), np.zeros((0, 1), np.bool_), text=value.value)


def of_scalar(value: Scalar, times_ms: Ints) -> Result:
    row = value.values.reshape(1, -1)
    return Result(ValueType.SCALAR, times_ms, ((),), row, np.ones(row.shape, np.bool_))


def of_matrix(value: Matrix, times_ms: Ints, *, ordered: bool) -> Result:
    """`ordered`: the order means something."""
    order = range(len(value)) if ordered else sorted(range(len(value)), key=value.labels.__getitem__)
    rows = np.fromiter(order, np.int64, len(value))
    labels = tuple(value.labels[row] for row in order)
    return Result(ValueType.VECTOR, times_ms, labels, value.values[rows], value.present[rows])


def of_windows(value: Windows, times_ms: Ints) -> Result:
    """The samples of the one window there is, series without any left out."""
    found = value.selection
    counts = np.diff(found.offsets)
    alive = np.flatnonzero(counts)
    labels = tuple(_named(found.labels[row], bool(value.drop_name[row])) for row in alive.tolist())
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts[alive])))
    kept = Selection(labels, offsets, found.times_ms, found.values)
    nothing = np.empty((len(labels), 0))
    return Result(ValueType.MATRIX, times_ms, labels, nothing, nothing.astype(np.bool_), samples=kept)


def _named(labels: Labels, drop: bool) -> Labels:
    return without_name(labels) if drop else labels
