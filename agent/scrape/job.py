"""One job: its discoveries look, what they find becomes targets, each target has its loop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Count
from collections.abc import Sequence

from agent.scrape.find.discovery import Discovery, Looker
from agent.scrape.loop import Emit, JobContext, Room, TargetLoop
from agent.scrape.metrics import ScrapeMetrics
from agent.scrape.pool import LOOK_S, Telling, least_known, pool_frames
from agent.scrape.settings import JobSettings, ScrapeSettings
from agent.scrape.table import SeriesRules
from agent.scrape.target import Found, Target, discovered, distinct, job_defaults, make_target
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.durations import size_bytes
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.http_client import HttpClient
from deckwatch.wire.model import Labels

log = logging.getLogger(__name__)

INVALID, OVER_LIMIT = "invalid", "limit"


class Places:
    """How many targets all jobs may have together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, int] = {}

    def left(self, job: str) -> int:
        return self._most - sum(count for name, count in self._taken.items() if name != job)

    def take(self, job: str, count: int) -> None:
        self._taken[job] = count


class Job:
    def __init__(
        self,
        job: JobSettings,
        settings: ScrapeSettings,
        discoveries: Sequence[Discovery],
        room: Room,
        places: Places,
        emit: Emit,
        clock: Clock,
        metrics: ScrapeMetrics,
    ) -> None:
        """Raises Unusable where its TLS files can't be used. Inside the event loop."""
        self.job = job
        self._defaults = job_defaults(job, settings)
        self._clock = clock
        self._metrics = metrics
        self._places = places
        rules = SeriesRules(
            relabelling=tuple(rule.rule() for rule in job.metric_relabel_configs),
            honor_labels=job.honor_labels,
            sample_limit=job.sample_limit,
            label_limit=job.label_limit,
            label_name_length_limit=job.label_name_length_limit,
            label_value_length_limit=job.label_value_length_limit,
        )
        limit_bytes = size_bytes(job.body_size_limit)
        self._client = HttpClient(job)
        self._context = JobContext(job.job_name, settings.tenant, self._client, rules, limit_bytes, room, metrics, emit)
        self._lookers = [Looker(one, job.job_name, self._look_again, clock, metrics) for one in discoveries]
        self._changed = asyncio.Event()
        self._loops: dict[str, tuple[TargetLoop, asyncio.Task[None]]] = {}
        self._told: Count[str] = Count()
        self._dropped: list[Labels] = []  # as discovered
        self._telling = Telling()

    @property
    def loops(self) -> list[TargetLoop]:
        return [loop for loop, _ in self._loops.values()]

    def wake(self) -> None:
        """The inventory has changed."""
        for looker in self._lookers:
            looker.wake()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for looker in self._lookers:
                    tasks.create_task(looker.run(), name=f"scrape {self.job.job_name}: discovery")
                tasks.create_task(self._tell_targets(), name=f"scrape {self.job.job_name}: targets")
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    self._follow(self._targets(), tasks)
        finally:
            await self._client.close()

    def _look_again(self) -> None:
        self._changed.set()

    def _targets(self) -> dict[str, Target]:
        """What is to be scraped now; the rest is counted by its reason, which is logged when it changes."""
        found = [one for looker in self._lookers for one in looker.found]
        left_out: Count[str] = Count()
        self._dropped = []
        targets = distinct(target for one in found if (target := self._target(one, left_out)) is not None)
        most = min(self.job.target_limit or len(targets), max(0, self._places.left(self.job.job_name)))
        if len(targets) > most:
            left_out[OVER_LIMIT] = len(targets) - most
            kept = [key for key in self._loops if key in targets] + [key for key in targets if key not in self._loops]
            self._dropped += [targets[key].discovered for key in kept[most:]]
            targets = {key: targets[key] for key in kept[:most]}
        self._places.take(self.job.job_name, len(targets))
        self._tell(len(targets), left_out)
        return targets

    def _target(self, found: Found, left_out: Count[str]) -> Target | None:
        target = None
        try:
            target = make_target(found, self.job, self._defaults)
        except Reject as fault:
            left_out[INVALID] += 1
            if left_out[INVALID] == 1 and not self._told[INVALID]:
                log.warning("job %s: a target is left out: %s", self.job.job_name, fault)
        if target is None:
            self._dropped.append(discovered(found, self._defaults))
        return target

    def _tell(self, targets: int, left_out: Count[str]) -> None:
        if left_out[OVER_LIMIT] and not self._told[OVER_LIMIT]:
            log.warning(
                "job %s: %d targets are left out: target_limit or agent.scrape.max_targets is reached",
                self.job.job_name, left_out[OVER_LIMIT],
            )  # fmt: skip
        self._told = left_out
        self._metrics.targets.labels(self.job.job_name).set(targets)
        for reason in (INVALID, OVER_LIMIT):
            self._metrics.left_out.labels(self.job.job_name, reason).set(left_out[reason])

    async def _tell_targets(self) -> None:
        """The collector knows of them what stands here."""
        while True:
            await self._clock.sleep(LOOK_S)
            known = least_known([loop.known() for loop in self.loops], self._dropped)
            if self._telling.is_due(known, self._clock.monotonic()):
                for frame in pool_frames(self.job.job_name, self._context.tenant, self._clock.now_ns(), known):
                    self._context.emit(frame)

    def _follow(self, targets: dict[str, Target], tasks: asyncio.TaskGroup) -> None:
        for key in [key for key in self._loops if key not in targets]:
            loop, task = self._loops.pop(key)
            task.cancel()
            loop.end()
        for key, target in targets.items():
            if key not in self._loops:
                loop = TargetLoop(target, self._context, self._clock)
                task = tasks.create_task(loop.run(), name=f"scrape {target.url}")
                self._loops[key] = (loop, task)
