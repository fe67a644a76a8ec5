"""Discovery's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class DiscoverMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"deckwatch_discover_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"deckwatch_discover_{name}", text, labels, registry=registry)

        self.containers = gauge("containers", "Containers known, by state.", "state")
        self.sources = gauge("sources", "Logs that are followed.")
        self.engine_up = gauge("engine_up", "1 while the container engine's API answers.")
        self.unread = gauge("unread_containers", "Containers whose logs can't be read, by log driver.", "driver")
        self.events = counter("events_total", "Events of the container engine.", "action")
        self.repeated_events = counter(
            "repeated_events_total", "Events that a reconnect brought again, or from before the start."
        )
        self.sessions = counter("engine_sessions_total", "Times that the engine's event stream was taken up.")
        self.descriptions = counter("descriptions_total", "Containers described, by where from.", "origin")
        self.faults = counter("faults_total", "What could not be read or understood.", "part", "reason")
        self.looks = counter("looks_total", "Looks at folders.", "part")
        self.look_seconds = counter("look_seconds_total", "CPU time that looks at folders took.", "part")
        self.changes = counter("changes_total", "Times that listeners were told of a change.")
