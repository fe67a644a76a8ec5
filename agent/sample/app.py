"""The sampler: every source looked at once a sweep, each within its own time.

`Sampler` builds its objects in the order in which data flows: where the cgroups are, what the inventory knows, the
sources, and a thread for each source that asks the kernel for something.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

from prometheus_client import CollectorRegistry

from agent.model import Inventory
from agent.sample.containers import ContainerSource
from agent.sample.filesystem import FilesystemSource
from agent.sample.hardware import HardwareSource
from agent.sample.hierarchy import Hierarchies, Layout, find_hierarchies
from agent.sample.host import HostSource
from agent.sample.inventory_view import InventoryView
from agent.sample.kept import DescriptorPool
from agent.sample.layers import LayerSource
from agent.sample.metrics import FaultLog, SampleMetrics
from agent.sample.processes import ProcessSource
from agent.sample.readers import CgroupReaders
from agent.sample.settings import SampleSettings
from agent.sample.source import Answers, Source, SourceThread
from agent.sample.state import StateSource
from agent.sample.units import UnitSource
from agent.sample.workload.source import WorkloadSource, boot_id
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Samples

_CLOSE_TIMEOUT_S = 1.0
_TURN_S = 0.1
"""A source that takes longer is slow: the next ones look beside it."""


class Sampler:
    """Draw `frames` to its end every interval, from a thread that isn't the event loop's (not always the same one, but
    never two at once): it waits for at most the sources' time. `close` once at the end."""

    def __init__(
        self,
        settings: SampleSettings,
        inventory: Inventory,
        host_root: str,
        clock: Clock,
        host: str,
        *,
        registry: CollectorRegistry,
        state_dir: Path | None = None,
    ) -> None:
        """`host_root`: where the host's root directory is seen from here (`/`, or `/host` in a container). `host`:
        the name that the agent gives the host. `state_dir`: where counters of workloads are kept; without it there are
        none."""
        self._settings = settings
        self._clock = clock
        self._metrics = SampleMetrics(registry)
        faults = FaultLog(self._metrics)
        self.hierarchies: Hierarchies = find_hierarchies(host_root)
        self._view = InventoryView(inventory)
        self._pool = DescriptorPool(settings.max_open_files)
        self._answers = Answers()
        cgroups = "cgroup" in settings.sources and self.hierarchies.layout is not Layout.NONE
        workloads: WorkloadSource | None = None
        self._leaders: list[SourceThread] = []
        self._cgroup: SourceThread | None = None
        if cgroups:
            workloads = self._workloads(inventory, host_root, state_dir)
            containers = ContainerSource(
                settings,
                self.hierarchies,
                host_root,
                self._view,
                self._pool,
                faults,
                holders=workloads.holders() if workloads else (),
                looks=workloads.looks if workloads else None,
            )
            self._cgroup = self._lead(containers)
        if "host" in settings.sources:
            self._lead(HostSource(settings, host_root, host, self._pool, faults))
        if "hardware" in settings.sources:
            self._lead(HardwareSource(settings, host_root, faults))
        if "filesystem" in settings.sources:
            self._lead(FilesystemSource(settings, host_root, faults))
        if "unit" in settings.sources and self.hierarchies.layout is not Layout.NONE:
            readers = CgroupReaders(self.hierarchies, self._pool, faults)
            self._lead(UnitSource(settings, readers, faults, self._metrics.left_out))
        if "process" in settings.sources:
            self._lead(ProcessSource(settings, host_root, faults))
        self._followers: list[SourceThread] = []
        if workloads is not None:
            self._follow(workloads)
        if "layer" in settings.sources and cgroups:
            self._follow(LayerSource(settings, host_root, self._view, faults))
        if "state" in settings.sources:
            self._follow(StateSource(settings.tenant, self._view, cgroups=cgroups))

    def _workloads(self, inventory: Inventory, host_root: str, state_dir: Path | None) -> WorkloadSource | None:
        settings = self._settings
        if state_dir is None or "workload" not in settings.sources:
            return None
        boot = boot_id(host_root)
        return WorkloadSource(settings.workload, settings.tenant, state_dir, boot, inventory, self._view)

    def frames(self) -> Iterator[list[Samples]]:
        """A sweep: frames as they come, several at a time where nothing has to be waited for. Sources look one after
        another, since threads that all want the interpreter cost twice the time; but who is slow holds up nobody: the
        next one begins after `_TURN_S`.

        `ended` of a frame tells once of each target that has gone. A source that did not answer in its time is not
        waited for again: its frame comes with the sweep in which it answers at last.
        """
        now_ns = self._clock.now_ns()
        self._view.refresh()
        found = self._answered({}, 0.0)  # looks that were late before
        waiting, followers = deque(self._leaders), deque(self._followers)
        awaited: dict[SourceThread, float] = {}
        while waiting or awaited or followers:
            if followers and self._cgroup not in awaited and self._cgroup not in waiting:
                waiting += followers
                followers.clear()
            if waiting:
                thread, begun = waiting.popleft(), time.monotonic()
                if thread.begin(now_ns):
                    awaited[thread] = begun + self._settings.budget_s
                    found += self._answered(awaited, begun + _TURN_S, thread)
                if thread not in awaited:
                    continue
            if found:
                yield found
            found = [] if waiting else self._answered(awaited, min(awaited.values()))
            for thread in [thread for thread, until in awaited.items() if until <= time.monotonic()]:
                del awaited[thread]
                thread.note_late()
        if found:
            yield found
        self._metrics.open_files.set(self._pool.kept)

    def sweep(self) -> list[Samples]:
        """All frames of one sweep."""
        return [frame for some in self.frames() for frame in some]

    def _lead(self, source: Source) -> SourceThread:
        self._leaders.append(SourceThread(source, self._metrics, self._answers))
        return self._leaders[-1]

    def _follow(self, source: Source) -> None:
        """Of a source that builds on what the cgroup source found in the same sweep (the paths that are the ids)."""
        self._followers.append(SourceThread(source, self._metrics, self._answers))

    def _answered(
        self, awaited: dict[SourceThread, float], until: float, wanted: SourceThread | None = None
    ) -> list[Samples]:
        """Frames of looks that are over, taken out of `awaited`: all that are there, or else the next one; those up to
        the one of `wanted`. `until` is how long that may take."""
        found: list[Samples] = []
        while True:
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return found
            awaited.pop(answer.thread, None)
            found += answer.thread.take(answer)
            if wanted is None:
                until = 0.0
            elif answer.thread is wanted:
                return found

    def close(self) -> None:
        for thread in (*self._leaders, *self._followers):
            thread.close(_CLOSE_TIMEOUT_S)
