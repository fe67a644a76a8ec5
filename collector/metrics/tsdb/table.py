"""Label sets in columns: for each label name an array with the code of each series' value. A matcher is asked once for
each distinct value, never for each series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

import msgspec
import numpy as np
import numpy.typing as npt

from collector.metrics.promql.matching import matching_values
from collector.metrics.selector import NAME_LABEL, Matcher
from deckwatch.wire.model import Labels

Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]

_FIRST_ROOM = 256
_serials = count(1)


class _Column:
    """One label name: code 0 is the empty value, which is that of a series without the label."""

    def __init__(self, room: int) -> None:
        self.values: list[str] = [""]
        self.codes: Codes = np.zeros(room, np.int32)
        self._code_of: dict[str, int] = {"": 0}

    @classmethod
    def stored(cls, values: list[str], codes: Codes) -> _Column:
        column = cls(0)
        column.values, column.codes = values, codes
        return column

    def put(self, place: int, value: str) -> None:
        code = self._code_of.get(value)
        if code is None:
            code = self._code_of[value] = len(self.values)
            self.values.append(value)
        self.codes[place] = code

    def resize(self, room: int) -> None:
        grown = np.zeros(room, np.int32)
        grown[: len(self.codes)] = self.codes
        self.codes = grown


class StoredColumn(msgspec.Struct, frozen=True, array_like=True):
    name: str
    values: list[str]
    codes: bytes  # int32, little endian


class SeriesTable:
    """Numbers label sets from 0 in the order in which they come. One thread adds; others may read meanwhile."""

    def __init__(self) -> None:
        self.serial = next(_serials)  # never that of another table
        self._columns: dict[str, _Column] = {}
        self._room = _FIRST_ROOM
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, labels: Labels) -> int:
        """The caller sees to it that no label set comes twice."""
        place = self._count
        if place >= self._room:
            self._room *= 2
            for column in self._columns.values():
                column.resize(self._room)
        for name, value in labels:
            if name not in self._columns:
                self._columns[name] = _Column(self._room)
            self._columns[name].put(place, value)
        self._count = place + 1
        return place

    def match(self, matchers: Iterable[Matcher], since: int = 0, until: int | None = None) -> Places:
        """Places of the series in [since, until) that all matchers take, in ascending order."""
        series = self._count if until is None else until
        taken = np.ones(series - since, np.bool_)
        for matcher in matchers:
            column = self._columns.get(matcher.label)
            if column is None:
                if not matcher.matches(""):
                    return np.empty(0, np.int64)
                continue
            values = column.values[:]
            wanted = np.array(matching_values(matcher, values), np.bool_)
            taken &= wanted[np.minimum(column.codes[since:series], len(values) - 1)]
            if not taken.any():
                break
        return np.nonzero(taken)[0] + since

    def labels(self, places: Iterable[int]) -> list[Labels]:
        """Sorted by name."""
        columns = sorted(self._columns.items())
        picked = np.fromiter(places, np.int64)
        rows: list[list[tuple[str, str]]] = [[] for _ in picked]
        for name, column in columns:
            for row, code in zip(rows, column.codes[picked].tolist(), strict=True):
                if code:
                    row.append((name, column.values[code]))
        return [tuple(row) for row in rows]

    def names(self, places: Places | None = None) -> list[str]:
        """Label names that some series has."""
        if places is None:
            return sorted(name for name, column in list(self._columns.items()) if len(column.values) > 1)
        return sorted(name for name, column in list(self._columns.items()) if column.codes[places].any())

    def values(self, name: str, places: Places | None = None) -> list[str]:
        """Values of a label that some series has."""
        column = self._columns.get(name)
        if column is None:
            return []
        codes = column.codes[: self._count] if places is None else column.codes[places]
        return sorted(column.values[code] for code in np.unique(codes).tolist() if code)

    def counts(self, name: str) -> dict[str, int]:
        """How many series have each value of a label."""
        column = self._columns.get(name)
        if column is None:
            return {}
        codes = np.bincount(column.codes[: self._count], minlength=len(column.values)).tolist()
        return {value: count for value, count in zip(column.values, codes, strict=False) if value and count}

    def distinct(self) -> dict[str, int]:
        """How many values each label has."""
        return {name: len(column.values) - 1 for name, column in list(self._columns.items()) if len(column.values) > 1}

    def order(self) -> Places:
        """By metric name, then by the other labels: what is asked for together lies together."""
        series = self._count
        keys = sorted(self._columns, key=lambda name: (name != NAME_LABEL, name))
        ranks = [_ranked(self._columns[name], series) for name in reversed(keys)]  # lexsort: the last key counts most
        return np.lexsort(ranks) if ranks else np.arange(series)

    def stored(self, places: Places) -> list[StoredColumn]:
        """These series alone, in this order; values that none of them has are left out."""
        columns = []
        for name, column in sorted(self._columns.items()):
            codes = column.codes[places]
            used = np.unique(np.append(codes, np.int32(0)))
            if len(used) > 1:
                again = np.searchsorted(used, codes).astype("<i4")
                columns.append(StoredColumn(name, [column.values[code] for code in used.tolist()], again.tobytes()))
        return columns

    @classmethod
    def load(cls, series: int, columns: Sequence[StoredColumn]) -> SeriesTable:
        """Read only."""
        table = cls()
        table._count = table._room = series
        for column in columns:
            codes = np.frombuffer(column.codes, "<i4")
            table._columns[column.name] = _Column.stored(column.values, codes)
        return table


def _ranked(column: _Column, series: int) -> Codes:
    values = column.values[:]
    rank = np.empty(len(values), np.int32)
    rank[sorted(range(len(values)), key=values.__getitem__)] = np.arange(len(values))
    ranked: Codes = rank[column.codes[:series]]
    return ranked
