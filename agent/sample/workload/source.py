"""The source `workload`: counters of services, jobs and pods' owners that go on when their containers are replaced.

cgroup source (meter) -> looks  \\
discovery             -> events -> ledger -> workloads.msgpack -> frame
"""

from __future__ import annotations

import logging
from collections import Counter as Tally
from collections import deque
from pathlib import Path

from agent.model import ContainerState, Inventory
from agent.sample.inventory_view import InventoryView
from agent.sample.kept import read_once
from agent.sample.workload import kept
from agent.sample.workload.frame import SOURCE, frame
from agent.sample.workload.key import WorkloadKey
from agent.sample.workload.ledger import Ledger
from agent.sample.workload.look import MOST_LOOKS, Look
from agent.sample.workload.settings import WorkloadSettings
from deckwatch.wire.model import Event, Labels, Samples

log = logging.getLogger(__name__)

MOST_EVENTS = 50_000
"""Kept for a reader that is late; the oldest go. Far more than an engine can make between two looks."""


class WorkloadSource:
    """`holders` before the first look; `look` from one thread."""

    name = SOURCE

    def __init__(
        self,
        settings: WorkloadSettings,
        tenant: str,
        folder: Path,
        boot: str,
        inventory: Inventory,
        view: InventoryView,
    ) -> None:
        """`boot`: see `boot_id`."""
        self._tenant = tenant
        self._folder = folder
        self._view = view
        self._ledger = Ledger(settings, kept.load(folder), boot)
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._ended: list[Labels] = []
        self.looks: deque[Look] = deque(maxlen=MOST_LOOKS)
        """Where the cgroup source leaves what it has read."""
        inventory.on_event(self._hear)

    def holders(self) -> list[str]:
        """Groups that were known to hold containers."""
        return [path for path, node in self._ledger.state.nodes.items() if node.holds]

    def look(self, now_ns: int) -> Samples:
        """Raises OSError where the counters can't be kept: then nothing is sent that might be taken back."""
        last: Look | None = None
        while self.looks:
            last = self.looks.popleft()
            self._ended += [key.labels() for key in self._ledger.take(last, self._drain_events())]
        kept.save(self._folder, self._ledger.state)
        lives = self._ledger.lives.known
        self._view.oom_kills = {ident: life.oom_kills for ident, life in lives.items()}
        ended, self._ended = self._ended, []
        working_sets, states = ({}, None) if last is None else self._gauges(last)
        return frame(now_ns, self._tenant, self._ledger.state.totals, working_sets, states, ended)

    def close(self) -> None:
        """What was told since the last look is kept too."""
        self._ledger.hear(self._drain_events())
        try:
            kept.save(self._folder, self._ledger.state)
        except OSError as error:
            log.warning("%s: %s; the last events of containers are not counted", self._folder, error.strerror)

    def _hear(self, event: Event) -> None:
        """In the event loop's thread."""
        self._events.append(event)

    def _drain_events(self) -> list[Event]:
        return [self._events.popleft() for _ in range(len(self._events))]

    def _gauges(self, look: Look) -> tuple[dict[WorkloadKey, int], dict[WorkloadKey, Tally[ContainerState]]]:
        working_sets: Tally[WorkloadKey] = Tally()
        states: dict[WorkloadKey, Tally[ContainerState]] = {}
        for group in look.groups:
            key = self._ledger.key(group.id, group.path)
            if group.working_set_bytes is not None:
                working_sets[key] += group.working_set_bytes
            if group.id not in look.containers:
                states.setdefault(key, Tally())[ContainerState.RUNNING] += 1
        for ident, found in look.containers.items():
            states.setdefault(self._ledger.key(ident, ""), Tally())[found.state] += 1
        return working_sets, states


def boot_id(host_root: str) -> str:
    """Another one after each start of the kernel; empty where there is none (a recorded tree)."""
    return (read_once(host_root.rstrip("/") + "/proc/sys/kernel/random/boot_id") or b"").decode().strip()
