"""Inhibition: while one alert fires, others that it explains are not told of (alertmanager/inhibit).

What inhibits is looked up among the alerts that are known at the very moment of a flush, never in a copy that lags
behind. So neither a restart nor a reload lets an inhibited alert through.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from alerting.notify.alerts import AlertRecord
from alerting.notify.matchers import all_match
from collector.metrics.selector import Matcher


class InhibitRule(msgspec.Struct, frozen=True):
    source: tuple[Matcher, ...] = ()
    target: tuple[Matcher, ...] = ()
    equal: tuple[str, ...] = ()
    name: str = ""

    def equal_values(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """A label that is missing equals an empty one."""
        return tuple(labels.get(name, "") for name in self.equal)


class Inhibitor:
    """Sources by rule and by the values of the labels that must be equal. Every alert that is known is put here."""

    def __init__(self, rules: tuple[InhibitRule, ...]) -> None:
        self._rules = rules
        self._sources: list[dict[tuple[str, ...], dict[str, AlertRecord]]] = [{} for _ in rules]

    def put(self, alert: AlertRecord) -> None:
        labels = dict(alert.labels)
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if all_match(rule.source, labels):
                sources.setdefault(rule.equal_values(labels), {})[alert.fingerprint] = alert

    def drop(self, alert: AlertRecord) -> None:
        labels = dict(alert.labels)
        for rule, sources in zip(self._rules, self._sources, strict=True):
            values = rule.equal_values(labels)
            alike = sources.get(values, {})
            alike.pop(alert.fingerprint, None)
            if not alike:
                sources.pop(values, None)

    def inhibited_by(self, labels: Mapping[str, str], now_ns: int) -> str:
        """The fingerprint of the alert because of which one with these labels is not told of; empty: none."""
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if not all_match(rule.target, labels):
                continue
            two_sided = all_match(rule.source, labels)
            for alert in sources.get(rule.equal_values(labels), {}).values():
                if alert.resolved(now_ns) or (two_sided and all_match(rule.target, dict(alert.labels))):
                    continue
                return alert.fingerprint
        return ""
