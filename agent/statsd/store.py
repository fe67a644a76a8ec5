"""What StatsD lines add up to. A state machine without I/O, bounded in series and in values of a set.

Counters go on for as long as the agent runs, as Prometheus' counters do; timers, histograms and distributions become
classic histograms, which can be added up over hosts (summaries can't).
"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum

from agent.statsd.lines import Kind, Observation
from agent.statsd.settings import StatsdSettings
from deckwatch.wire.model import Column, Labels

_MS = 1e-3
_BUCKETED = frozenset({Kind.TIMER, Kind.HISTOGRAM, Kind.DISTRIBUTION})


class Taken(StrEnum):
    YES = "taken"
    FULL = "series_limit"  # max_series
    CONFLICT = "type_conflict"  # the name is already another type's
    SET_FULL = "set_limit"  # max_set_values


class _Series:
    __slots__ = ("columns", "counts", "seen_s", "texts", "value")

    def __init__(self, columns: tuple[Column, ...], buckets: int) -> None:
        self.columns = columns
        self.value = 0.0  # of a histogram its sum
        self.counts = [0.0] * buckets  # of a histogram, each bucket by itself; the last is +Inf
        self.texts: set[str] = set()
        self.seen_s = 0.0


class StatsdStore:
    def __init__(self, settings: StatsdSettings) -> None:
        self._settings = settings
        self._series: dict[tuple[str, Labels], _Series] = {}
        self._kinds: dict[str, tuple[Kind, int]] = {}  # of each name, and how many series it has

    def __len__(self) -> int:
        return len(self._series)

    def take(self, seen: Observation, now_s: float) -> Taken:
        """`now_s` is monotonic."""
        kind = Kind.HISTOGRAM if seen.kind is Kind.DISTRIBUTION else seen.kind
        known, count = self._kinds.get(seen.name, (kind, 0))
        if known is not kind:
            return Taken.CONFLICT
        series = self._series.get((seen.name, seen.labels))
        if series is None:
            if len(self._series) >= self._settings.max_series:
                return Taken.FULL
            series = self._series[seen.name, seen.labels] = self._make(seen, kind)
            self._kinds[seen.name] = (kind, count + 1)
        series.seen_s = now_s
        return self._add(series, seen, kind)

    def series(self, now_s: float) -> dict[Column, float]:
        """As of now; sets begin anew, and idle series end."""
        if self._settings.idle_s:
            self._forget(now_s - self._settings.idle_s)
        found: dict[Column, float] = {}
        for (name, _), series in self._series.items():
            found.update(zip(series.columns, _values(series, self._kinds[name][0]), strict=True))
            series.texts.clear()
        return found

    def _add(self, series: _Series, seen: Observation, kind: Kind) -> Taken:
        if kind is Kind.COUNTER:
            series.value += sum(seen.values) / seen.rate
        elif kind is Kind.GAUGE:
            series.value = series.value + sum(seen.values) if seen.relative else seen.values[-1]
        elif kind is Kind.SET:
            if len(series.texts) >= self._settings.max_set_values and not series.texts.issuperset(seen.texts):
                return Taken.SET_FULL
            series.texts.update(seen.texts)
        else:
            self._observe(series, seen, kind)
        return Taken.YES

    def _observe(self, series: _Series, seen: Observation, kind: Kind) -> None:
        bounds, unit = self._bounds(kind)
        weight = round(1 / seen.rate)
        for raw in seen.values:
            value = raw * unit
            series.counts[bisect_left(bounds, value)] += weight
            series.value += value * weight

    def _bounds(self, kind: Kind) -> tuple[tuple[float, ...], float]:
        return (self._settings.timer_buckets_s, _MS) if kind is Kind.TIMER else (self._settings.value_buckets, 1.0)

    def _make(self, seen: Observation, kind: Kind) -> _Series:
        if kind not in _BUCKETED:
            return _Series((Column(seen.name, seen.labels),), 0)
        labels = tuple(pair for pair in seen.labels if pair[0] != "le")
        bounds = [f"{bound:g}" for bound in self._bounds(kind)[0]] + ["+Inf"]
        buckets = [Column(f"{seen.name}_bucket", tuple(sorted([*labels, ("le", bound)]))) for bound in bounds]
        return _Series(
            (*buckets, Column(f"{seen.name}_sum", labels), Column(f"{seen.name}_count", labels)), len(bounds)
        )

    def _forget(self, before_s: float) -> None:
        for key in [key for key, series in self._series.items() if series.seen_s < before_s]:
            del self._series[key]
            kind, count = self._kinds[key[0]]
            if count > 1:
                self._kinds[key[0]] = (kind, count - 1)
            else:
                del self._kinds[key[0]]


def _values(series: _Series, kind: Kind) -> list[float]:
    if kind is Kind.SET:
        return [float(len(series.texts))]
    if kind not in _BUCKETED:
        return [series.value]
    total, values = 0.0, []
    for count in series.counts:
        total += count
        values.append(total)
    return [*values, series.value, total]
