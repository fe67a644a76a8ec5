"""The series of one target, and their values in one answer.

A series' text (all that stands before the value) is looked up: names and labels are read and relabelled once in its
life, as Prometheus' scrape cache does. Columns keep their places, in blocks that share a schema, so that a new series
changes the last block only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import msgspec

from agent.scrape.describing import Descriptions
from agent.scrape.exposition import end_of_openmetrics, read_line, read_series, read_value, shown
from agent.series_frame import BLOCK_COLUMNS
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.relabel import Rule, relabel
from deckwatch.wire.model import MEASURED_NAN_BITS, Column

ABSENT = float("nan")
"""Stands for a series that an answer lacks; this very object: a NaN that was scraped is another one."""
MEASURED_NAN: float = struct.unpack("<d", struct.pack("<Q", MEASURED_NAN_BITS))[0]
_DROPPED = -1
_LEAST_DEAD = 256
"""Columns of vanished series that are kept in any case; beyond it they are cleared when they outnumber the living."""


class LimitReached(Reject):
    """The answer holds more than its job or this agent allows."""


class SeriesRules(msgspec.Struct, frozen=True):
    """What becomes of a series' labels; 0 = no limit."""

    relabelling: tuple[Rule, ...] = ()
    honor_labels: bool = False
    sample_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0


class Count(msgspec.Struct, frozen=True):
    """Of one answer."""

    scraped: int = 0
    kept: int = 0  # after metric relabelling
    added: int = 0  # that the answer before did not have
    duplicates: int = 0  # a series that came again; its first value counts


