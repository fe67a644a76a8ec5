"""The source `cgroup`: every container on the host, those that no engine told us of included."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable

from agent.model import FoundContainer
from agent.sample.attribution import GroupKind, identify
from agent.sample.group import Group
from agent.sample.hierarchy import Hierarchies, Layout
from agent.sample.inventory_view import InventoryView, Running
from agent.sample.kept import DescriptorPool, read_once
from agent.sample.metrics import Faults
from agent.sample.namespaces import network_namespaces
from agent.sample.network import InterfaceCounters, network_namespace, owners, read_container_network
from agent.sample.process import boot_time_s
from agent.sample.readers import CgroupReaders
from agent.sample.reading import CgroupReading
from agent.sample.series import Rows
from agent.sample.settings import SampleSettings
from agent.sample.tree import CgroupTree
from agent.sample.workload.look import Look
from agent.sample.workload.meter import Meter
from deckwatch.wire.model import Column, Labels, Samples, Target

_HOST_NAMESPACE_PID = 1


class ContainerSource:
    name = "cgroup"

    def __init__(
        self,
        settings: SampleSettings,
        hierarchies: Hierarchies,
        host_root: str,
        view: InventoryView,
        pool: DescriptorPool,
        faults: Faults,
        *,
        holders: Iterable[str] = (),
        looks: deque[Look] | None = None,
    ) -> None:
        """`looks`: where each look is left for the counters of workloads; `holders` as of `Meter`."""
        self._settings = settings
        self._hierarchies = hierarchies
        self._proc = host_root.rstrip("/") + "/proc"
        self._view = view
        self._faults = faults
        kinds = {GroupKind.CONTAINER}
        if settings.systemd_units:
            kinds |= {GroupKind.UNIT, GroupKind.MACHINE}
        self._tree = CgroupTree(hierarchies.walked(), frozenset(kinds), faults)
        self._meter = (
            None if looks is None else Meter(hierarchies, self._tree, view, pool, faults, holders=holders, looks=looks)
        )
        self._readers = CgroupReaders(hierarchies, pool, faults, per_cpu=settings.per_cpu)
        self._device_names: dict[str, str] = {}
        self._rows = Rows(self._device_names)
        self._groups: dict[str, Group] = {}
        self._speaking: set[str] = set()
        self._boot_s: float | None = None
        self._look = -1

    def look(self, now_ns: int) -> Samples:
        self._look += 1
        slow = self._look % self._settings.slow_every == 0
        if slow:
            self._read_host_facts()
        changed, self._view.changed = self._view.changed, False
        ended = self._update_groups(fully=slow or changed)
        if self._meter is not None:
            self._meter.begin(self._groups)
        readings: list[tuple[Group, CgroupReading]] = []
        for path, group in list(self._groups.items()):
            turn = (self._look + group.number) % self._settings.slow_every == 0
            reading = group.read(limits=turn)
            if reading is None:
                ended += self._drop(path)
            else:
                readings.append((group, reading))
        self._share_networks()
        self._view.running = {path: Running(group.id, group.labels, group.pid) for path, group in self._groups.items()}
        frame = self._frame(now_ns, readings, ended)
        if self._meter is not None:
            self._meter.end(now_ns)
        return frame

    def close(self) -> None:
        for group in self._groups.values():
            group.close()
        self._groups.clear()
        if self._meter is not None:
            self._meter.close()

    def _read_host_facts(self) -> None:
        try:
            names = device_names(read_once(self._proc + "/diskstats") or b"")
            self._boot_s = boot_time_s(self._proc)
        except (OSError, ValueError) as error:
            self._faults.note(self._proc, error)
            return
        self._device_names.clear()
        self._device_names.update(names)

    def _update_groups(self, *, fully: bool) -> list[Labels]:
        """New groups, groups that went, and what the inventory newly tells of those that are there."""
        if self._hierarchies.layout is Layout.NONE:
            return []
        self._tree.look(fully=fully)
        containers = self._view.containers
        wanted = {path: identity.id for path, identity in self._tree.groups.items()}
        wanted |= self._told_paths(containers, wanted)
        ended: list[Labels] = []
        for path in [path for path in self._groups if path not in wanted]:
            ended += self._drop(path)
        for path, ident in wanted.items():
            group = self._groups.get(path)
            if group is None:
                group = Group(path, ident, self._readers.open(path), self._proc)
                self._groups[path] = group
                self._view.paths[ident] = path
            found = containers.get(ident)
            if found is not group.found:
                ended += group.describe(found)
        if fully:
            self._view.forget_removed(set(wanted.values()))
        return ended

    def _told_paths(self, containers: dict[str, FoundContainer], known: dict[str, str]) -> dict[str, str]:
        """Cgroups that only the engine can tell to be a container's (names of the user's own choice)."""
        told = {}
        for ident, found in containers.items():
            path = found.cgroup
            if path and path not in known and identify(path) is None and os.path.isdir(self._tree.root + path):  # noqa: PTH112 - as in CgroupReader
                told[path] = ident
        return told

    def _drop(self, path: str) -> list[Labels]:
        group = self._groups.pop(path)
        group.close()
        return [group.sent] if group.sent else []

    def _share_networks(self) -> None:
        claims = [group.claim for group in self._groups.values() if group.claim is not None]
        self._speaking = owners(claims, network_namespace(self._proc, _HOST_NAMESPACE_PID), self._speaking)
        told = ((group.id, group.claim) for group in self._groups.values())
        self._view.namespaces = network_namespaces(told, self._speaking)

    def _network(self, group: Group) -> tuple[InterfaceCounters, ...]:
        if group.path not in self._speaking or not group.pid:
            return ()
        try:
            return read_container_network(self._proc, group.pid)
        except (OSError, ValueError, TypeError) as error:
            self._faults.note(f"{self._proc}/{group.pid}/net/dev", error)
            return ()

    def _frame(self, now_ns: int, readings: list[tuple[Group, CgroupReading]], ended: list[Labels]) -> Samples:
        schemas: dict[int, int] = {}
        columns: list[tuple[Column, ...]] = []
        targets: list[Target] = []
        for group, reading in readings:
            times = group.times(now_ns, self._boot_s)
            network = self._network(group)
            if self._meter is not None:
                self._meter.take(group, reading, network)
            schema, values = self._rows.row(reading, times, network)
            place = schemas.get(id(schema.columns))  # `columns` keeps it alive, so no other gets its id
            if place is None:
                place = schemas[id(schema.columns)] = len(columns)
                columns.append(schema.columns)
            targets.append(Target(group.labels, place, values))
            group.sent = group.labels
        return Samples(
            source=self.name,
            ts_ns=now_ns,
            tenant=self._settings.tenant,
            schemas=tuple(columns),
            targets=tuple(targets),
            ended=tuple(ended),
        )


def device_names(diskstats: bytes) -> dict[str, str]:
    """`major:minor` -> /dev/name, from /proc/diskstats, as cAdvisor names a device."""
    names = {}
    for line in diskstats.splitlines():
        major, minor, name = line.split(None, 3)[:3]
        names[f"{major.decode()}:{minor.decode()}"] = "/dev/" + name.decode()
    return names
