"""One group of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from agent.sample import flat
from agent.sample.cgroup_reader import CgroupReader, PressureFiles, microseconds
from agent.sample.kept import DescriptorPool, read_once
from agent.sample.metrics import Faults
from agent.sample.reading import CpuReading, DeviceIo, Limits, MemoryReading, PressureReading, TaskReading


class Formats2:
    """Where the fields of v2's files stand; the same for all groups of a host, so learnt once."""

    def __init__(self) -> None:
        self.cpu = flat.Keyed(
            "usage_usec",
            "user_usec",
            "system_usec",
            "nr_periods",
            "nr_throttled",
            "throttled_usec",
            "nr_bursts",
            "burst_usec",
        )
        self.memory = flat.Keyed(
            "anon",
            "file",
            "shmem",
            "file_mapped",
            "active_file",
            "inactive_file",
            "file_dirty",
            "file_writeback",
            "kernel",
            "pgfault",
            "pgmajfault",
            "pgscan",
            "pgsteal",
            "workingset_refault_anon",
            "workingset_refault_file",
        )
        self.memory_events = flat.Keyed("high", "max", "oom_kill", "oom_group_kill")
        self.pids_events = flat.Keyed("max")
        self.cgroup_events = flat.Keyed("frozen")


class Cgroup2Reader(CgroupReader):
    def __init__(self, directory: str, formats: Formats2, pool: DescriptorPool, faults: Faults) -> None:
        super().__init__(pool, faults, directory)
        self._formats = formats
        self._cpu_stat = self._keep(directory, "cpu.stat")
        self._memory_current = self._keep(directory, "memory.current")
        self._memory_stat = self._keep(directory, "memory.stat")
        self._memory_events = self._keep(directory, "memory.events")
        self._memory_peak = self._keep(directory, "memory.peak")  # kernel 5.19
        self._swap_current = self._keep(directory, "memory.swap.current")
        self._io_stat = self._keep(directory, "io.stat")
        self._pids_current = self._keep(directory, "pids.current")
        self._pids_events = self._keep(directory, "pids.events")
        self._pressure = PressureFiles(
            self._keep(directory, "cpu.pressure"),
            self._keep(directory, "memory.pressure"),
            self._keep(directory, "io.pressure"),
        )

    def _read_limits(self) -> Limits:
        directory = self._directory
        quota, period = flat.cpu_max(read_once(directory + "/cpu.max"))
        weight = flat.number(read_once(directory + "/cpu.weight"))
        (frozen,) = self._formats.cgroup_events.pick(read_once(directory + "/cgroup.events"))
        return Limits(
            cpu_period_us=period,
            cpu_quota_us=quota,
            cpu_weight=weight,
            cpu_shares=flat.shares_of_weight(weight),
            memory_bytes=flat.limit(read_once(directory + "/memory.max")),
            memory_swap_bytes=flat.limit(read_once(directory + "/memory.swap.max")),
            memory_reservation_bytes=flat.limit(read_once(directory + "/memory.min")) or None,
            memory_low_bytes=flat.limit(read_once(directory + "/memory.low")),
            threads=flat.limit(read_once(directory + "/pids.max")),
            frozen=frozen,
        )

    def _read_cpu(self) -> CpuReading:
        usage, user, system, periods, throttled, throttled_us, bursts, burst_us = self._formats.cpu.pick(
            self._cpu_stat.read()
        )
        if self._limits.cpu_quota_us is None:
            periods = throttled = throttled_us = bursts = burst_us = None
        return CpuReading(
            usage_ns=microseconds(usage),
            user_ns=microseconds(user),
            system_ns=microseconds(system),
            periods=periods,
            throttled_periods=throttled,
            throttled_ns=microseconds(throttled_us),
            burst_periods=bursts,
            burst_ns=microseconds(burst_us),
        )

    def _read_memory(self) -> MemoryReading:
        usage = flat.number(self._memory_current.read())
        if usage is None:  # the memory controller isn't on for this group
            return MemoryReading()
        stat = self._formats.memory.pick(self._memory_stat.read())
        anon, file, shmem, mapped, active, inactive, dirty, writeback, kernel, pgfault, pgmajfault, *reclaim = stat
        pgscan, pgsteal, refault_anon, refault_file = reclaim
        high, hit, oom_kill, oom_group_kill = self._formats.memory_events.pick(self._memory_events.read())
        return MemoryReading(
            usage_bytes=usage,
            working_set_bytes=None if inactive is None else max(0, usage - inactive),
            anon_bytes=anon,
            file_bytes=file,
            shmem_bytes=shmem,
            mapped_file_bytes=mapped,
            active_file_bytes=active,
            inactive_file_bytes=inactive,
            dirty_bytes=dirty,
            writeback_bytes=writeback,
            kernel_bytes=kernel,
            swap_bytes=flat.number(self._swap_current.read()),
            max_usage_bytes=flat.number(self._memory_peak.read()),
            pgfault=pgfault,
            pgmajfault=pgmajfault,
            tree_pgfault=pgfault,
            tree_pgmajfault=pgmajfault,
            pgscan=pgscan,
            pgsteal=pgsteal,
            refault_anon=refault_anon,
            refault_file=refault_file,
            events_high=high,
            events_max=hit,
            oom_kill=oom_kill,
            oom_group_kill=oom_group_kill,
        )

    def _read_io(self) -> tuple[DeviceIo, ...]:
        text = self._io_stat.read()
        if not text:
            return ()
        return tuple(
            DeviceIo(
                device=device,
                read_bytes=counts.get(b"rbytes"),
                write_bytes=counts.get(b"wbytes"),
                reads=counts.get(b"rios"),
                writes=counts.get(b"wios"),
                discard_bytes=counts.get(b"dbytes"),
                discards=counts.get(b"dios"),
                cost_usage_us=counts.get(b"cost.usage"),
                cost_wait_us=counts.get(b"cost.wait"),
                cost_indebt_us=counts.get(b"cost.indebt"),
                cost_indelay_us=counts.get(b"cost.indelay"),
            )
            for device, counts in flat.io_stat(text)
        )

    def _read_pressure(self) -> PressureReading:
        return self._pressure.read()

    def _read_tasks(self) -> TaskReading:
        (hits,) = self._formats.pids_events.pick(self._pids_events.read())
        return TaskReading(
            processes=self._count_processes(),
            threads=flat.number(self._pids_current.read()),
            threads_limit_hits=hits,
        )
