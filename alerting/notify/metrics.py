"""Figures of alerts, groups and silences; Alertmanager's own, under our names."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from alerting.notify.dispatch import Dispatcher
from alerting.notify.muting import Muted
from alerting.silences.model import SilenceState

_STATES = ("active", "suppressed")


class NotifyMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = Gauge(
            "deckwatch_alerting_alerts",
            "Alerts that fire: active ones are told of, suppressed ones are silenced or inhibited.",
            ["state"],
            registry=registry,
        )
        self._groups = Gauge("deckwatch_alerting_groups", "Groups of alerts that are told together.", registry=registry)
        self._silences = Gauge("deckwatch_alerting_silences", "Silences by their state.", ["state"], registry=registry)
        self._held = Counter(
            "deckwatch_alerting_notifications_suppressed_total",
            "Alerts that a group's turn came for and that were not told of, by why.",
            ["reason"],
            registry=registry,
        )
        self.received = Counter(
            "deckwatch_alerting_alerts_received_total",
            "Alerts that were posted to the API.",
            ["status"],
            registry=registry,
        )
        self.invalid = Counter(
            "deckwatch_alerting_alerts_invalid_total", "Of these, those that were refused.", registry=registry
        )
        self.failed = Counter(
            "deckwatch_alerting_group_look_failures_total",
            "Times that groups of alerts were due and could not be told of.",
            registry=registry,
        )
        for reason in Muted:
            self._held.labels(reason.value)
        for status in ("firing", "resolved"):
            self.received.labels(status)

    def held(self, reason: Muted) -> None:
        self._held.labels(reason.value).inc()

    def observe(self, dispatchers: Iterable[Dispatcher], now_ns: int) -> None:
        alerts: Count[str] = Count()
        silences: Count[SilenceState] = Count()
        groups = 0
        for dispatcher in dispatchers:
            for alert in dispatcher.alerts(now_ns):
                alerts[_STATES[dispatcher.muting.verdict(alert, now_ns).suppressed]] += 1
            silences.update(silence.state(now_ns) for silence in dispatcher.silences.all(now_ns))
            groups += len(dispatcher.groups)
        for state in _STATES:
            self._alerts.labels(state).set(alerts[state])
        for silence_state in SilenceState:
            self._silences.labels(silence_state.value).set(silences[silence_state])
        self._groups.set(groups)
