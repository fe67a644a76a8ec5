"""What the sampler knows of containers besides their cgroups, shared by its sources."""

from __future__ import annotations

from agent.model import FoundContainer, Inventory


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
        inventory.on_change(self._note_change)

    def refresh(self) -> None:
        if self._changed:
            self._changed = False
            self.changed = True
        self.containers = dict(self._inventory.containers)

    def forget_removed(self, live: set[str]) -> None:
        """Drop the paths of containers that neither live nor are listed."""
        for ident in [ident for ident in self.paths if ident not in live and ident not in self.containers]:
            del self.paths[ident]

    def _note_change(self) -> None:
        self._changed = True
