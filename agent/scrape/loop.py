"""One target, scraped in its slot of the interval until cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from agent.scrape.fetch import Answer, Outcome, ScrapeFault, fetch
from agent.scrape.frames import Report, ending_frames, scrape_frames, series_labels
from agent.scrape.metrics import ScrapeMetrics
from agent.scrape.status import TargetStatus
from agent.scrape.table import Count, LimitReached, SeriesRules, SeriesTable
from agent.scrape.target import Target
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.http_client import HttpClient
from deckwatch.wire.model import Samples, ScrapeTarget

log = logging.getLogger(__name__)

_READ_ELSEWHERE_BYTES = 256 << 10
"""A larger answer is read in a thread: logs must not wait for it."""

Emit = Callable[[Samples], object]


class Room:
    """How many series all targets may have together."""

    def __init__(self, most: int, metrics: ScrapeMetrics) -> None:
        self._most = most
        self._taken: dict[str, int] = {}
        self._total = 0
        self._metrics = metrics

    def has(self, key: str, series: int) -> bool:
        return self._total - self._taken.get(key, 0) + series <= self._most

    def take(self, key: str, series: int) -> None:
        self._total += series - self._taken.get(key, 0)
        self._taken[key] = series
        self._metrics.series.set(self._total)

    def give_back(self, key: str) -> None:
        self.take(key, 0)
        del self._taken[key]


class JobContext(msgspec.Struct, frozen=True):
    """What the loops of a job share."""

    name: str
    tenant: str
    client: HttpClient
    rules: SeriesRules
    body_limit_bytes: int
    room: Room
    metrics: ScrapeMetrics
    emit: Emit


def slot_wait_s(key: str, interval_s: float, now_ns: int) -> float:
    """Seconds to the target's slot: its hash spreads targets over the interval, the same after every restart."""
    interval_ns = int(interval_s * 1e9)
    return (int(key, 16) % interval_ns - now_ns) % interval_ns / 1e9


class TargetLoop:
    def __init__(self, target: Target, context: JobContext, clock: Clock) -> None:
        self.target = target
        self.trouble = ""
        """Why the last scrape failed."""
        self._context = context
        self._clock = clock
        self._parts = 0  # frames of the last scrape
        self._scraped_ns, self._last = 0, Report(up=False, duration_s=0.0)
        self._table = SeriesTable(dict(target.labels), dict(target.soft), context.rules)

    async def run(self) -> None:
        """Until cancelled; then the target's series end."""
        interval_s = self.target.interval_s
        due = self._clock.monotonic() + slot_wait_s(self.target.key, interval_s, self._clock.now_ns())
        try:
            while True:
                await self._clock.sleep(due - self._clock.monotonic())
                await self.scrape()
                due += interval_s
                missed = max(0, -int((due - self._clock.monotonic()) // interval_s))
                if missed:
                    self._context.metrics.skipped.labels(self._context.name).inc(missed)
                    due += missed * interval_s
        finally:
            self._context.room.give_back(self.target.key)

    def status(self) -> TargetStatus:
        return TargetStatus(
            job=self._context.name,
            url=self.target.url,
            labels=series_labels(self.target),
            up=self._last.up if self._scraped_ns else None,
            trouble=self.trouble,
            scraped_ns=self._scraped_ns,
            duration_s=self._last.duration_s,
            samples=self._last.count.kept,
        )

    def known(self) -> ScrapeTarget:
        """As the collector is told of it."""
        target = self.target
        labels = series_labels(target)
        return ScrapeTarget(target.url, target.discovered, labels, target.interval_s, target.timeout_s, self.trouble)

    def end(self) -> None:
        """Tell that nobody scrapes it any more."""
        parts = range(self._parts)
        for frame in ending_frames(self.target, self._context.tenant, self._clock.now_ns(), parts):
            self._context.emit(frame)
        self._parts = 0

    async def scrape(self) -> None:
        ts_ns, begun = self._clock.now_ns(), self._clock.monotonic()
        context, outcome, count = self._context, Outcome.OK, Count()
        try:
            answer = await fetch(self.target, context.client, limit_bytes=context.body_limit_bytes)
            count = await self._read(answer)
            self._note("")
        except ScrapeFault as fault:
            outcome = fault.outcome
            self._note(str(fault))
        except Exception as error:  # a supervised loop: one target's fault must not end the others
            outcome = Outcome.UNEXPECTED
            self._note(f"{error!r}; please report this")
        context.metrics.scrapes.labels(context.name, outcome.value).inc()
        context.metrics.duplicates.labels(context.name).inc(count.duplicates)
        report = Report(outcome is Outcome.OK, self._clock.monotonic() - begun, count)
        self._scraped_ns, self._last = ts_ns, report
        about = self._table.descriptions.to_tell(self._table.names, begun) if report.up else ()
        frames = scrape_frames(self.target, context.tenant, ts_ns, report, self._table, self._parts, about)
        for frame in frames:
            context.emit(frame)
        self._parts = sum(1 for frame in frames if frame.targets)
        context.room.take(self.target.key, len(self._table))
        self._table.tidy()

    async def _read(self, answer: Answer) -> Count:
        try:
            if len(answer.body) < _READ_ELSEWHERE_BYTES:
                return self._parse(answer)
            return await asyncio.to_thread(self._parse, answer)
        except Reject as fault:
            outcome = Outcome.LIMIT if isinstance(fault, LimitReached) else Outcome.MALFORMED
            raise ScrapeFault(outcome, str(fault)) from None

    def _parse(self, answer: Answer) -> Count:
        key, room = self.target.key, self._context.room
        return self._table.read(answer.body, openmetrics=answer.openmetrics, room=lambda size: room.has(key, size))

    def _note(self, trouble: str) -> None:
        """The first failure and the recovery are logged, not each."""
        if trouble and not self.trouble:
            log.warning("scrape of %s (job %s) failed: %s", self.target.url, self._context.name, trouble)
        elif self.trouble and not trouble:
            log.info("scrape of %s (job %s) works again", self.target.url, self._context.name)
        self.trouble = trouble
