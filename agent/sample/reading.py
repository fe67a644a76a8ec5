"""What one look at a cgroup tells, whichever of the kernel's two formats it came from.

None means that the kernel does not tell: never 0. Times are in nanoseconds or, where a pressure file gives them so,
microseconds; both are exact integers.
"""

from __future__ import annotations

import msgspec


class CpuReading(msgspec.Struct, frozen=True, kw_only=True):
    usage_ns: int | None = None
    user_ns: int | None = None
    system_ns: int | None = None
    # Only of a group with a quota: without one nothing is counted.
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_ns: int | None = None  # summed over CPUs: may exceed wall time
    burst_periods: int | None = None
    burst_ns: int | None = None
    per_cpu_ns: tuple[int, ...] = ()  # cgroup v1 only, and only if asked for


class MemoryReading(msgspec.Struct, frozen=True, kw_only=True):
    usage_bytes: int | None = None
    working_set_bytes: int | None = None  # usage - inactive_file, not below 0
    anon_bytes: int | None = None  # v1: total_rss
    file_bytes: int | None = None  # v1: total_cache
    shmem_bytes: int | None = None
    mapped_file_bytes: int | None = None
    active_file_bytes: int | None = None
    inactive_file_bytes: int | None = None
    dirty_bytes: int | None = None
    writeback_bytes: int | None = None
    kernel_bytes: int | None = None
    swap_bytes: int | None = None
    max_usage_bytes: int | None = None
    failcnt: int | None = None  # v1
    pgfault: int | None = None
    pgmajfault: int | None = None
    tree_pgfault: int | None = None  # with child groups
    tree_pgmajfault: int | None = None
    pgscan: int | None = None  # v2, as all below but the refaults and oom_kill
    pgsteal: int | None = None
    refault_anon: int | None = None
    refault_file: int | None = None
    events_high: int | None = None
    events_max: int | None = None
    oom_kill: int | None = None  # v2: with child groups; v1: of this group alone
    oom_group_kill: int | None = None


class DeviceIo(msgspec.Struct, frozen=True, kw_only=True):
    device: str
    """`major:minor`"""
    read_bytes: int | None = None
    write_bytes: int | None = None
    reads: int | None = None
    writes: int | None = None
    discard_bytes: int | None = None
    discards: int | None = None  # v2
    sync_bytes: int | None = None  # v1, as the next two
    async_bytes: int | None = None
    total_bytes: int | None = None
    cost_usage_us: int | None = None  # v2 with the iocost controller, as the next three
    cost_wait_us: int | None = None
    cost_indebt_us: int | None = None
    cost_indelay_us: int | None = None
    counted: bool = True
    """False: the kernel shows zeros for a device that the group did use. v1's throttle files list a device as soon
    as the group touches it, but count nothing (since 4.x) until some throttle rule is set."""


class PressureReading(msgspec.Struct, frozen=True, kw_only=True):
    cpu_some_us: int | None = None
    cpu_full_us: int | None = None
    memory_some_us: int | None = None
    memory_full_us: int | None = None
    io_some_us: int | None = None
    io_full_us: int | None = None


class TaskReading(msgspec.Struct, frozen=True, kw_only=True):
    processes: int | None = None
    threads: int | None = None
    threads_limit_hits: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What changes rarely, so is read rarely. None: no limit, or not known."""

    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None
    cpu_shares: int | None = None
    cpu_weight: int | None = None  # v2; the shares are worked out from it
    memory_bytes: int | None = None
    memory_swap_bytes: int | None = None  # v1: memory and swap together; v2: swap alone
    memory_reservation_bytes: int | None = None
    memory_low_bytes: int | None = None  # v2
    threads: int | None = None
    frozen: int | None = None


class CgroupReading(msgspec.Struct, frozen=True, kw_only=True):
    cpu: CpuReading
    memory: MemoryReading
    io: tuple[DeviceIo, ...]
    pressure: PressureReading
    tasks: TaskReading
    limits: Limits
    pids: tuple[int, ...] = ()
    """The first of the group's processes (its init among them), for what only /proc/<pid> tells."""
