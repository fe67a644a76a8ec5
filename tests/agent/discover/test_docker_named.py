"""How soon a container is known by its name, as its engine starts many of them at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from tests.agent.discover.watching import Watcher, watching
from tests.fixtures.docker_engine import Engine
from tests.fixtures.short_lives import live, plans

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

CONTAINERS = 30
WITHIN_NS = 2_000_000_000


class Naming:
    """When each container was listed with its name and its workload for the first time (Unix ns)."""

    def __init__(self, watcher: Watcher) -> None:
        self.named_ns: dict[str, int] = {}
        self._watcher = watcher
        watcher.discovery.on_change(self._look)

    def _look(self) -> None:
        now_ns = time.time_ns()
        for ident, found in self._watcher.discovery.containers.items():
            if found.container.name and found.container.workload is not None:
                self.named_ns.setdefault(ident, now_ns)

    def started_ns(self) -> dict[str, int]:
        events = (event for event in self._watcher.events if event.action == "start" and event.container)
        return {event.container.id: event.ts_ns for event in events if event.container}


async def test_named_within_two_seconds_of_the_start(docker_engine: Engine, tmp_path: Path) -> None:
    docker = DockerSettings(socket=str(docker_engine.socket), containers_dir=str(docker_engine.containers_dir))
    account = tmp_path / "account"
    account.mkdir(mode=0o777)
    planned = plans(CONTAINERS, steps=(100, 20_000), sleep_s=(0.1, 1.0))
    async with watching(DiscoverSettings(docker=docker, cri=CriSettings(enabled=False))) as watcher:
        naming = Naming(watcher)
        lives = await asyncio.to_thread(live, docker_engine, account, planned, 4)
        await watcher.until(lambda: len(naming.started_ns().keys() & {life.id for life in lives}) == CONTAINERS, "told")
        started_ns = naming.started_ns()
    late = [life.id for life in lives if naming.named_ns.get(life.id, 1 << 62) - started_ns[life.id] > WITHIN_NS]
    assert len(late) <= CONTAINERS // 100, f"{len(late)} of {CONTAINERS} were not named in time"
