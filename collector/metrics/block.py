"""The newest look at one target: its columns, their values now and at the look before. Columnar: one array a look."""

from __future__ import annotations

from itertools import count

import numpy as np
import numpy.typing as npt

from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.model import Column, Labels

Floats = npt.NDArray[np.float64]

HOST_LABEL = "host"

_serials = count(1)


class Schema:
    """The columns of a target, and where each metric name stands among them. Shared by all targets that have it."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.positions: dict[str, list[int]] = {}
        for position, column in enumerate(columns):
            self.positions.setdefault(column.name, []).append(position)


class Block:
    """Series of one (tenant, host, source, target). NaN = the series isn't there.

    `serial` is another one whenever the set of series may have changed, and never that of another block: what was
    computed from the labels can be kept under it.
    """

    def __init__(self, host: str, target: Labels, schema: Schema, ts_ns: int, values: Floats) -> None:
        self.host = host
        self.target = target
        self.schema = schema
        self.ts_ns = ts_ns
        self.values = values
        self.previous_ts_ns = 0
        self.previous: Floats | None = None
        self.serial = next(_serials)
        self._labels: dict[int, Labels] = {}

    def update(self, schema: Schema, ts_ns: int, values: Floats) -> None:
        if schema is self.schema:
            self.previous_ts_ns, self.previous = self.ts_ns, self.values
        else:
            self.schema = schema
            self.previous_ts_ns, self.previous = 0, None
            self.serial = next(_serials)
            self._labels = {}
        self.ts_ns = ts_ns
        self.values = values

    def labels(self, position: int) -> Labels:
        """See series_labels()."""
        known = self._labels.get(position)
        if known is None:
            known = self._labels[position] = series_labels(self.host, self.target, self.schema.columns[position])
        return known

    def value(self, name: str) -> float | None:
        """Of the first column of that name."""
        values = [float(self.values[position]) for position in self.schema.positions.get(name, ())]
        return next((value for value in values if value == value), None)

    def total(self, name: str) -> float | None:
        """Sum over the columns of that name (devices, interfaces); None where none has a value."""
        return _sum(self.values, self.schema.positions.get(name))

    def rate(self, name: str) -> float | None:
        """Of a counter (its columns summed), per second between the last two looks. None: not known yet, or reset."""
        now = self.total(name)
        before = None if self.previous is None else _sum(self.previous, self.schema.positions.get(name))
        if now is None or before is None or now < before or self.ts_ns <= self.previous_ts_ns:
            return None
        return (now - before) / ((self.ts_ns - self.previous_ts_ns) / 1e9)


def series_labels(host: str, target: Labels, column: Column) -> Labels:
    """Sorted, with `__name__` and `host`. A `host` label of the target's own becomes `exported_host`, but where there
    is no host that measured it: a series that was computed keeps the label that it was computed with."""
    merged = {**dict(target), **dict(column.labels)}
    if host:
        if HOST_LABEL in merged:
            merged["exported_host"] = merged[HOST_LABEL]
        merged[HOST_LABEL] = host
    merged[NAME_LABEL] = column.name
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def _sum(values: Floats, positions: list[int] | None) -> float | None:
    if not positions:
        return None
    picked = values[positions]
    present = ~np.isnan(picked)
    return float(picked[present].sum()) if present.any() else None
