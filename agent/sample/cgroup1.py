"""One group of cgroup v1, and of hybrid hosts (Documentation/admin-guide/cgroup-v1/).

Each controller has a tree of its own, in which the group has the same path; joined controllers share a tree.
"""

from __future__ import annotations

import os

from agent.sample import flat
from agent.sample.cgroup_reader import CgroupReader, PressureFiles
from agent.sample.hierarchy import Hierarchies
from agent.sample.kept import DescriptorPool, KeptFile, read_once
from agent.sample.metrics import Faults
from agent.sample.reading import CpuReading, DeviceIo, Limits, MemoryReading, PressureReading, TaskReading

_NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

_BLKIO_FILES = (
    # (bytes, operations), in the order in which cAdvisor prefers them
    ("blkio.bfq.io_service_bytes_recursive", "blkio.bfq.io_serviced_recursive"),
    ("blkio.io_service_bytes_recursive", "blkio.io_serviced_recursive"),  # CFQ, kernels before 5.0
    ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"),
    ("blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced"),  # older kernels
)


class Formats1:
    """Where the fields of v1's files stand; the same for all groups of a host, so learnt once."""

    _MEMORY = ("rss", "cache", "shmem", "mapped_file", "active_file", "inactive_file", "dirty", "writeback", "swap")
    _FAULTS = ("pgfault", "pgmajfault")
    _REFAULTS = ("workingset_refault_anon", "workingset_refault_file")  # kernel 5.9

    def __init__(self) -> None:
        tree = tuple("total_" + key for key in self._MEMORY)
        tree_faults = tuple("total_" + key for key in self._FAULTS)
        self.cpuacct = flat.Keyed("user", "system")
        self.cpu = flat.Keyed("nr_periods", "nr_throttled", "throttled_time", "nr_bursts", "burst_time")
        self.memory_tree = flat.Keyed(*tree, *self._FAULTS, *tree_faults, *self._REFAULTS)
        self.memory_alone = flat.Keyed(*self._MEMORY, *self._FAULTS, *self._FAULTS, *self._REFAULTS)
        self.oom_control = flat.Keyed("oom_kill")  # kernel 4.13
        self.pids_events = flat.Keyed("max")


