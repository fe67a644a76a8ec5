"""What the sampler knows of containers besides their cgroups, shared by its sources."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from agent.model import FoundContainer, Inventory, LogSource
from agent.sample.namespaces import NetworkNamespace
from deckwatch.wire.model import Labels


class Running(msgspec.Struct, frozen=True):
    """A container whose cgroup is there, as of the cgroup source's last look."""

    id: str
    labels: Labels
    pid: int  # of its first process that is known; 0: none


class InventoryView:
    """The inventory as of this sweep, and where its containers' cgroups are or last were.

    Discovery works on the event loop, the sources on threads of their own: they see whole copies, taken at the
    beginning of a sweep. The paths are written by the cgroup source alone; single dictionary operations are atomic.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._changed = True
        self.containers: dict[str, FoundContainer] = {}
        self.changed = True
        """Since the cgroup source looked last; it sets it back."""
        self.paths: dict[str, str] = {}
        """Path of the cgroup by container id; kept when the container has ended, as long as its engine lists it."""
        self.oom_kills: dict[str, int] = {}
        """By container id, over all runs of the container. Written by the workload source; empty without one."""
        self.namespaces: dict[str, NetworkNamespace] = {}
        """By container id. Written by the cgroup source."""
        self.running: dict[str, Running] = {}
        """By path of the cgroup. Replaced as a whole by the cgroup source at each look."""
        self.log_folders: dict[str, tuple[str, ...]] = {}
        """By container id: where its log files are."""
        inventory.on_change(self._note_change)

    def refresh(self) -> None:
        if self._changed:
            self._changed = False
            self.changed = True
            self.log_folders = log_folders(self._inventory.sources.values())
        self.containers = dict(self._inventory.containers)

    def forget_removed(self, live: set[str]) -> None:
        """Drop the paths of containers that neither live nor are listed."""
        for ident in [ident for ident in self.paths if ident not in live and ident not in self.containers]:
            del self.paths[ident]

    def _note_change(self) -> None:
        self._changed = True


def log_folders(sources: Iterable[LogSource]) -> dict[str, tuple[str, ...]]:
    folders: dict[str, set[str]] = {}
    for source in sources:
        if source.container is not None:
            folders.setdefault(source.container.id, set()).add(os.path.dirname(source.path))  # noqa: PTH120 - text alone
    return {ident: tuple(sorted(found)) for ident, found in folders.items()}
