"""Series that rules make: ALERTS, ALERTS_FOR_STATE, and what recording rules record. A SeriesSource, so that rules
and /metrics see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from alerting.rules.model import RecordingRule, RuleGroup
from alerting.rules.state import Alert
from collector.metrics.families import Family
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample, Vector, Windows, without_name
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


class Published:
    """Only the newest values; ranges over them come with the stored history."""

    def __init__(self) -> None:
        self._alerts: dict[str, list[Sample]] = {}
        self._recorded: dict[str, tuple[str, Vector]] = {}
        self._not_yet: dict[str, tuple[str, str]] = {}

    def alerts(self, alerts: Iterable[tuple[str, Alert]]) -> None:
        """(tenant, alert) of all that are active now."""
        published: dict[str, list[Sample]] = {}
        for tenant, alert in alerts:
            samples = published.setdefault(tenant, [])
            state = (STATE_LABEL, alert.state.value)
            samples.append(Sample(_named(ALERTS, (*alert.labels, state)), 1.0))
            samples.append(Sample(_named(FOR_STATE, alert.labels), float(alert.active_ns // 1_000_000_000)))
        self._alerts = published

    def record(self, key: str, group: RuleGroup, rule: RecordingRule, vector: Vector) -> None:
        samples = tuple(Sample(_recorded(rule, sample.labels), sample.value) for sample in vector.samples)
        unknown = tuple(_recorded(rule, labels) for labels in vector.unknown)
        self._recorded[key] = (group.tenant, Vector(samples, unknown))
        self._not_yet.pop(key, None)

    def set_recording(self, rules: Mapping[str, tuple[str, str]]) -> None:
        """Key -> (tenant, name) of the recording rules that are loaded now. What others have recorded is gone."""
        self._recorded = {key: kept for key, kept in self._recorded.items() if key in rules}
        self._not_yet = {key: rule for key, rule in rules.items() if key not in self._recorded}

    def is_awaited(self, tenant: str, selector: Selector) -> bool:
        """Is there a recording rule for it that has not been evaluated yet?"""
        return any(owner == tenant and selector.takes_name(name) for owner, name in self._not_yet.values())

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        vectors = [vector for owner, vector in self._recorded.values() if owner == tenant]
        samples = [sample for vector in vectors for sample in vector.samples] + self._alerts.get(tenant, [])
        return Vector(
            tuple(sample for sample in samples if _takes(selector, sample.labels)),
            tuple(labels for vector in vectors for labels in vector.unknown if _takes(selector, labels)),
        )

    def window(self, tenant: str, selector: Selector, start_ns: int, end_ns: int) -> Windows:
        return Windows(unknown=self.instant(tenant, selector, end_ns).unknown)

    def families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        by_name: dict[str, list[tuple[Labels, float]]] = {}
        for sample in self.instant(tenant, Selector(""), at_ns).samples:
            by_name.setdefault(dict(sample.labels)[NAME_LABEL], []).append((sample.labels, sample.value))
        for name, samples in by_name.items():
            yield Family.of(name, _ABOUT.get(name, _RECORDED), samples)


def _named(name: str, labels: Labels) -> Labels:
    return tuple(sorted((*without_name(labels), (NAME_LABEL, name))))


def _recorded(rule: RecordingRule, labels: Labels) -> Labels:
    merged = {**dict(labels), **dict(rule.labels), NAME_LABEL: rule.name}
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def _takes(selector: Selector, labels: Labels) -> bool:
    found = dict(labels)
    return selector.takes_name(found[NAME_LABEL]) and selector.takes_labels(found)
