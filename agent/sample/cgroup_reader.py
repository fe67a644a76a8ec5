"""What both kernel formats share: the life of one group's files, its processes, and the failure of a part."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from agent.sample import flat
from agent.sample.kept import DescriptorPool, KeptFile
from agent.sample.metrics import Faults
from agent.sample.reading import (
    CgroupReading,
    CpuReading,
    DeviceIo,
    Limits,
    MemoryReading,
    PressureReading,
    TaskReading,
)

T = TypeVar("T")

_NO_CPU = CpuReading()
_NO_MEMORY = MemoryReading()
_NO_PRESSURE = PressureReading()
_NO_TASKS = TaskReading()


class CgroupReader(ABC):
    """The files of one cgroup. Subclasses say where they are and what stands in them.

    `read` gives None once the group is gone. A group that came back under the same path (a restarted container) is
    opened anew: its counters begin at 0 again.
    """

    def __init__(self, pool: DescriptorPool, faults: Faults, directory: str) -> None:
        """`directory`: where cgroup.procs is read and the group's end is noticed."""
        self._pool = pool
        self._faults = faults
        self._directory = directory
        self._files: list[KeptFile] = []
        self._procs = self._keep(directory, "cgroup.procs")
        self._procs_text = b""
        self._inner_procs: list[KeptFile] = []
        self._limits = Limits()
        self._limits_read = False

    def read(self, *, limits: bool, processes: bool = True) -> CgroupReading | None:
        """One look. With `limits` (and at the first look) what changes rarely is read too, else kept. Without
        `processes` those of the groups below are not looked for: of a slice that would be very many."""
        procs = self._read_procs()
        if procs is None:  # removed; or another group has its name now; or a threaded group, which lists none
            self.close()
            if not os.path.isdir(self._directory):  # noqa: PTH112 - Path.is_dir raises where it may not look
                return None
            procs = self._read_procs() or b""
        self._procs_text = procs
        if limits or not self._limits_read:
            for file in self._files:
                file.retry()
            self._limits = self._part("limits", self._read_limits, self._limits)
            self._inner_procs = self._find_inner_procs() if processes else []
            self._limits_read = True
        return CgroupReading(
            cpu=self._part("cpu", self._read_cpu, _NO_CPU),
            memory=self._part("memory", self._read_memory, _NO_MEMORY),
            io=self._part("io", self._read_io, ()),
            pressure=self._part("pressure", self._read_pressure, _NO_PRESSURE),
            tasks=self._part("tasks", self._read_tasks, _NO_TASKS),
            limits=self._limits,
            pids=self._part("pids", self._read_pids, ()),
        )

    def close(self) -> None:
        for file in (*self._files, *self._inner_procs):
            file.close()
        self._inner_procs = []
        self._limits = Limits()
        self._limits_read = False

    def _read_procs(self) -> bytes | None:
        try:
            return self._procs.read()
        except OSError as error:
            self._faults.note(self._procs.path, error)
            return b""

    def _find_inner_procs(self) -> list[KeptFile]:
        """Where the group itself has no processes but groups below it do (Podman's `container`, systemd inside)."""
        for file in self._inner_procs:
            file.close()
        if self._procs_text:
            return []
        return [
            KeptFile(directory + "/cgroup.procs", self._pool)
            for directory, _, files in os.walk(self._directory)
            if directory != self._directory and "cgroup.procs" in files
        ]

    def _count_processes(self) -> int:
        inner = sum((file.read() or b"").count(b"\n") for file in self._inner_procs)
        return self._procs_text.count(b"\n") + inner

    def _read_pids(self) -> tuple[int, ...]:
        text = self._procs_text
        for file in self._inner_procs:
            if text:
                break
            text = file.read() or b""
        return flat.first_pids(text)

    def _keep(self, directory: str, name: str) -> KeptFile:
        """A file of this group; with no directory (a controller that isn't mounted) one that never exists."""
        file = KeptFile(f"{directory}/{name}" if directory else "", self._pool)
        self._files.append(file)
        return file

    def _part(self, name: str, read: Callable[[], T], nothing: T) -> T:
        """One part of a reading; its failure leaves the others alone."""
        try:
            return read()
        except (OSError, ValueError, IndexError) as error:
            self._faults.note(f"{self._directory} ({name})", error)
            return nothing

    @abstractmethod
    def _read_limits(self) -> Limits: ...

    @abstractmethod
    def _read_cpu(self) -> CpuReading: ...

    @abstractmethod
    def _read_memory(self) -> MemoryReading: ...

    @abstractmethod
    def _read_io(self) -> tuple[DeviceIo, ...]: ...

    @abstractmethod
    def _read_pressure(self) -> PressureReading: ...

    @abstractmethod
    def _read_tasks(self) -> TaskReading: ...


class PressureFiles:
    """cpu.pressure, memory.pressure, io.pressure: cgroup v2's, and on hybrid hosts those of its mount."""

    def __init__(self, cpu: KeptFile, memory: KeptFile, io: KeptFile) -> None:
        self._cpu, self._memory, self._io = cpu, memory, io

    def read(self) -> PressureReading:
        cpu_some, cpu_full = flat.pressure(self._cpu.read())
        memory_some, memory_full = flat.pressure(self._memory.read())
        io_some, io_full = flat.pressure(self._io.read())
        return PressureReading(
            cpu_some_us=cpu_some,
            cpu_full_us=cpu_full,
            memory_some_us=memory_some,
            memory_full_us=memory_full,
            io_some_us=io_some,
            io_full_us=io_full,
        )


def microseconds(value: int | None) -> int | None:
    """As nanoseconds."""
    return None if value is None else value * 1000
