"""Metrics of sending samples on, each by the receiver's name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SENT, REFUSED, REPEATED, EXPIRED, LOST = "sent", "refused", "repeated", "expired", "lost"
OUTCOMES = (SENT, REFUSED, REPEATED, EXPIRED, LOST)


class OutMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.samples = Counter(
            "deckwatch_remote_write_out_samples_total",
            "Samples by what became of them: sent; refused by the receiver for good; repeated (it had them from before "
            "a restart or a lost answer); expired (sample_age_limit); lost (max_queue_bytes).",
            ["receiver", "outcome"],
            registry=registry,
        )
        self.retries = Counter(
            "deckwatch_remote_write_out_retries_total",
            "Requests that failed and are sent again, by why (timeout, unreachable, credentials, or the status).",
            ["receiver", "reason"],
            registry=registry,
        )
        self.took = Histogram(
            "deckwatch_remote_write_out_request_seconds",
            "Wall time of a request.",
            ["receiver"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.bytes = Counter(
            "deckwatch_remote_write_out_bytes_total", "Sent, compressed, repeated requests included.", ["receiver"],
            registry=registry,
        )  # fmt: skip
        self.metadata = Counter(
            "deckwatch_remote_write_out_metadata_total", "Metrics whose type and help were told.", ["receiver"],
            registry=registry,
        )  # fmt: skip
        self.pending_samples = Gauge(
            "deckwatch_remote_write_out_pending_samples", "Samples that are read and not sent yet.", ["receiver"],
            registry=registry,
        )  # fmt: skip
        self.pending_bytes = Gauge(
            "deckwatch_remote_write_out_pending_bytes", "Of the log on disk that are not sent yet.", ["receiver"],
            registry=registry,
        )  # fmt: skip
        self.sent_time = Gauge(
            "deckwatch_remote_write_out_highest_sent_timestamp_seconds",
            "Unix time of the newest sample that the receiver took.",
            ["receiver"],
            registry=registry,
        )
        self.read_time = Gauge(
            "deckwatch_remote_write_out_highest_timestamp_seconds",
            "Unix time of the newest sample that was read to be sent.",
            ["receiver"],
            registry=registry,
        )
        self.failing = Gauge(
            "deckwatch_remote_write_out_failing", "1 while the receiver takes nothing.", ["receiver"], registry=registry
        )
        self.damaged = Gauge(
            "deckwatch_remote_write_out_damaged_files",
            "Files of the log whose rest could not be read, so that their samples are not sent.",
            ["receiver"],
            registry=registry,
        )
