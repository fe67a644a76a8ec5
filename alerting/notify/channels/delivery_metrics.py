"""Figures of delivery; Alertmanager's own (alertmanager_notifications_total and kin) under our names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerting.notify.channels.model import Outcome
from alerting.notify.channels.receipts import GIVEN_UP

OUTCOMES = (Outcome.DELIVERED.value, Outcome.REFUSED.value, GIVEN_UP)


class DeliveryMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        whose = ["receiver", "integration"]
        self.sent = Counter(
            "deckwatch_alerting_notifications_total",
            "Messages to receivers by how they ended at each target: delivered, refused, given_up.",
            [*whose, "outcome"],
            registry=registry,
        )
        self.attempts = Counter(
            "deckwatch_alerting_notification_attempts_total", "Tries to deliver a message.", whose, registry=registry
        )
        self.latency = Histogram(
            "deckwatch_alerting_notification_latency_seconds",
            "From the decision to tell a receiver to its answer.",
            whose,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
            registry=registry,
        )
        self.waiting = Gauge(
            "deckwatch_alerting_outbox_messages", "Messages that wait for a receiver.", whose, registry=registry
        )

    def begin(self, receiver: str, integration: str) -> None:
        """Zeros from the start, else nobody sees the first failure as an increase."""
        for outcome in OUTCOMES:
            self.sent.labels(receiver, integration, outcome)
        self.attempts.labels(receiver, integration)
        self.waiting.labels(receiver, integration)

    def end(self, receiver: str, integration: str) -> None:
        """Nobody counts any more what waits for it."""
        self.waiting.remove(receiver, integration)
