"""Series that rules make: ALERTS, ALERTS_FOR_STATE, and what recording rules record. The newest values here, for rules
and /metrics; all of them in the history."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from alerting.rules.model import RecordingRule
from alerting.rules.sources import Live, LivePoints, Unknown
from alerting.rules.state import Alert
from collector.metrics.families import Family
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample, without_name
from deckwatch.wire.metrics_catalogue import MetricInfo, MetricType
from deckwatch.wire.model import Labels

ALERTS = "ALERTS"
FOR_STATE = "ALERTS_FOR_STATE"
STATE_LABEL = "alertstate"

_ABOUT = {
    ALERTS: MetricInfo(MetricType.GAUGE, "", "1 for each alert that is pending or firing."),
    FOR_STATE: MetricInfo(MetricType.GAUGE, "", "Unix time in seconds since when each alert has been active."),
}
_RECORDED = MetricInfo(MetricType.UNTYPED, "", "Recorded by a rule.")


class _Entry(msgspec.Struct, frozen=True):
    """Of one rule."""

    tenant: str
    at_ms: int
    series: dict[str, list[Sample]]
    unknown: tuple[Unknown, ...]


class Published:
    """A LiveSource. Written by the event loop, read by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._keys: dict[tuple[str, str], dict[str, None]] = {}
        self._awaited: dict[tuple[str, str], set[str]] = {}
        self._recorded: frozenset[tuple[str, str]] = frozenset()

    def set(
        self, key: str, tenant: str, at_ns: int, samples: Iterable[Sample], unknown: tuple[Unknown, ...] = ()
    ) -> None:
        """What a rule published last."""
        series: dict[str, list[Sample]] = {}
        for sample in samples:
            series.setdefault(_name(sample.labels), []).append(sample)
        with self._lock:
            self._remove(key)
            self._entries[key] = _Entry(tenant, at_ns // 1_000_000, series, unknown)
            for name in {*series, *(_name(one.labels) for one in unknown)}:
                self._keys.setdefault((tenant, name), {})[key] = None
            for waiting in self._awaited.values():
                waiting.discard(key)

    def set_rules(self, keys: Iterable[str], recording: Mapping[str, tuple[str, str]]) -> None:
        """Rules that are loaded now: what others published is gone. `recording`: key -> (tenant, name) of those that
        record; until they have been evaluated what they record is unknown."""
        loaded = set(keys)
        with self._lock:
            for key in [key for key in self._entries if key not in loaded]:
                self._remove(key)
            self._awaited = {}
            for key, rule in recording.items():
                if key not in self._entries:
                    self._awaited.setdefault(rule, set()).add(key)
            self._recorded = frozenset(recording.values())

    def makes(self, tenant: str, name: str) -> bool:
        return name in _ABOUT or (tenant, name) in self._recorded

    def of(self, key: str) -> tuple[Sample, ...]:
        """What a rule published last."""
        with self._lock:
            entry = self._entries.get(key)
        return () if entry is None else tuple(sample for samples in entry.series.values() for sample in samples)

    def unknown_of(self, key: str) -> tuple[Unknown, ...]:
        with self._lock:
            entry = self._entries.get(key)
        return () if entry is None else entry.unknown

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        points: list[LivePoints] = []
        with self._lock:
            unknown = [
                Unknown(((NAME_LABEL, name),), math.nan)
                for (owner, name), waiting in self._awaited.items()
                if waiting and owner == tenant and selector.takes_name(name)
            ]
            for name, entry in self._found(tenant, selector):
                unknown += [one for one in entry.unknown if _takes(selector, one.labels)]
                if start_ms <= entry.at_ms <= min(end_ms, now_ms):
                    points += [
                        LivePoints(sample.labels, (entry.at_ms,), (sample.value,))
                        for sample in entry.series.get(name, ())
                        if _takes(selector, sample.labels)
                    ]
        return Live(tuple(points), tuple(unknown))

    def families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        by_name: dict[str, list[tuple[Labels, float]]] = {}
        with self._lock:
            for entry in self._entries.values():
                if entry.tenant == tenant:
                    for name, samples in entry.series.items():
                        by_name.setdefault(name, []).extend((sample.labels, sample.value) for sample in samples)
        for name, found in by_name.items():
            yield Family.of(name, _ABOUT.get(name, _RECORDED), found)

    def _found(self, tenant: str, selector: Selector) -> Iterator[tuple[str, _Entry]]:
        """(name, entry) of the rules that publish what the selector may take."""
        if selector.name:
            names = [selector.name] if selector.takes_name(selector.name) else []
        else:
            names = [name for owner, name in self._keys if owner == tenant and selector.takes_name(name)]
        for name in names:
            for key in self._keys.get((tenant, name), ()):
                yield name, self._entries[key]

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for name in {*entry.series, *(_name(one.labels) for one in entry.unknown)}:
            keys = self._keys[entry.tenant, name]
            del keys[key]
            if not keys:
                del self._keys[entry.tenant, name]


def alert_samples(alerts: Iterable[Alert]) -> tuple[Sample, ...]:
    """ALERTS and ALERTS_FOR_STATE of a rule."""
    samples = []
    for alert in alerts:
        state = (STATE_LABEL, alert.state.value)
        samples.append(Sample(_named(ALERTS, (*alert.labels, state)), 1.0))
        samples.append(Sample(_named(FOR_STATE, alert.labels), float(alert.active_ns // 1_000_000_000)))
    return tuple(samples)


def recorded_labels(rule: RecordingRule, labels: Labels) -> Labels:
    merged = {**dict(labels), **dict(rule.labels), NAME_LABEL: rule.name}
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def _named(name: str, labels: Labels) -> Labels:
    return tuple(sorted((*without_name(labels), (NAME_LABEL, name))))


def _name(labels: Labels) -> str:
    return dict(labels).get(NAME_LABEL, "")


def _takes(selector: Selector, labels: Labels) -> bool:
    found = dict(labels)
    return selector.takes_name(found.get(NAME_LABEL, "")) and selector.takes_labels(found)
