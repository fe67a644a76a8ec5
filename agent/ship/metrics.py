"""The agent's own metrics of tailing and shipping."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ShipMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag_bytes = Gauge(
            "deckwatch_agent_lag_bytes",
            "Complete lines in the watched files that are not acked yet.",
            registry=registry,
        )
        self.streams = Gauge("deckwatch_agent_streams", "Streams that are read or not acked yet.", registry=registry)
        self.spool_bytes = Gauge(
            "deckwatch_agent_spool_bytes",
            "Samples and events on disk, not acked or still being written.",
            registry=registry,
        )
        self.linked_bytes = Gauge(
            "deckwatch_agent_linked_bytes",
            "Bytes of deleted logs that only the agent's hard links keep on the disk.",
            registry=registry,
        )
        self.collector_up = Gauge(
            "deckwatch_agent_collector_up", "1: the collector took what was sent last.", registry=registry
        )
        self.read_bytes = Counter(
            "deckwatch_agent_read_bytes_total", "Raw bytes read into batches, repeats included.", registry=registry
        )
        self.sent_bytes = Counter(
            "deckwatch_agent_sent_bytes_total", "Compressed bytes of the batches that were answered.", registry=registry
        )
        self.acked_bytes = Counter(
            "deckwatch_agent_acked_bytes_total", "Raw bytes that the collector holds durably.", registry=registry
        )
        self.batches = Counter(
            "deckwatch_agent_batches_total",
            "Answered batches: acked, too_large (sent again smaller), dropped (made before a position changed).",
            ["outcome"],
            registry=registry,
        )
        self.results = Counter(
            "deckwatch_agent_stream_results_total", "Streams in acks, by outcome.", ["outcome"], registry=registry
        )
        self.gaps = Counter(
            "deckwatch_agent_gaps_total", "Gaps that the collector has taken note of.", ["reason"], registry=registry
        )
        self.retries = Counter(
            "deckwatch_agent_retries_total", "Tries that got no ack and are repeated.", registry=registry
        )
        self.hellos = Counter("deckwatch_agent_hellos_total", "Exchanges of positions.", registry=registry)
        self.spool_dropped = Counter(
            "deckwatch_agent_spool_dropped_files_total", "Spool files given up because it was full.", registry=registry
        )
        self.checkpoint_failures = Counter(
            "deckwatch_agent_checkpoint_failures_total", "Writes of the checkpoint that failed.", registry=registry
        )