class Cgroup1Reader(CgroupReader):
    def __init__(
        self,
        hierarchies: Hierarchies,
        path: str,
        formats: Formats1,
        pool: DescriptorPool,
        faults: Faults,
        *,
        per_cpu: bool,
    ) -> None:
        where = {controller: mount + path for controller, mount in hierarchies.v1.items()}
        super().__init__(pool, faults, hierarchies.walked() + path)
        self._formats = formats
        self._per_cpu = per_cpu
        self._cpu = where.get("cpu", "")
        self._memory = where.get("memory", "")
        self._blkio = where.get("blkio", "")
        self._pids = where.get("pids", "")
        self._freezer = where.get("freezer", "")
        cpuacct = where.get("cpuacct", "")
        unified = hierarchies.v2 + path if hierarchies.v2 else ""
        self._usage = self._keep(cpuacct, "cpuacct.usage_percpu" if per_cpu else "cpuacct.usage")
        self._usage_by_mode = self._keep(cpuacct, "cpuacct.stat")
        self._cpu_stat = self._keep(self._cpu, "cpu.stat")
        self._memory_usage = self._keep(self._memory, "memory.usage_in_bytes")
        self._memory_stat = self._keep(self._memory, "memory.stat")
        self._memory_most = self._keep(self._memory, "memory.max_usage_in_bytes")
        self._memory_kernel = self._keep(self._memory, "memory.kmem.usage_in_bytes")
        self._memory_failcnt = self._keep(self._memory, "memory.failcnt")
        self._oom_control = self._keep(self._memory, "memory.oom_control")
        self._use_hierarchy = True
        self._io_files: tuple[KeptFile, KeptFile] | None = None
        self._pids_current = self._keep(self._pids, "pids.current")
        self._pids_events = self._keep(self._pids, "pids.events")
        self._pressure = PressureFiles(
            self._keep(unified, "cpu.pressure"),
            self._keep(unified, "memory.pressure"),
            self._keep(unified, "io.pressure"),
        )

    def close(self) -> None:
        super().close()
        self._forget_io_files()

    def _read_limits(self) -> Limits:
        self._use_hierarchy = _once(self._memory, "memory.use_hierarchy") != b"0\n"
        self._choose_io_files()
        state = _once(self._freezer, "freezer.state")
        return Limits(
            cpu_period_us=flat.number(_once(self._cpu, "cpu.cfs_period_us")),
            cpu_quota_us=flat.limit(_once(self._cpu, "cpu.cfs_quota_us")),
            cpu_shares=flat.number(_once(self._cpu, "cpu.shares")),
            memory_bytes=flat.limit(_once(self._memory, "memory.limit_in_bytes")),
            memory_swap_bytes=flat.limit(_once(self._memory, "memory.memsw.limit_in_bytes")),
            memory_reservation_bytes=flat.limit(_once(self._memory, "memory.soft_limit_in_bytes")),
            threads=flat.limit(_once(self._pids, "pids.max")),
            frozen=None if state is None else int(state == b"FROZEN\n"),
        )

    def _read_cpu(self) -> CpuReading:
        text = self._usage.read()
        per_cpu = tuple(map(int, text.split())) if self._per_cpu and text else ()
        user, system = self._formats.cpuacct.pick(self._usage_by_mode.read())
        periods = throttled = throttled_ns = bursts = burst_ns = None
        if self._limits.cpu_quota_us is not None:
            periods, throttled, throttled_ns, bursts, burst_ns = self._formats.cpu.pick(self._cpu_stat.read())
        return CpuReading(
            usage_ns=sum(per_cpu) if per_cpu else flat.number(text),
            user_ns=None if user is None else user * _NS_PER_TICK,
            system_ns=None if system is None else system * _NS_PER_TICK,
            periods=periods,
            throttled_periods=throttled,
            throttled_ns=throttled_ns,
            burst_periods=bursts,
            burst_ns=burst_ns,
            per_cpu_ns=per_cpu,
        )

    def _read_memory(self) -> MemoryReading:
        usage = flat.number(self._memory_usage.read())
        if usage is None:
            return MemoryReading()
        keyed = self._formats.memory_tree if self._use_hierarchy else self._formats.memory_alone
        rss, cache, shmem, mapped, active, inactive, dirty, writeback, swap, *faults = keyed.pick(
            self._memory_stat.read()
        )
        pgfault, pgmajfault, tree_pgfault, tree_pgmajfault, refault_anon, refault_file = faults
        (oom_kill,) = self._formats.oom_control.pick(self._oom_control.read())
        return MemoryReading(
            usage_bytes=usage,
            working_set_bytes=None if inactive is None else max(0, usage - inactive),
            anon_bytes=rss,
            file_bytes=cache,
            shmem_bytes=shmem,
            mapped_file_bytes=mapped,
            active_file_bytes=active,
            inactive_file_bytes=inactive,
            dirty_bytes=dirty,
            writeback_bytes=writeback,
            kernel_bytes=flat.number(self._memory_kernel.read()),
            swap_bytes=swap,
            max_usage_bytes=flat.number(self._memory_most.read()),
            failcnt=flat.number(self._memory_failcnt.read()),
            pgfault=pgfault,
            pgmajfault=pgmajfault,
            tree_pgfault=tree_pgfault,
            tree_pgmajfault=tree_pgmajfault,
            refault_anon=refault_anon,
            refault_file=refault_file,
            oom_kill=oom_kill,
        )

    def _read_io(self) -> tuple[DeviceIo, ...]:
        if self._io_files is None:
            return ()
        sizes = flat.blkio(self._io_files[0].read())
        operations = flat.blkio(self._io_files[1].read())
        return tuple(
            DeviceIo(
                device=device,
                read_bytes=size.get(b"Read"),
                write_bytes=size.get(b"Write"),
                reads=operations.get(device, {}).get(b"Read"),
                writes=operations.get(device, {}).get(b"Write"),
                discard_bytes=size.get(b"Discard"),
                sync_bytes=size.get(b"Sync"),
                async_bytes=size.get(b"Async"),
                total_bytes=size.get(b"Total"),
                counted=any(size.values()) or any(operations.get(device, {}).values()),
            )
            for device, size in sizes.items()
        )

    def _choose_io_files(self) -> None:
        """The first pair that lists a device; all of them always end with `Total 0`, counting or not."""
        self._forget_io_files()
        if not self._blkio:
            return
        for sizes, operations in _BLKIO_FILES:
            if flat.blkio(read_once(f"{self._blkio}/{sizes}")):
                self._io_files = (
                    KeptFile(f"{self._blkio}/{sizes}", self._pool),
                    KeptFile(f"{self._blkio}/{operations}", self._pool),
                )
                return

    def _forget_io_files(self) -> None:
        for file in self._io_files or ():
            file.close()
        self._io_files = None

    def _read_pressure(self) -> PressureReading:
        return self._pressure.read()

    def _read_tasks(self) -> TaskReading:
        (hits,) = self._formats.pids_events.pick(self._pids_events.read())
        return TaskReading(
            processes=self._count_processes(),
            threads=flat.number(self._pids_current.read()),
            threads_limit_hits=hits,
        )


def _once(directory: str, name: str) -> bytes | None:
    """With no directory (its controller isn't mounted) None."""
    return read_once(f"{directory}/{name}") if directory else None
