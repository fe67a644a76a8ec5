"""The source `state`: what an engine tells of its containers, those that have ended included.

It is a source of its own because its targets live longer: an exited container has no cgroup any more, but its exit
code is what an alert is about.
"""

from __future__ import annotations

import struct

import msgspec

from agent.model import ContainerState, FoundContainer, Health
from agent.sample.inventory_view import InventoryView
from agent.sample.labels import info_labels, namespace_labels, target_labels
from agent.sample.namespaces import NetworkNamespace
from deckwatch.wire.model import Column, Labels, Samples, Target

_HEALTH = {Health.NONE: -1, Health.STARTING: 0, Health.UNHEALTHY: 0, Health.HEALTHY: 1}
_CHECKED = (Health.STARTING, Health.HEALTHY, Health.UNHEALTHY)
_ENDED = (ContainerState.EXITED, ContainerState.DEAD)
_PATIENCE = 3
"""Looks to wait for the cgroup of a running container, whose path is to be its id; then its bare id must do."""

Series = tuple[tuple[Column, ...], bytes]


class Seen(msgspec.Struct, frozen=True):
    """What is known of a container besides its engine's word."""

    oom_kills: int | None = None  # over all its runs
    network: NetworkNamespace | None = None


NOTHING_SEEN = Seen()


def state_series(found: FoundContainer, seen: Seen = NOTHING_SEEN) -> Series:
    """Columns and values of what is known; the unknown makes no column. Pure."""
    columns = [Column("container_state", (("state", state.value),)) for state in ContainerState]
    values = [float(found.state is state) for state in ContainerState]
    columns.append(Column("container_health_state"))
    values.append(_HEALTH[found.health])
    for status in _CHECKED if found.health is not Health.NONE else ():
        columns.append(Column("container_health_status", (("status", status.value),)))
        values.append(found.health is status)
    if found.restart_count is not None:
        columns.append(Column("container_restarts_total"))
        values.append(found.restart_count)
    if found.exit_code is not None and found.state in _ENDED:
        columns.append(Column("container_exit_code"))
        values.append(found.exit_code)
    if found.finished_ns is not None and found.state in _ENDED:
        columns.append(Column("container_finish_time_seconds"))
        values.append(found.finished_ns / 1e9)
        if found.started_ns is not None and found.started_ns <= found.finished_ns:
            columns.append(Column("container_last_run_seconds"))
            values.append((found.finished_ns - found.started_ns) / 1e9)
    if found.oom_killed is not None:
        columns.append(Column("container_oom_killed"))
        values.append(found.oom_killed)
    if seen.oom_kills is not None:
        columns.append(Column("container_oom_kills_total"))
        values.append(seen.oom_kills)
    columns.append(Column("container_info", info_labels(found.container)))
    values.append(1)
    if namespaces := namespace_labels(found, seen.network):
        columns.append(Column("container_namespaces_info", namespaces))
        values.append(1)
    return tuple(columns), struct.pack(f"<{len(values)}d", *values)


class StateSource:
    """Looks only at memory; made anew for a container only when its engine told something new of it."""

    name = "state"

    def __init__(self, tenant: str, view: InventoryView, *, cgroups: bool) -> None:
        """`cgroups`: somebody looks for the containers' cgroups, so their paths are to be expected."""
        self._tenant = tenant
        self._view = view
        self._cgroups = cgroups
        self._made: dict[str, tuple[FoundContainer, Seen, Series]] = {}
        self._sent: dict[str, Labels] = {}
        self._waited: dict[str, int] = {}

    def look(self, now_ns: int) -> Samples:
        containers = self._view.containers
        schemas: dict[tuple[Column, ...], int] = {}
        targets: list[Target] = []
        ended = [labels for ident, labels in self._sent.items() if ident not in containers]
        for known in (self._sent, self._waited, self._made):
            for ident in [ident for ident in known if ident not in containers]:
                del known[ident]
        for ident, found in containers.items():
            path = self._path(ident, found)
            if path is None:
                continue
            labels = target_labels(path, found)
            before = self._sent.get(ident)
            if before is not None and before != labels:
                ended.append(before)
            self._sent[ident] = labels
            columns, values = self._series(ident, found)
            place = schemas.setdefault(columns, len(schemas))
            targets.append(Target(labels, place, values))
        return Samples(self.name, now_ns, self._tenant, tuple(schemas), tuple(targets), tuple(ended))

    def close(self) -> None:
        """Nothing is held."""

    def _path(self, ident: str, found: FoundContainer) -> str | None:
        """The cgroup's path, which is the `id` of the container's other series; None: not known yet."""
        if path := self._view.paths.get(ident) or found.cgroup:
            return path
        if self._cgroups and found.state is ContainerState.RUNNING:
            waited = self._waited[ident] = self._waited.get(ident, 0) + 1
            if waited <= _PATIENCE:
                return None
        return ident

    def _series(self, ident: str, found: FoundContainer) -> Series:
        seen = Seen(self._view.oom_kills.get(ident), self._view.namespaces.get(ident))
        made = self._made.get(ident)
        if made is None or made[0] is not found or made[1] != seen:
            made = self._made[ident] = (found, seen, state_series(found, seen))
        return made[2]
