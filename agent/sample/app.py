"""The sampler: every source looked at once a sweep, each within its own time.

`Sampler` builds its objects in the order in which data flows: where the cgroups are, what the inventory knows, the
sources, and a thread for each source that asks the kernel for something.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry

from agent.model import Inventory
from agent.sample.containers import ContainerSource
from agent.sample.filesystem import FilesystemSource
from agent.sample.hierarchy import Hierarchies, Layout, find_hierarchies
from agent.sample.host import HostSource
from agent.sample.inventory_view import InventoryView
from agent.sample.kept import DescriptorPool
from agent.sample.metrics import FaultLog, SampleMetrics
from agent.sample.settings import SampleSettings
from agent.sample.source import Source, SourceThread
from agent.sample.state import StateSource
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Samples

_CLOSE_TIMEOUT_S = 1.0


class Sampler:
    """`sweep` blocks for at most the sources' time: call it every interval, from one thread that isn't the event
    loop's. `close` once at the end."""

    def __init__(
        self,
        settings: SampleSettings,
        inventory: Inventory,
        host_root: str,
        clock: Clock,
        host: str,
        *,
        registry: CollectorRegistry,
    ) -> None:
        """`host_root`: where the host's root directory is seen from here (`/`, or `/host` in a container). `host`:
        the name that the agent gives the host."""
        self._settings = settings
        self._clock = clock
        self._metrics = SampleMetrics(registry)
        faults = FaultLog(self._metrics)
        self.hierarchies: Hierarchies = find_hierarchies(host_root)
        self._view = InventoryView(inventory)
        self._pool = DescriptorPool(settings.max_open_files)
        sources: list[Source] = []
        cgroups = "cgroup" in settings.sources and self.hierarchies.layout is not Layout.NONE
        if cgroups:
            sources.append(ContainerSource(settings, self.hierarchies, host_root, self._view, self._pool, faults))
        if "host" in settings.sources:
            sources.append(HostSource(settings, host_root, host, self._pool, faults))
        if "filesystem" in settings.sources:
            sources.append(FilesystemSource(settings, host_root, faults))
        self._threads = [SourceThread(source, self._metrics) for source in sources]
        self._state = StateSource(settings.tenant, self._view, cgroups=cgroups) if "state" in settings.sources else None

    def sweep(self) -> list[Samples]:
        """One frame a source that answered in time. `ended` of a frame tells once of each target that has gone."""
        now_ns = self._clock.now_ns()
        self._view.refresh()
        for thread in self._threads:
            thread.begin(now_ns)
        until = time.monotonic() + self._settings.budget_s
        frames = [frame for thread in self._threads if (frame := thread.collect(until)) is not None]
        if self._state is not None:  # last: by now the new containers' cgroups are found, whose paths are its ids
            frames.append(self._state.look(now_ns))
        self._metrics.open_files.set(self._pool.kept)
        return frames

    def close(self) -> None:
        for thread in self._threads:
            thread.close(_CLOSE_TIMEOUT_S)
