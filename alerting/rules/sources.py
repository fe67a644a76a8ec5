"""What rules look at: the history of samples, and what is newer than it or isn't in it at all. One SeriesSource.

Three ways for a series not to be there stay apart: it *ended* (a stale marker in the history), nobody ever saw it, or
it is *unknown*: whoever measures it is silent or hasn't come back yet. An unknown series is in nobody's way: neither
shown nor missing; a selection names it. `carrying()` is the same source as if what is unknown went on as it was last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec
import numpy as np

from collector.metrics.promql.faults import too_many_samples
from collector.metrics.promql.source import Selection, SeriesSource
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp, Selector
from collector.metrics.series import Newest, Sample
from deckwatch.wire.model import Labels

T = TypeVar("T")
Key = tuple[tuple[Matcher, ...], int, int]


class LivePoints(msgspec.Struct, frozen=True):
    """Samples of one series, times rising."""

    labels: Labels
    times_ms: tuple[int, ...]
    values: tuple[float, ...]


class Unknown(msgspec.Struct, frozen=True):
    """A series of which nothing is known at the moment, and what it was last (NaN: nobody knows)."""

    labels: Labels
    value: float
    yields: bool = False  # it is there after all where the history has samples of it


class Live(msgspec.Struct, frozen=True):
    points: tuple[LivePoints, ...] = ()
    unknown: tuple[Unknown, ...] = ()


class LiveSource(Protocol):
    """Series of which the history lacks the newest part or all. Called from the thread that evaluates rules."""

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        """Samples in [start_ms, end_ms] as far as they are known at `now_ms`, and what is unknown then."""
        ...


class NewestAsLive:
    """What only knows the values of now: a sample at the time of evaluation."""

    def __init__(self, newest: Newest) -> None:
        self._newest = newest

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        if not start_ms <= now_ms <= end_ms:
            return Live()
        vector = self._newest.instant(tenant, selector, now_ms * 1_000_000)
        return Live(tuple(LivePoints(sample.labels, (now_ms,), (sample.value,)) for sample in vector.samples))


class KnownAlone:
    """What is unknown is of no concern to whoever only looks: he is shown what the history has."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        return Live(self._source.live(tenant, selector, start_ms, end_ms, now_ms).points)


class RuleSource:
    """A SeriesSource of one tenant at one time of evaluation. What is asked for twice is looked up once."""

    def __init__(self, tenant: str, stored: SeriesSource, live: Sequence[LiveSource], now_ms: int) -> None:
        self._tenant = tenant
        self._stored = stored
        self._live = tuple(live)
        self._now_ms = now_ms
        self._carries = False
        self._made: dict[str, list[LivePoints]] = {}
        self._made_unknown: dict[str, list[Unknown]] = {}
        self._known: dict[Key, Selection] = {}

    def carrying(self) -> RuleSource:
        other = RuleSource(self._tenant, self._stored, self._live, self._now_ms)
        other._made, other._made_unknown, other._carries = self._made, self._made_unknown, True
        return other

    def add(self, name: str, samples: Iterable[Sample], time_ms: int, unknown: Iterable[Unknown] = ()) -> None:
        """What a rule of the group recorded just now; those behind it see it, and what was unknown of it before isn't
        any more."""
        points = (LivePoints(sample.labels, (time_ms,), (sample.value,)) for sample in samples)
        self._made.setdefault(name, []).extend(points)
        self._made_unknown.setdefault(name, []).extend(unknown)
        self._known = {key: found for key, found in self._known.items() if not selector_of(key[0]).takes_name(name)}

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        key = (tuple(matchers), start_ms, end_ms)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._select(key[0], start_ms, end_ms, max_samples)
        if found.samples > max_samples:
            raise too_many_samples(max_samples)
        return found

    def _select(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        stored = self._stored.select(matchers, start_ms, end_ms, max_samples)
        selector = selector_of(matchers)
        answers = [each.live(self._tenant, selector, start_ms, end_ms, self._now_ms) for each in self._live]
        of_group = self._of_group(selector, start_ms, end_ms)
        points = [*(one for answer in answers for one in answer.points), *of_group.points]
        renewed = self._made_unknown
        unknown = [one for answer in answers for one in answer.unknown if not (renewed and _name(one) in renewed)]
        unknown += of_group.unknown
        if unknown:
            here = set(stored.labels)
            unknown = [one for one in unknown if not (one.yields and one.labels in here)]
        if unknown and self._carries:
            points += [LivePoints(one.labels, (end_ms,), (one.value,)) for one in unknown]
            unknown = []
        if unknown:
            stored = _without(stored, {one.labels for one in unknown})
        if points:
            stored = united(stored, points)
        return msgspec.structs.replace(stored, unknown=tuple(one.labels for one in unknown)) if unknown else stored

    def _of_group(self, selector: Selector, start_ms: int, end_ms: int) -> Live:
        return Live(
            tuple(
                one
                for one in _taken(self._made, selector)
                if start_ms <= one.times_ms[0] <= end_ms and selector.takes_labels(dict(one.labels))
            ),
            tuple(one for one in _taken(self._made_unknown, selector) if selector.takes_labels(dict(one.labels))),
        )


def _taken(by_name: Mapping[str, list[T]], selector: Selector) -> Iterable[T]:
    if selector.name:
        return by_name.get(selector.name, ()) if selector.takes_name(selector.name) else ()
    return [one for name, found in by_name.items() if selector.takes_name(name) for one in found]


def _name(one: Unknown) -> str:
    return dict(one.labels).get(NAME_LABEL, "")


def selector_of(matchers: Sequence[Matcher]) -> Selector:
    names = [each.value for each in matchers if each.label == NAME_LABEL and each.op is MatchOp.EQUAL]
    return Selector(names[0] if names else "", tuple(matchers))


def united(stored: Selection, points: Sequence[LivePoints]) -> Selection:
    """Both; of two samples of a series at one time the stored one."""
    place = {labels: row for row, labels in enumerate(stored.labels)}
    rows = [place.setdefault(one.labels, len(place)) for one in points]
    row = np.concatenate(
        (
            np.repeat(np.arange(len(stored.labels)), np.diff(stored.offsets)),
            np.repeat(np.array(rows, np.int64), [len(one.times_ms) for one in points]),
        )
    )
    times = np.concatenate((stored.times_ms, np.array([at for one in points for at in one.times_ms], np.int64)))
    values = np.concatenate((stored.values, np.array([value for one in points for value in one.values], np.float64)))
    order = np.lexsort((times, row))  # stable: what is stored comes first
    row, times = row[order], times[order]
    first = np.ones(len(row), np.bool_)
    first[1:] = (row[1:] != row[:-1]) | (times[1:] != times[:-1])
    offsets = np.searchsorted(row[first], np.arange(len(place) + 1))
    return Selection(tuple(place), offsets.astype(np.int64), times[first], values[order][first])


def _without(stored: Selection, gone: set[Labels]) -> Selection:
    kept = np.array([labels not in gone for labels in stored.labels], np.bool_)
    if kept.all():
        return stored
    counts = np.diff(stored.offsets)
    samples = np.repeat(kept, counts)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts[kept])))
    labels = tuple(labels for labels in stored.labels if labels not in gone)
    return Selection(labels, offsets, stored.times_ms[samples], stored.values[samples])
