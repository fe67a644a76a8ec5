"""Opens the reader of a cgroup, whichever of the kernel's two formats the host has."""

from __future__ import annotations

from agent.sample.cgroup1 import Cgroup1Reader, Formats1
from agent.sample.cgroup2 import Cgroup2Reader, Formats2
from agent.sample.cgroup_reader import CgroupReader
from agent.sample.hierarchy import Hierarchies, Layout
from agent.sample.kept import DescriptorPool
from agent.sample.metrics import Faults


class CgroupReaders:
    """For one thread: what its readers learn of the files' form they share."""

    def __init__(
        self, hierarchies: Hierarchies, pool: DescriptorPool, faults: Faults, *, per_cpu: bool = False
    ) -> None:
        self.root = hierarchies.walked()
        self._hierarchies = hierarchies
        self._pool = pool
        self._faults = faults
        self._per_cpu = per_cpu
        self._formats1, self._formats2 = Formats1(), Formats2()

    def open(self, path: str) -> CgroupReader:
        """`path`: of the group, below its mount."""
        if self._hierarchies.layout is Layout.V2:
            return Cgroup2Reader(self._hierarchies.v2 + path, self._formats2, self._pool, self._faults)
        return Cgroup1Reader(self._hierarchies, path, self._formats1, self._pool, self._faults, per_cpu=self._per_cpu)