class SeriesTable:
    """One answer is read at a time. `room` says how many series more may be kept in this process."""

    def __init__(self, target: Mapping[str, str], soft: Mapping[str, str], rules: SeriesRules) -> None:
        """`soft`: labels of the target that give way to a series' own of that name."""
        self._strict = dict(target)
        self._target = {**soft, **target}
        self._rules = rules
        self._places: dict[str, int] = {}
        self._by_column: dict[Column, int] = {}
        self._columns: list[Column] = []
        self._blocks: list[tuple[Column, ...]] = []
        self._values: list[float] = []
        self.descriptions = Descriptions()
        self._crowded = False  # with series that are gone

    def __len__(self) -> int:
        return len(self._columns)

    def read(self, body: bytes, *, openmetrics: bool, room: Callable[[int], bool]) -> Count:
        """Raises Reject: nothing of this answer counts then."""
        before, self._values = self._values, []
        try:
            comments: list[str] = []
            count = self._read(_text(body, openmetrics=openmetrics), before, room, comments)
            self.descriptions.take(comments, openmetrics=openmetrics)
        except Reject as fault:
            self._values = [ABSENT] * len(self._columns)
            self._crowded = isinstance(fault, LimitReached)
            raise
        return count

    def columns(self) -> list[tuple[Column, ...]]:
        """In blocks; a block that is full is the same object for ever."""
        full = len(self._columns) // BLOCK_COLUMNS
        while len(self._blocks) < full:
            at = len(self._blocks) * BLOCK_COLUMNS
            self._blocks.append(tuple(self._columns[at : at + BLOCK_COLUMNS]))
        rest = tuple(self._columns[full * BLOCK_COLUMNS :])
        return [*self._blocks, rest] if rest else list(self._blocks)

    def values(self) -> list[list[float]]:
        """Of the last answer, in the blocks of `columns`; NaN: not in it, but for MEASURED_NAN_BITS."""
        return [self._values[at : at + BLOCK_COLUMNS] for at in range(0, len(self._values), BLOCK_COLUMNS)]

    def clear(self) -> None:
        self._places.clear()
        self._by_column.clear()
        self._columns.clear()
        self._blocks.clear()
        self._values = []

    def _read(self, text: str, before: list[float], room: Callable[[int], bool], comments: list[str]) -> Count:
        values = self._values = [ABSENT] * len(self._columns)
        places, scraped, kept, duplicates = self._places, 0, 0, 0
        for number, line in enumerate(text.split("\n"), 1):
            if not line or (line[0] in " \t\r" and not line.strip()):
                continue
            if line[0] == "#":
                comments.append(line)
                continue
            scraped += 1
            series, _, number_text = line.rpartition(" ")
            place = places.get(series)
            try:
                if place is None:
                    place, value = self._read_in_full(line, series, number_text, room)
                else:
                    value = read_value(number_text)
            except Reject as error:
                raise type(error)(f"line {number}: {error}") from None
            if place == _DROPPED:
                continue
            kept += 1
            if values[place] is not ABSENT:
                duplicates += 1
            else:
                values[place] = value if value == value else MEASURED_NAN
        if self._rules.sample_limit and kept > self._rules.sample_limit:
            raise LimitReached(f"{kept} samples are more than sample_limit {self._rules.sample_limit}")
        added = _added(before, values)
        self._forget_dead(kept)
        return Count(scraped, kept, added, duplicates)

    def _read_in_full(self, line: str, series: str, number_text: str, room: Callable[[int], bool]) -> tuple[int, float]:
        if number_text.isdecimal():  # perhaps a known series with a time behind its value
            timed, _, value_text = series.rpartition(" ")
            if (place := self._places.get(timed)) is not None:
                return place, read_value(value_text)
        read = read_line(line.rstrip("\r"))
        return self._place(read.series, room), read.value

    def _place(self, series: str, room: Callable[[int], bool]) -> int:
        place = self._places.get(series)
        if place is not None:
            return place
        column = self._column(series)
        place = _DROPPED if column is None else self._by_column.get(column)
        if place is None and column is not None:
            if not room(len(self._columns) + 1):
                raise LimitReached(
                    "agent.scrape.max_series is reached; raise it, or drop series by metric_relabel_configs"
                )
            place = self._by_column[column] = len(self._columns)
            self._columns.append(column)
            self._values.append(ABSENT)
        self._places[series] = _DROPPED if place is None else place
        return self._places[series]

    def _column(self, series: str) -> Column | None:
        """None: metric relabelling drops it."""
        name, own = read_series(series)
        labels = {**merge_labels(own, self._strict, self._target, honor=self._rules.honor_labels), "__name__": name}
        if self._rules.relabelling:
            relabelled = relabel(labels, self._rules.relabelling)
            if relabelled is None:
                return None
            labels = relabelled
        name = labels.pop("__name__", "")
        if not name:
            raise Reject(f"{shown(series)} has no name after metric relabelling")
        self._check(name, labels)
        return Column(name, self._difference(labels))

    def _difference(self, labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """What a column says beside its target's labels; an empty value takes one of them away."""
        own = {name: value for name, value in labels.items() if self._target.get(name) != value}
        own |= {name: "" for name in self._target if name not in labels}
        return tuple(sorted(own.items()))

    def _check(self, name: str, labels: Mapping[str, str]) -> None:
        rules = self._rules
        if rules.label_limit and len(labels) + 1 > rules.label_limit:
            raise LimitReached(f"{name} has {len(labels) + 1} labels, more than label_limit {rules.label_limit}")
        for label, value in labels.items():
            if 0 < rules.label_name_length_limit < len(label.encode()):
                raise LimitReached(f"{name}: label name {shown(label)} is longer than label_name_length_limit")
            if 0 < rules.label_value_length_limit < len(value.encode()):
                raise LimitReached(f"{name}: the value of label {label} is longer than label_value_length_limit")

    def _forget_dead(self, kept: int) -> None:
        """All texts are read anew with the next answer; a target that names its series anew each time doesn't grow."""
        living = max(kept, _LEAST_DEAD)
        if len(self._columns) > 2 * living or len(self._places) > 4 * living + len(self._columns):
            self._crowded = True

    def names(self) -> frozenset[str]:
        """Of the metrics that have a series."""
        return frozenset(column.name for column in self._columns)

    def tidy(self) -> None:
        """Called when the values have been handed on."""
        if self._crowded:
            self.clear()
            self._crowded = False


def merge_labels(
    own: Mapping[str, str], strict: Mapping[str, str], target: Mapping[str, str], *, honor: bool
) -> dict[str, str]:
    """A series' labels with its target's. `strict` are those of `target` that don't give way to its own: without
    `honor` its own goes on as exported_<name> (Prometheus: scrape/scrape.go, mutateSampleLabels). Empty labels of a
    series are as good as none, but for taking the target's away with `honor`."""
    merged = {**target, **own}
    if not honor:
        for name in [name for name in own if name in strict]:
            merged[name] = strict[name]
            exported = "exported_" + name
            while exported in own or exported in target:
                exported = "exported_" + exported
            merged[exported] = own[name]
    return {name: value for name, value in merged.items() if value}


def _text(body: bytes, *, openmetrics: bool) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Reject(f"byte {error.start} of the answer is no UTF-8") from None
    return end_of_openmetrics(text) if openmetrics else text


def _added(before: list[float], now: list[float]) -> int:
    padded = before + [ABSENT] * (len(now) - len(before))
    return sum([old is ABSENT and new is not ABSENT for old, new in zip(padded, now, strict=True)])
