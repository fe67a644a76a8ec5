"""Reads old segments again, slowly, and compares their checksums: a bit that flips in a file that nobody reads is found
while a backup still has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.store.embedded.coverage import coverage_of, merged
from collector.store.embedded.manifest import SegmentRow
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.clock import Clock

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 60.0


def seen_ns(row: SegmentRow) -> int:
    """When its bytes were last known to be good: read again, or written."""
    return max(row.scrubbed_ns, row.max_ingested)


def next_due(rows: Iterable[SegmentRow], now_ns: int, period_s: float) -> SegmentRow | None:
    """The one that was looked at longest ago, if that is longer than `period_s`."""
    serving = [row for row in rows if not row.damaged]
    oldest = min(serving, key=seen_ns, default=None)
    if oldest is None or seen_ns(oldest) > now_ns - int(period_s * 1e9):
        return None
    return oldest


class Scrub:
    def __init__(self, store: EmbeddedStore, clock: Clock, registry: CollectorRegistry) -> None:
        self._store = store
        self._clock = clock
        self._bytes = Counter("deckwatch_store_scrubbed_bytes", "Read again and compared", registry=registry)
        self._found = Counter(
            "deckwatch_store_scrub_faults",
            "Files that were not what was written: data (set aside) or index (made anew)",
            ["file"],
            registry=registry,
        )
        age = Gauge(
            "deckwatch_store_scrub_age_seconds",
            "Since the segment that was looked at longest ago was read again, or written",
            registry=registry,
        )
        age.set_function(self._age_s)

    def _age_s(self) -> float:
        oldest = min((seen_ns(row) for row in self._store.segment_rows if not row.damaged), default=None)
        return 0.0 if oldest is None else max(0.0, (self._clock.now_ns() - oldest) / 1e9)

    async def run(self) -> None:
        """Until cancelled. One segment at a time, then a pause by its size."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="scrub") as thread:
            while True:
                settings = self._store.settings
                row = None
                if settings.scrub_period_s:
                    row = next_due(self._store.segment_rows, self._clock.now_ns(), settings.scrub_period_s)
                if row is None:
                    await self._clock.sleep(_LOOK_EVERY_S)
                    continue
                try:
                    await loop.run_in_executor(thread, self.look, row)
                except Exception:
                    # Whatever it is (a manifest that can't be written...): nothing else may end over it.
                    log.exception("store: segment %d could not be read again; trying later", row.id)
                    await self._clock.sleep(_LOOK_EVERY_S)
                await self._clock.sleep((row.data_bytes + row.index_bytes) / settings.scrub_bytes_per_s)

    def look(self, row: SegmentRow) -> None:
        """Compare one segment's checksums; what is wrong is mended or set aside."""
        self._bytes.inc(row.data_bytes + row.index_bytes)
        try:
            self._store.folder.verify_data(row)
        except (OSError, ValueError) as error:
            if self._store.damaged(row.id, error):
                self._found.labels("data").inc()
            return
        try:
            self._store.folder.verify_index(row)
        except (OSError, ValueError):
            mended = self._store.integrity.mended(row)
            if mended is None:
                return
            self._found.labels("index").inc()
            row = mended
        if self._store.integrity.coverage(row) is None:
            self._note_streams(row)
        row = msgspec.structs.replace(row, scrubbed_ns=self._clock.now_ns())
        self._store.manifest.update(row)
        self._store.replace_row(row)

    def _note_streams(self, row: SegmentRow) -> None:
        """A version that kept no list of them wrote it."""
        blocks = self._store.folder.open(row).blocks
        self._store.manifest.cover(
            row.id, merged(coverage_of(block.read(["origin", "start", "end"])) for block in blocks)
        )
