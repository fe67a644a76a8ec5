"""Own metrics of incidents. The times go on over restarts: at the start they are taken from the timelines again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerting.track.events import AnyEvent
from alerting.track.measures import Statistics, acknowledge_s, resolve_s
from alerting.track.model import Incident, State

_BUCKETS = (30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200)
_OF = ("tenant", "rule", "team")


class TrackMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.to_acknowledge = Histogram(
            "deckwatch_alerting_incident_acknowledge_seconds",
            "From an incident's opening, or reopening, to its first acknowledgement (MTTA: sum / count).",
            _OF,
            buckets=_BUCKETS,
            registry=registry,
        )
        self.to_resolve = Histogram(
            "deckwatch_alerting_incident_resolve_seconds",
            "From an incident's opening, or reopening, to its end (MTTR: sum / count).",
            _OF,
            buckets=_BUCKETS,
            registry=registry,
        )
        self.events = Counter(
            "deckwatch_alerting_incident_events_total",
            "What happened on timelines of incidents.",
            ["kind"],
            registry=registry,
        )
        self._incidents = Gauge(
            "deckwatch_alerting_incidents",
            "Incidents by how far they have come.",
            ["tenant", "state"],
            registry=registry,
        )
        self._noise = Gauge(
            "deckwatch_alerting_rule_noise_ratio",
            "Share of a rule's ended incidents that nobody, person or response, did anything about.",
            ["tenant", "rule"],
            registry=registry,
        )

    def changed(self, before: Incident | None, after: Incident, events: Sequence[AnyEvent]) -> None:
        for event in events:
            self.events.labels(str(event.__struct_config__.tag)).inc()
        known = before.periods if before else ()
        for place, period in enumerate(after.periods):
            earlier = known[place] if place < len(known) else None
            if period.acknowledged_ns and not (earlier and earlier.acknowledged_ns):
                self._observe(self.to_acknowledge, after, acknowledge_s(period))
            if period.ended and not (earlier and earlier.ended):
                self._observe(self.to_resolve, after, resolve_s(period))

    def restore(self, incidents: Iterable[Incident]) -> None:
        for incident in incidents:
            self.changed(None, incident, ())

    def judge(self, rows: Mapping[str, Iterable[Statistics]]) -> None:
        """How noisy each rule is: tenant -> statistics by rule."""
        self._noise.clear()
        for tenant, some in rows.items():
            for row in some:
                if row.noise is not None:
                    self._noise.labels(tenant, row.name).set(row.noise)

    def count(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """(tenant, state, how many)"""
        found = {(tenant, state): number for tenant, state, number in counts}
        self._incidents.clear()
        for tenant in {tenant for tenant, _ in found}:
            for state in State:
                self._incidents.labels(tenant, state.value).set(found.get((tenant, state.value), 0))

    def _observe(self, histogram: Histogram, incident: Incident, seconds: float | None) -> None:
        if seconds is not None:
            histogram.labels(incident.tenant, incident.rule, incident.team).observe(seconds)
