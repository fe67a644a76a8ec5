"""One receiver of our samples: reads a window of the log, sends it, keeps the position, and so on for ever.

A window is sent by several requests at a time, no series in two of them; the next one begins when all of it is taken.
After a start the first window may have been taken before; so may a request whose answer got lost. What of those is
refused is halved until the samples that the receiver really has not are through: a receiver that has one sample of a
request refuses all of it (Prometheus does).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from collector.metrics.remote import out_metadata
from collector.metrics.remote.metadata import About
from collector.metrics.remote.out_client import Later, OutClient, Refused
from collector.metrics.remote.out_metrics import EXPIRED, LOST, REFUSED, REPEATED, SENT, OutMetrics
from collector.metrics.remote.out_position import Position, PositionFile
from collector.metrics.remote.out_reader import OutReader, Window
from collector.metrics.remote.out_requests import body, halves, shards
from collector.metrics.remote.out_samples import OutSamples, Rows
from collector.metrics.remote.out_series import OutSeries
from collector.metrics.remote.settings import RemoteWriteSettings, position_file
from collector.metrics.tsdb.wal import Wal
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.durations import duration_s

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # between two looks at the log's end, and at its bound while a receiver fails
_DISK_S = 5.0
_TELL_S = 60.0  # what goes on is logged once in this time
_HAS_IT = ("out of order", "out-of-order", "duplicate", "too old", "conflict")
"""In the answer of a receiver that has a sample, or a newer one of its series (Prometheus, Mimir, Thanos)."""

T = TypeVar("T")

Abouts = Callable[[str], Mapping[str, About]]
"""Tenant -> what is known of its metrics."""


class TooMuch(Exception):
    """More of the log waits than may."""


class Receiver:
    """In the event loop; reading is done in threads."""

    def __init__(
        self,
        settings: RemoteWriteSettings,
        wal: Wal,
        folder: Path,
        abouts: Abouts,
        clock: Clock,
        metrics: OutMetrics,
        *,
        keep_ms: int,
    ) -> None:
        """Raises Unusable where its TLS files or its position can't be used."""
        self.name = settings.key
        self._settings = settings
        self._queue = settings.queue_config
        self._clock = clock
        self._metrics = metrics
        self._abouts = abouts
        self._series = OutSeries(
            settings.external_labels, tuple(rule.rule() for rule in settings.write_relabel_configs)
        )
        self._reader = OutReader(wal, OutSamples(self._series, settings.tenant, keep_ms), self.name)
        self._file = PositionFile(position_file(folder, settings), self.name)
        self._client = OutClient(settings, clock)
        self._kept = self._file.load()
        self._uncertain = self._kept is not None
        self._held = max(0, self._kept.file - 1) if self._kept else wal.end[0]
        self._pending = 0  # samples of the window that are not sent yet
        self._newest_ms = 0  # of what was sent
        self._trouble = ""
        self._told: dict[str, float] = {}

    @property
    def holds(self) -> int:
        """First file of the log that it needs: the one before its position tells it which series there are."""
        return self._held

    @property
    def path(self) -> Path:
        return self._file.path

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(), name=f"remote write to {self.name}")
                if self._settings.metadata_config.send:
                    tasks.create_task(self._tell_metadata(), name=f"metadata to {self.name}")
        finally:
            await self._client.close()

    def _keep(self, position: Position) -> None:
        self._file.save(position)
        self._held = max(0, position.file - 1)

    # Samples ----------------------------------------------------------------------------------------------------

    async def _send_all(self) -> None:
        deadline_s = duration_s(self._queue.batch_send_deadline)
        await self._off_disk(lambda: self._keep(self._reader.open(self._kept)))
        while True:
            began = self._clock.monotonic()
            before = self._reader.position
            window = await self._off_disk(lambda: self._reader.window(self._queue.capacity))
            if window.until != before:
                await self._send(window)
            self._metrics.damaged.labels(self.name).set(self._reader.damaged)
            self._metrics.pending_bytes.labels(self.name).set(await self._off_disk(self._reader.behind_bytes))
            if len(window.rows) < self._queue.capacity:
                await self._clock.sleep(max(0.0, deadline_s - (self._clock.monotonic() - began)))

    async def _off_disk(self, work: Callable[[], T]) -> T:
        """In a thread, again and again while the disk gives errors: what can't be read now may be readable later. Who
        is cancelled meanwhile waits for the thread: nobody writes a position behind the end."""
        while True:
            running = asyncio.create_task(asyncio.to_thread(work))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.wait([running])
                raise
            except OSError as error:
                self._complain("disk", f"the log of samples or the position can't be used, trying again: {error}")
                await self._clock.sleep(_DISK_S)

    async def _send(self, window: Window) -> None:
        rows = self._young(window.rows)
        self._wait_for(len(rows))
        if len(rows):
            self._metrics.read_time.labels(self.name).set(float(rows.times_ms.max()) / 1000)
        try:
            await self._send_rows(rows)
        except* TooMuch:
            await self._lose()
        self._wait_for(0)
        self._uncertain = False
        await self._off_disk(lambda: self._keep(self._reader.position))

    def _wait_for(self, samples: int) -> None:
        self._pending = samples
        self._metrics.pending_samples.labels(self.name).set(samples)

    def _young(self, rows: Rows) -> Rows:
        limit_s = duration_s(self._queue.sample_age_limit)
        if not limit_s:
            return rows
        young = np.nonzero(rows.times_ms >= self._clock.now_ns() // 1_000_000 - int(limit_s * 1000))[0]
        self._count(EXPIRED, len(rows) - len(young))
        return rows.picked(young)

    async def _send_rows(self, rows: Rows) -> None:
        queue = self._queue
        parts = shards(rows, most_samples=queue.max_samples_per_send, most_shards=queue.max_shards)
        async with asyncio.TaskGroup() as tasks:
            for number, shard in enumerate(parts):
                tasks.create_task(self._send_shard(shard), name=f"remote write to {self.name}, shard {number}")

    async def _send_shard(self, requests: list[Rows]) -> None:
        for request in requests:
            await self._deliver(request, uncertain=self._uncertain)
            self._wait_for(self._pending - len(request))

    async def _deliver(self, rows: Rows, *, uncertain: bool) -> None:
        """Returns when the receiver has taken or refused them. Raises TooMuch."""
        packed = await asyncio.to_thread(body, rows, self._series.labels)
        refused, uncertain = await self._post(packed, uncertain=uncertain)
        if refused is None:
            self._count(SENT, len(rows))
            self._newest_ms = max(self._newest_ms, int(rows.times_ms.max()))
            self._metrics.sent_time.labels(self.name).set(self._newest_ms / 1000)
        elif uncertain and any(word in refused.reason for word in _HAS_IT):
            if len(rows) == 1:
                self._count(REPEATED, 1)
                return
            for half in halves(rows):
                await self._deliver(half, uncertain=True)
        else:
            self._count(REFUSED, len(rows))
            self._complain("refused", f"it refused {len(rows)} samples, which are dropped: {refused.reason}")

    async def _post(self, packed: bytes, *, uncertain: bool) -> tuple[Refused | None, bool]:
        """(why it was refused, may it have been taken before?). Tries until there is an answer. Raises TooMuch."""
        backoff = Backoff(duration_s(self._queue.min_backoff), duration_s(self._queue.max_backoff))
        while True:
            began = self._clock.monotonic()
            outcome = await self._client.post(packed)
            self._metrics.took.labels(self.name).observe(self._clock.monotonic() - began)
            self._metrics.bytes.labels(self.name).inc(len(packed))
            if not isinstance(outcome, Later):
                self._note("")
                return (outcome if isinstance(outcome, Refused) else None), uncertain
            uncertain |= outcome.uncertain
            self._metrics.retries.labels(self.name, outcome.kind).inc()
            self._note(outcome.reason)
            await self._wait(backoff.next_s(outcome.after_s))

    async def _wait(self, wait_s: float) -> None:
        """Raises TooMuch where the log's bound is reached meanwhile."""
        until = self._clock.monotonic() + wait_s
        while True:
            if await self._is_too_much():
                raise TooMuch
            left_s = until - self._clock.monotonic()
            if left_s <= 0:
                return
            await self._clock.sleep(min(left_s, _LOOK_S))

    # Bound ------------------------------------------------------------------------------------------------------

    async def _is_too_much(self) -> bool:
        behind = await self._off_disk(self._reader.behind_bytes)
        self._metrics.pending_bytes.labels(self.name).set(behind)
        return behind > self._settings.max_queue_bytes

    async def _lose(self) -> None:
        """The window that was being sent, and as much of the log as makes it fit again."""
        lost = self._pending
        while await self._is_too_much():
            window = await self._off_disk(lambda: self._reader.window(self._queue.capacity))
            lost += len(window.rows)
        self._count(LOST, lost)
        log.error(
            "remote write to %s: %d samples are lost to it: more than max_queue_bytes (%d) of the log waited",
            self.name, lost, self._settings.max_queue_bytes,
        )  # fmt: skip

    # Metadata ---------------------------------------------------------------------------------------------------

    async def _tell_metadata(self) -> None:
        config = self._settings.metadata_config
        while True:
            await self._clock.sleep(duration_s(config.send_interval))
            names = frozenset(self._series.names)
            for count, packed in out_metadata.requests(
                self._abouts(self._settings.tenant), names, config.max_samples_per_send
            ):
                outcome = await self._client.post(packed)
                if isinstance(outcome, Later | Refused):
                    self._complain(
                        "metadata", f"types and helps can't be told, the next try is next time: {outcome.reason}"
                    )
                    break
                self._metrics.metadata.labels(self.name).inc(count)

    # Telling ----------------------------------------------------------------------------------------------------

    def _count(self, outcome: str, samples: int) -> None:
        self._metrics.samples.labels(self.name, outcome).inc(samples)

    def _note(self, trouble: str) -> None:
        """The first failure and the recovery are logged, not each."""
        if trouble and not self._trouble:
            url = self._settings.url.partition("?")[0]  # tokens stand in queries
            log.warning("remote write to %s (%s) fails, samples wait on disk: %s", self.name, url, trouble)
        elif self._trouble and not trouble:
            log.info("remote write to %s works again", self.name)
        self._trouble = trouble
        self._metrics.failing.labels(self.name).set(1 if trouble else 0)

    def _complain(self, about: str, text: str) -> None:
        now = self._clock.monotonic()
        if now - self._told.get(about, -_TELL_S) >= _TELL_S:
            self._told[about] = now
            log.error("remote write to %s: %s", self.name, text)
