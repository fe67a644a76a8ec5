"""The cgroup source's part of it: what it read of containers, and the groups above and beside them, as one `Look`.

Runs in the cgroup source's thread, beside its readings: `begin` before them, `take` for each, `end` behind them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Mapping

from agent.sample import flat
from agent.sample.attribution import GroupKind
from agent.sample.group import Group
from agent.sample.hierarchy import Hierarchies, Layout
from agent.sample.inventory_view import InventoryView
from agent.sample.kept import DescriptorPool, KeptFile, read_once
from agent.sample.metrics import Faults
from agent.sample.network import InterfaceCounters
from agent.sample.reading import CgroupReading, DeviceIo
from agent.sample.tree import CgroupTree
from agent.sample.workload.look import DirectoryLook, GroupLook, Look

MOST_NEIGHBOURS = 200
"""Groups beside a host's containers (services in system.slice) that are read for their sake; where there are more, the
CPU time of containers that nobody could read is not looked for there."""

ENGINES_OWN = frozenset({"docker", "ecs", "garden", "kubepods", "libpod_parent", "lxc", "mesos", "nomad"})
"""Top groups that engines make for nothing but containers: known before the first one is seen in them. What else holds
containers (system.slice, a parent of the user's choice) is known when one is."""


class Meter:
    def __init__(
        self,
        hierarchies: Hierarchies,
        tree: CgroupTree,
        view: InventoryView,
        pool: DescriptorPool,
        faults: Faults,
        *,
        holders: Iterable[str],
        looks: deque[Look],
    ) -> None:
        """`holders`: paths of groups that are known to hold containers. `looks`: where each look is left."""
        self._tree = tree
        self._view = view
        self._pool = pool
        self._faults = faults
        self._holders = set(holders)
        self._v2 = hierarchies.layout is Layout.V2
        self._usage_root = hierarchies.v2 if self._v2 else hierarchies.v1.get("cpuacct", "")
        self._format = flat.Keyed("usage_usec")
        self._files: dict[str, tuple[int, KeptFile]] = {}
        self._inodes: dict[str, int] = {}
        self._directories: dict[str, DirectoryLook] = {}
        self._fresh: frozenset[str] = frozenset()
        self._groups: list[GroupLook] = []
        self._looked = False
        self._looks = looks

    def begin(self, groups: Mapping[str, Group]) -> None:
        """Before the containers are read: what they use meanwhile then counts as theirs, not as an ended one's."""
        groups = {path: group for path, group in groups.items() if self._is_container(path)}
        self._groups = []
        self._fresh = self._tree.fresh if self._looked else frozenset()
        for path in [path for path in self._inodes if path not in groups]:
            del self._inodes[path]
        for path in groups:
            if path not in self._inodes:
                self._inodes[path] = self._inode(path)
        self._directories = dict(self._read_directories(groups)) if self._usage_root else {}

    def take(self, group: Group, reading: CgroupReading, network: tuple[InterfaceCounters, ...]) -> None:
        if group.path not in self._inodes:  # a unit
            return
        inode = self._inode(group.path)
        same = inode == self._inodes[group.path]  # else it was made anew while it was read: whose are the figures?
        self._inodes[group.path] = inode
        self._groups.append(group_look(group, reading, network, inode if same else 0))

    def end(self, now_ns: int) -> None:
        self._looked = True
        containers = self._view.containers
        self._looks.append(Look(now_ns, tuple(self._groups), self._directories, self._fresh, containers))

    def close(self) -> None:
        for _, file in self._files.values():
            file.close()
        self._files.clear()

    def _is_container(self, path: str) -> bool:
        """Those that only the engine tells of aren't in the tree."""
        identity = self._tree.groups.get(path)
        return identity is None or identity.kind is GroupKind.CONTAINER

    def _inode(self, path: str) -> int:
        try:
            return os.stat(self._tree.root + path).st_ino  # noqa: PTH116 - several for each container and look
        except OSError:
            return 0  # gone: its end is noticed elsewhere

    def _read_directories(self, groups: Mapping[str, Group]) -> Iterable[tuple[str, DirectoryLook]]:
        wanted = self._wanted(groups)
        for path in [path for path in self._files if path not in wanted]:
            self._files.pop(path)[1].close()
        for path, holds in wanted.items():
            inode = self._inode(path)
            usage_ns = self._usage_ns(path, inode) if inode else None
            if usage_ns is not None:
                yield path, DirectoryLook(inode, usage_ns, holds)

    def _wanted(self, groups: Mapping[str, Group]) -> dict[str, bool]:
        """Paths of groups that hold containers (True), and of their neighbours."""
        self._holders |= {f"/{name}" for name in ENGINES_OWN & self._tree.children("")} - groups.keys()
        for path in groups:
            self._holders |= set(above(path, groups))
        self._holders = {path for path in self._holders if path in self._tree}
        wanted: dict[str, bool] = {}
        for path in self._holders:
            children = {f"{path}/{name}" for name in self._tree.children(path)}
            neighbours = children - self._holders - groups.keys()
            if len(neighbours) <= MOST_NEIGHBOURS and not self._has_processes(path):
                wanted |= dict.fromkeys(neighbours, False)
                wanted[path] = True
        return wanted

    def _has_processes(self, path: str) -> bool:
        """Of its own, beside the groups in it: what those use can't be told from the rest. cgroup v2 forbids it."""
        if self._v2:
            return False
        try:
            return bool(read_once(f"{self._tree.root}{path}/cgroup.procs"))
        except OSError as error:
            self._faults.note(path, error)
            return True

    def _usage_ns(self, path: str, inode: int) -> int | None:
        known, file = self._files.get(path, (0, None))
        if file is None or known != inode:
            if file is not None:
                file.close()
            name = "cpu.stat" if self._v2 else "cpuacct.usage"
            file = KeptFile(f"{self._usage_root}{path}/{name}", self._pool)
            self._files[path] = (inode, file)
        try:
            text = file.read()
            value = self._format.pick(text)[0] if self._v2 else flat.number(text)
        except (OSError, ValueError) as error:
            self._faults.note(file.path, error)
            return None
        return value * 1000 if self._v2 and value is not None else value


def above(path: str, groups: Mapping[str, object]) -> list[str]:
    """The groups that hold it, without the root; none for a container inside another one, whose counters hold its."""
    parts = path.split("/")
    ancestors = ["/".join(parts[:end]) for end in range(2, len(parts))]
    return [] if any(ancestor in groups for ancestor in ancestors) else ancestors


def group_look(group: Group, reading: CgroupReading, network: tuple[InterfaceCounters, ...], inode: int) -> GroupLook:
    claim = group.claim
    return GroupLook(
        path=group.path,
        id=group.id,
        inode=inode,
        cpu_ns=reading.cpu.usage_ns,
        read_bytes=_total([device.read_bytes for device in _counted(reading.io)]),
        written_bytes=_total([device.write_bytes for device in _counted(reading.io)]),
        oom_kills=reading.memory.oom_kill,
        working_set_bytes=reading.memory.working_set_bytes,
        network="" if claim is None else claim.namespace or group.path,
        received_bytes=_total([one.receive_bytes for one in network]),
        sent_bytes=_total([one.transmit_bytes for one in network]),
    )


def _counted(devices: tuple[DeviceIo, ...]) -> list[DeviceIo]:
    return [device for device in devices if device.counted]


def _total(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
