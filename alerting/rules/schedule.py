"""When groups are evaluated: each at its interval, in a slot of its own; and at once when lines arrive that one of
its rules counts.

The slots are Prometheus' (rules/group.go): a group's offset in its interval comes from its name, so that groups don't
all run at once and a restart keeps to the same times. A slot that was missed is counted, not caught up with.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from prometheus_client import CollectorRegistry, Counter

from alerting.rules.evaluator import Evaluator
from alerting.rules.runs import GroupRun
from deckwatch.runtime.clock import Clock

log = logging.getLogger(__name__)
logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it tells of each run; missed ones are counted here


class Schedule:
    """Lives in one event loop: `start` and everything else is called from there, except `metrics_changed`."""

    def __init__(
        self, evaluator: Evaluator, clock: Clock, registry: CollectorRegistry, *, arrival_gap_s: float
    ) -> None:
        self._evaluator = evaluator
        self._clock = clock
        self._gap_s = arrival_gap_s
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived_at: dict[str, float] = {}
        self._due: dict[str, asyncio.TimerHandle] = {}
        self._slots: dict[str, int] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="rules")
        self._running: set[asyncio.Task[None]] = set()
        self._missed_slots = Counter(
            "deckwatch_alerting_group_slots_missed_total",
            "Evaluations that did not take place since the time for them had passed.",
            registry=registry,
        )
        self._broken = Counter(
            "deckwatch_alerting_group_failures_total",
            "Evaluations that ended in an unforeseen error.",
            registry=registry,
        )

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worker.submit(self._evaluator.warm)
        self._scheduler.start()

    def stop(self) -> None:
        self._loop = None
        for due in self._due.values():
            due.cancel()
        self._due.clear()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._worker.shutdown(wait=False, cancel_futures=True)

    def set_groups(self, groups: Iterable[GroupRun]) -> None:
        """Instead of those before."""
        self._scheduler.remove_all_jobs()
        self._slots.clear()
        for run in groups:
            key, interval_s = run.group.key, run.group.interval_ns / 1e9
            offset_s = slot_offset_s(key, interval_s)
            self._scheduler.add_job(
                self._slot,
                IntervalTrigger(
                    seconds=interval_s, start_date=next_slot(offset_s, interval_s, self._now()), timezone=UTC
                ),
                args=[key, interval_s, offset_s],
                id=key,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # late is better than not at all
            )

    def every(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        """Other work that comes again and again. Kept apart from groups: `set_groups` must come first."""

        async def job() -> None:
            work()

        self._scheduler.add_job(job, IntervalTrigger(seconds=seconds, timezone=UTC), id=name, coalesce=True)

    def metrics_changed(self, tenant: str, names: frozenset[str]) -> None:
        """Log metrics counted something. From any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._arrived, tenant, names)

    def _arrived(self, tenant: str, names: frozenset[str]) -> None:
        for key, run in self._evaluator.groups.items():
            if run.group.tenant != tenant or key in self._due or not run.asks_for(names):
                continue
            wait_s = self._arrived_at.get(key, float("-inf")) + self._gap_s - self._clock.monotonic()
            if self._loop is not None:
                self._due[key] = self._loop.call_later(max(0.0, wait_s), self._evaluate_arrival, key)

    def _evaluate_arrival(self, key: str) -> None:
        self._due.pop(key, None)
        self._arrived_at[key] = self._clock.monotonic()
        task = asyncio.get_running_loop().create_task(self._evaluate(key), name=f"rules {key} on arrival")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _slot(self, key: str, interval_s: float, offset_s: float) -> None:
        """The scheduler runs late slots as one, without a word: they are counted by their numbers."""
        number = round((self._now() - offset_s) // interval_s)
        missed = number - self._slots.get(key, number - 1) - 1
        self._slots[key] = number
        if missed > 0:
            self._missed_slots.inc(missed)
        await self._evaluate(key)

    async def _evaluate(self, key: str) -> None:
        """Behind an evaluation of the same group that goes on: each goes on from what the one before has left."""
        run, loop = self._evaluator.groups.get(key), self._loop
        if run is None or loop is None:
            return
        try:
            async with run.lock:
                outcome = await loop.run_in_executor(self._worker, self._evaluator.compute, run, self._clock.now_ns())
                if self._loop is not None:  # else the stores are being closed
                    self._evaluator.apply(run, outcome)
        except asyncio.CancelledError:
            if self._loop is not None:
                raise  # else it was waiting for its turn when everything stopped
        except Exception:  # one group's unforeseen error must not end the others' evaluations
            self._broken.inc()
            log.exception(
                "the rule group %s could not be evaluated; it is tried again at its next time", run.group.name
            )

    def _now(self) -> float:
        return self._clock.now_ns() / 1e9


def slot_offset_s(key: str, interval_s: float) -> float:
    share = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
    return share * interval_s


def next_slot(offset_s: float, interval_s: float, now_s: float) -> datetime:
    """The first time after now that is the offset past a multiple of the interval."""
    base_s = (now_s // interval_s) * interval_s + offset_s
    at_s = base_s if base_s > now_s else base_s + interval_s
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=at_s)
