"""What the embedded store tells of itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from collector.store.embedded.manifest import SegmentRow
from collector.store.embedded.store import EmbeddedStore


class StoreMetrics:
    def __init__(self, store: EmbeddedStore, registry: CollectorRegistry) -> None:
        self._store = store
        segments = Gauge("deckwatch_store_segments", "Segments on disk that serve", registry=registry)
        segments.set_function(lambda: sum(not row.damaged for row in store.segment_rows))
        size = Gauge("deckwatch_store_segment_bytes", "Size of all segments on disk", registry=registry)
        size.set_function(lambda: sum(row.data_bytes + row.index_bytes for row in store.segment_rows))
        damaged = Gauge(
            "deckwatch_store_damaged_segments",
            "Segments that were set aside because they are not what was written; their lines are gaps",
            registry=registry,
        )
        damaged.set_function(lambda: len(self._damaged()))
        lost = Gauge("deckwatch_store_damaged_records", "Records in segments that were set aside", registry=registry)
        lost.set_function(lambda: sum(row.rows for row in self._damaged()))
        letter_bytes = Gauge("deckwatch_store_dead_letter_bytes", "Size of kept dead letters", registry=registry)
        letter_bytes.set_function(lambda: store.letters.totals.size_bytes)

    def _damaged(self) -> list[SegmentRow]:
        return [row for row in self._store.segment_rows if row.damaged]
