"""Every metric that the agent may send: its type, unit and help, for `# TYPE` and `# HELP` of the exposition.

Names and meanings are those of cAdvisor 0.60 (`container_*`, `machine_*`) and node_exporter (`node_*`), so that
existing dashboards and rules work. What is ours alone is marked so in its help. node_exporter itself gives the
kernel's own counters (`node_vmstat_*`, `node_netstat_*`) as untyped, and so do we.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from deckwatch.wire import host_catalogue as host
from deckwatch.wire import workload_catalogue as workload


class MetricType(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    UNTYPED = "untyped"


class MetricInfo(msgspec.Struct, frozen=True):
    type: MetricType
    unit: str  # seconds, bytes, packets ...; empty where it is a mere number
    help: str


_C, _G, _U = MetricType.COUNTER, MetricType.GAUGE, MetricType.UNTYPED

_CONTAINER: tuple[tuple[str, MetricType, str, str], ...] = (
    ("container_last_seen", _G, "seconds", "Unix time of the agent's last look at this container."),
    ("container_start_time_seconds", _G, "seconds", "Unix time at which the container was started."),
    ("container_creation_time_seconds", _G, "seconds", "Unix time at which the container was created."),
    ("container_cpu_usage_seconds_total", _C, "seconds", "CPU time used, in all modes."),
    ("container_cpu_user_seconds_total", _C, "seconds", "CPU time used in user mode."),
    ("container_cpu_system_seconds_total", _C, "seconds", "CPU time used in kernel mode."),
    ("container_cpu_cfs_periods_total", _C, "periods", "Elapsed CFS periods; only where a CPU quota is set."),
    ("container_cpu_cfs_throttled_periods_total", _C, "periods", "CFS periods in which the quota was reached."),
    (
        "container_cpu_cfs_throttled_seconds_total",
        _C,
        "seconds",
        "Time that the container was held back by its quota, summed over CPUs: it may exceed wall time.",
    ),
    ("container_cpu_cfs_burst_periods_total", _C, "periods", "CFS periods in which unused quota was spent."),
    ("container_cpu_cfs_burst_seconds_total", _C, "seconds", "CPU time used above the quota thanks to burst."),
    ("container_memory_usage_bytes", _G, "bytes", "All memory charged to the container, page cache included."),
    (
        "container_memory_working_set_bytes",
        _G,
        "bytes",
        "Memory in use without the inactive page cache; what the kubelet evicts on.",
    ),
    ("container_memory_rss", _G, "bytes", "Anonymous memory (not the RSS of its processes)."),
    ("container_memory_cache", _G, "bytes", "Page cache, shared memory and tmpfs included."),
    ("container_memory_mapped_file", _G, "bytes", "Page cache that is mapped into processes."),
    ("container_memory_swap", _G, "bytes", "Swap in use."),
    ("container_memory_kernel_usage", _G, "bytes", "Kernel memory charged to the container."),
    ("container_memory_max_usage_bytes", _G, "bytes", "The most memory that was ever charged."),
    ("container_memory_failcnt", _C, "events", "Times that the memory limit was hit (cgroup v1 only)."),
    ("container_memory_total_active_file_bytes", _G, "bytes", "Page cache in recent use."),
    ("container_memory_total_inactive_file_bytes", _G, "bytes", "Page cache that can be taken back at once."),
    ("container_memory_shmem_bytes", _G, "bytes", "Shared memory and tmpfs; a part of the cache. Deckwatch's own."),
    ("container_memory_file_dirty_bytes", _G, "bytes", "Page cache that waits to be written."),
    ("container_memory_file_writeback_bytes", _G, "bytes", "Page cache that is being written."),
    ("container_memory_failures_total", _C, "faults", "Page faults; scope hierarchy includes child groups."),
    ("container_memory_events_high_total", _C, "events", "Times that the container was slowed at memory.high."),
    ("container_memory_events_max_total", _C, "events", "Times that usage was about to go over memory.max."),
    ("container_memory_pgscan_total", _C, "pages", "Pages looked at by reclaim."),
    ("container_memory_pgsteal_total", _C, "pages", "Pages taken back by reclaim."),
    ("container_memory_workingset_refault_file_total", _C, "pages", "Evicted page cache that was needed again."),
    ("container_memory_workingset_refault_anon_total", _C, "pages", "Swapped out pages that were needed again."),
    (
        "container_oom_events_total",
        _C,
        "events",
        "Processes of the container that were killed for want of memory, as its cgroup counts them.",
    ),
    (
        "container_oom_group_kills_total",
        _C,
        "events",
        "Times that the whole container was killed for want of memory (memory.oom.group). Deckwatch's own.",
    ),
    (
        "container_fs_usage_bytes",
        _G,
        "bytes",
        "Disk that the container's writable layer and its log files take; looked at seldom.",
    ),
    ("container_fs_limit_bytes", _G, "bytes", "Size of the file system that the writable layer is on; no quota."),
    ("container_fs_inodes_total", _G, "inodes", "Inodes that the container's writable layer takes."),
    ("container_fs_reads_bytes_total", _C, "bytes", "Bytes read from the device."),
    ("container_fs_reads_total", _C, "operations", "Reads from the device."),
    ("container_fs_writes_bytes_total", _C, "bytes", "Bytes written to the device."),
    ("container_fs_writes_total", _C, "operations", "Writes to the device."),
    ("container_fs_io_cost_usage_seconds_total", _C, "seconds", "Device time used, by iocost."),
    ("container_fs_io_cost_wait_seconds_total", _C, "seconds", "Time waited for the device, by iocost."),
    ("container_fs_io_cost_indebt_seconds_total", _C, "seconds", "Time in debt, by iocost."),
    ("container_fs_io_cost_indelay_seconds_total", _C, "seconds", "Time delayed, by iocost."),
    ("container_blkio_device_usage_total", _C, "bytes", "Bytes moved by device and operation."),
    ("container_network_receive_bytes_total", _C, "bytes", "Bytes received."),
    ("container_network_receive_packets_total", _C, "packets", "Packets received."),
    ("container_network_receive_errors_total", _C, "errors", "Errors while receiving."),
    ("container_network_receive_packets_dropped_total", _C, "packets", "Received packets that were dropped."),
    ("container_network_transmit_bytes_total", _C, "bytes", "Bytes sent."),
    ("container_network_transmit_packets_total", _C, "packets", "Packets sent."),
    ("container_network_transmit_errors_total", _C, "errors", "Errors while sending."),
    ("container_network_transmit_packets_dropped_total", _C, "packets", "Packets to be sent that were dropped."),
    ("container_processes", _G, "processes", "Processes in the container."),
    ("container_threads", _G, "tasks", "Tasks (threads) in the container, zombies included."),
    ("container_threads_max", _G, "tasks", "Limit of tasks; absent where there is none."),
    (
        "container_threads_limit_hits_total",
        _C,
        "events",
        "Times that a fork was refused by the limit of tasks. Deckwatch's own.",
    ),
    ("container_pressure_cpu_waiting_seconds_total", _C, "seconds", "Time in which some task waited for a CPU."),
    ("container_pressure_cpu_stalled_seconds_total", _C, "seconds", "Time in which all tasks waited for a CPU."),
    ("container_pressure_memory_waiting_seconds_total", _C, "seconds", "Time in which some task waited for memory."),
    ("container_pressure_memory_stalled_seconds_total", _C, "seconds", "Time in which all tasks waited for memory."),
    ("container_pressure_io_waiting_seconds_total", _C, "seconds", "Time in which some task waited for I/O."),
    ("container_pressure_io_stalled_seconds_total", _C, "seconds", "Time in which all tasks waited for I/O."),
    ("container_spec_cpu_period", _G, "microseconds", "CFS period."),
    ("container_spec_cpu_quota", _G, "microseconds", "CPU time allowed a period; absent where there is no limit."),
    ("container_spec_cpu_shares", _G, "shares", "CPU shares; on cgroup v2 worked out from cpu.weight."),
    ("container_spec_memory_limit_bytes", _G, "bytes", "Memory limit; absent where there is none."),
    (
        "container_spec_memory_swap_limit_bytes",
        _G,
        "bytes",
        "Swap limit: of memory and swap together on cgroup v1, of swap alone on v2; absent where there is none.",
    ),
    (
        "container_spec_memory_reservation_limit_bytes",
        _G,
        "bytes",
        "Reserved memory (soft limit on cgroup v1, memory.min on v2); absent where there is none.",
    ),
    ("container_frozen", _G, "", "1 where the container's cgroup is frozen (paused). Deckwatch's own."),
    ("container_state", _G, "", "1 for the state that the container is in, 0 for the others. Deckwatch's own."),
    ("container_health_state", _G, "", "1 healthy, 0 starting or unhealthy, -1 without a health check."),
    ("container_restarts_total", _C, "restarts", "Restarts by the engine's restart policy. Deckwatch's own."),
    ("container_exit_code", _G, "", "Exit code of a container that has ended. Deckwatch's own."),
    ("container_oom_killed", _G, "", "1 where the container's main process was OOM-killed. Deckwatch's own."),
    (
        "container_info",
        _G,
        "",
        "1, with the container's labels (allow list), runtime and workload. Deckwatch's own.",
    ),
)


def _catalogue() -> dict[str, MetricInfo]:
    infos = {name: MetricInfo(kind, unit, text) for name, kind, unit, text in _CONTAINER}
    infos |= {name: MetricInfo(MetricType(kind), unit, text) for name, kind, unit, text in host.ROWS}
    infos |= {name: MetricInfo(MetricType(kind), unit, text) for name, kind, unit, text in workload.ROWS}
    for field in host.MEMINFO_BYTES:
        infos[f"node_memory_{field}_bytes"] = MetricInfo(_G, "bytes", f"{field} of /proc/meminfo.")
    for field in host.MEMINFO_COUNTS:
        infos[f"node_memory_{field}"] = MetricInfo(_G, "pages", f"{field} of /proc/meminfo.")
    for field in host.VMSTAT:
        infos[f"node_vmstat_{field}"] = MetricInfo(_U, "", f"{field} of /proc/vmstat.")
    for field in host.NETSTAT:
        infos[f"node_netstat_{field}"] = MetricInfo(_U, "", f"{field} of /proc/net/snmp or /proc/net/netstat.")
    for field in host.SOCKSTAT:
        infos[f"node_sockstat_{field}"] = MetricInfo(_G, "", f"{field} of /proc/net/sockstat.")
    for field in host.CONNTRACK_STAT:
        infos[f"node_nf_conntrack_stat_{field}"] = MetricInfo(
            _G, "", f"{field} of /proc/net/stat/nf_conntrack, of all CPUs."
        )
    return infos


CATALOGUE: dict[str, MetricInfo] = _catalogue()
"""By name. What is not listed here is not sent (tests hold the agent to it)."""
