"""Scrapes, put together in the order in which data flows:

discoveries -> labels -> (relabelling) target -> loop: fetch -> series table -> frame -> spool
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from agent.model import Inventory
from agent.scrape.find.discovery import Discovery
from agent.scrape.find.docker import CONTAINERS_JOB, ContainerTargets, asking, described
from agent.scrape.find.listed import FileTargets, StaticTargets
from agent.scrape.job import Job, Places
from agent.scrape.loop import Emit, Room, TargetLoop
from agent.scrape.metrics import ScrapeMetrics
from agent.scrape.settings import JobSettings, ScrapeSettings
from agent.scrape.status import TargetStatus
from deckwatch.runtime.clock import Clock


class Scraper:
    """Built and run inside the event loop; frames are handed to `emit` there."""

    def __init__(
        self,
        settings: ScrapeSettings,
        inventory: Inventory,
        emit: Emit,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """Raises Unusable where a job's files of TLS can't be used, or a server's address is missing."""
        self._settings = settings
        self._inventory = inventory
        self.metrics = ScrapeMetrics(registry)
        room, places = Room(settings.max_series, self.metrics), Places(settings.max_targets)
        self.jobs = [
            Job(job, settings, list(discoveries), room, places, emit, clock, self.metrics)
            for job, discoveries in self._jobs()
        ]
        inventory.on_change(self._wake)

    @property
    def loops(self) -> list[TargetLoop]:
        return [loop for job in self.jobs for loop in job.loops]

    def targets(self) -> list[TargetStatus]:
        return [loop.status() for loop in self.loops]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for job in self.jobs:
                tasks.create_task(job.run(), name=f"scrape {job.job.job_name}")

    def _jobs(self) -> Iterator[tuple[JobSettings, Iterator[Discovery]]]:
        for job in self._settings.jobs:
            yield job, self._discoveries(job)
        containers = self._settings.containers
        if containers.enabled:
            job = JobSettings(job_name=CONTAINERS_JOB, sample_limit=containers.sample_limit)
            asked = ContainerTargets(self._inventory, lambda found: asking(found, containers))
            yield job, iter([asked])

    def _discoveries(self, job: JobSettings) -> Iterator[Discovery]:
        """Those that speak to somebody are loaded when they are asked for."""
        if job.static_configs:
            yield StaticTargets(job.static_configs)
        for file in job.file_sd_configs:
            yield FileTargets(file)
        for docker in job.docker_sd_configs:
            yield ContainerTargets(self._inventory, lambda found, docker=docker: described(found, docker))  # type: ignore[misc]
        for dns in job.dns_sd_configs:
            from agent.scrape.find.dns import DnsTargets

            yield DnsTargets(dns)
        for kubernetes in job.kubernetes_sd_configs:
            from agent.scrape.find.kubernetes import PodTargets

            yield PodTargets(kubernetes)
        for consul in job.consul_sd_configs:
            from agent.scrape.find.consul import ConsulTargets

            yield ConsulTargets(consul)

    def _wake(self) -> None:
        for job in self.jobs:
            job.wake()
