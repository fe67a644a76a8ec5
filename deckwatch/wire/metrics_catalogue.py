"""Every metric that the agent may send: its type, unit and help, for `# TYPE` and `# HELP` of the exposition.

Names and meanings are those of cAdvisor 0.60 (`container_*`, `machine_*`) and node_exporter (`node_*`), so that
existing dashboards and rules work. What is ours alone is marked so in its help. node_exporter itself gives the
kernel's own counters (`node_vmstat_*`, `node_netstat_*`) as untyped, and so do we.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


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
    ("machine_cpu_cores", _G, "cores", "Logical CPUs that are online."),
    ("machine_cpu_physical_cores", _G, "cores", "Physical CPU cores."),
    ("machine_memory_bytes", _G, "bytes", "Memory installed."),
    ("machine_swap_bytes", _G, "bytes", "Swap space."),
)

_NODE: tuple[tuple[str, MetricType, str, str], ...] = (
    ("node_boot_time_seconds", _G, "seconds", "Unix time of the host's last start."),
    ("node_time_seconds", _G, "seconds", "System time."),
    ("node_uname_info", _G, "", "1, with the kernel's and the host's names."),
    ("node_context_switches_total", _C, "switches", "Context switches."),
    ("node_forks_total", _C, "forks", "Processes and threads made since the start."),
    ("node_intr_total", _C, "interrupts", "Interrupts served."),
    ("node_procs_running", _G, "tasks", "Tasks that could run."),
    ("node_procs_blocked", _G, "tasks", "Tasks that wait for I/O."),
    ("node_cpu_seconds_total", _C, "seconds", "CPU time by CPU and mode."),
    ("node_cpu_guest_seconds_total", _C, "seconds", "CPU time spent on guests (virtual machines)."),
    ("node_load1", _G, "", "Load average of 1 minute."),
    ("node_load5", _G, "", "Load average of 5 minutes."),
    ("node_load15", _G, "", "Load average of 15 minutes."),
    ("node_filefd_allocated", _G, "", "File handles in use."),
    ("node_filefd_maximum", _G, "", "Limit of file handles."),
    ("node_entropy_available_bits", _G, "bits", "Entropy at hand."),
    ("node_nf_conntrack_entries", _G, "", "Connections being tracked."),
    ("node_nf_conntrack_entries_limit", _G, "", "Limit of tracked connections."),
    ("node_pressure_cpu_waiting_seconds_total", _C, "seconds", "Time in which some task waited for a CPU."),
    ("node_pressure_io_waiting_seconds_total", _C, "seconds", "Time in which some task waited for I/O."),
    ("node_pressure_io_stalled_seconds_total", _C, "seconds", "Time in which all tasks waited for I/O."),
    ("node_pressure_memory_waiting_seconds_total", _C, "seconds", "Time in which some task waited for memory."),
    ("node_pressure_memory_stalled_seconds_total", _C, "seconds", "Time in which all tasks waited for memory."),
    ("node_pressure_irq_stalled_seconds_total", _C, "seconds", "Time in which interrupts held all tasks up."),
    ("node_disk_reads_completed_total", _C, "operations", "Reads completed."),
    ("node_disk_reads_merged_total", _C, "operations", "Reads merged."),
    ("node_disk_read_bytes_total", _C, "bytes", "Bytes read."),
    ("node_disk_read_time_seconds_total", _C, "seconds", "Time spent in reads."),
    ("node_disk_writes_completed_total", _C, "operations", "Writes completed."),
    ("node_disk_writes_merged_total", _C, "operations", "Writes merged."),
    ("node_disk_written_bytes_total", _C, "bytes", "Bytes written."),
    ("node_disk_write_time_seconds_total", _C, "seconds", "Time spent in writes."),
    ("node_disk_io_now", _G, "operations", "I/Os in flight."),
    ("node_disk_io_time_seconds_total", _C, "seconds", "Time in which the device was busy."),
    ("node_disk_io_time_weighted_seconds_total", _C, "seconds", "Busy time weighted by the queue's length."),
    ("node_disk_discards_completed_total", _C, "operations", "Discards completed."),
    ("node_disk_discards_merged_total", _C, "operations", "Discards merged."),
    ("node_disk_discarded_sectors_total", _C, "sectors", "Sectors discarded."),
    ("node_disk_discard_time_seconds_total", _C, "seconds", "Time spent in discards."),
    ("node_disk_flush_requests_total", _C, "operations", "Flushes completed."),
    ("node_disk_flush_requests_time_seconds_total", _C, "seconds", "Time spent in flushes."),
    ("node_filesystem_size_bytes", _G, "bytes", "Size of the file system."),
    ("node_filesystem_free_bytes", _G, "bytes", "Free space, root's reserve included."),
    ("node_filesystem_avail_bytes", _G, "bytes", "Free space for everybody."),
    ("node_filesystem_files", _G, "inodes", "Inodes."),
    ("node_filesystem_files_free", _G, "inodes", "Free inodes."),
    ("node_filesystem_readonly", _G, "", "1 where the file system is mounted read-only."),
    ("node_filesystem_device_error", _G, "", "1 where the file system did not answer, or with an error."),
    ("node_network_receive_bytes_total", _C, "bytes", "Bytes received."),
    ("node_network_receive_packets_total", _C, "packets", "Packets received."),
    ("node_network_receive_errs_total", _C, "errors", "Errors while receiving."),
    ("node_network_receive_drop_total", _C, "packets", "Received packets that were dropped."),
    ("node_network_receive_fifo_total", _C, "errors", "FIFO overruns while receiving."),
    ("node_network_receive_frame_total", _C, "errors", "Framing errors while receiving."),
    ("node_network_receive_compressed_total", _C, "packets", "Compressed packets received."),
    ("node_network_receive_multicast_total", _C, "packets", "Multicast packets received."),
    ("node_network_transmit_bytes_total", _C, "bytes", "Bytes sent."),
    ("node_network_transmit_packets_total", _C, "packets", "Packets sent."),
    ("node_network_transmit_errs_total", _C, "errors", "Errors while sending."),
    ("node_network_transmit_drop_total", _C, "packets", "Packets to be sent that were dropped."),
    ("node_network_transmit_fifo_total", _C, "errors", "FIFO overruns while sending."),
    ("node_network_transmit_colls_total", _C, "events", "Collisions."),
    ("node_network_transmit_carrier_total", _C, "events", "Losses of the carrier."),
    ("node_network_transmit_compressed_total", _C, "packets", "Compressed packets sent."),
    ("node_network_up", _G, "", "1 where the interface is up."),
    ("node_network_mtu_bytes", _G, "bytes", "Largest packet of the interface."),
    ("node_network_speed_bytes", _G, "bytes", "Speed of the interface in bytes a second."),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MEMINFO_BYTES = _words(
    "Active Active_anon Active_file AnonHugePages AnonPages Balloon Bounce Buffers Cached CmaFree CmaTotal "
    "CommitLimit Committed_AS DirectMap1G DirectMap2M DirectMap4k Dirty FileHugePages FilePmdMapped "
    "HardwareCorrupted Hugepagesize Hugetlb Inactive Inactive_anon Inactive_file KReclaimable KernelStack "
    "Mapped MemAvailable MemFree MemTotal Mlocked NFS_Unstable PageTables Percpu SReclaimable SUnreclaim "
    "SecPageTables Shmem ShmemHugePages ShmemPmdMapped Slab SwapCached SwapFree SwapTotal Unaccepted "
    "Unevictable VmallocChunk VmallocTotal VmallocUsed Writeback WritebackTmp Zswap Zswapped"
)
"""Lines of /proc/meminfo in kB, `Active(anon)` written Active_anon: node_memory_<name>_bytes."""

MEMINFO_COUNTS = _words("HugePages_Free HugePages_Rsvd HugePages_Surp HugePages_Total")
"""Lines of /proc/meminfo without a unit: node_memory_<name>."""

VMSTAT = _words("oom_kill pgfault pgmajfault pgpgin pgpgout pswpin pswpout")
"""Lines of /proc/vmstat: node_vmstat_<name>."""

NETSTAT = _words(
    "Icmp_InErrors Icmp_InMsgs Icmp_OutMsgs IpExt_InOctets IpExt_OutOctets Ip_Forwarding TcpExt_ListenDrops "
    "TcpExt_ListenOverflows TcpExt_SyncookiesFailed TcpExt_SyncookiesRecv TcpExt_SyncookiesSent "
    "TcpExt_TCPSynRetrans TcpExt_TCPTimeouts TcpExt_TCPOFOQueue TcpExt_TCPRcvQDrop Tcp_ActiveOpens "
    "Tcp_CurrEstab Tcp_InErrs Tcp_InSegs Tcp_OutRsts Tcp_OutSegs Tcp_PassiveOpens Tcp_RetransSegs "
    "Udp_InDatagrams Udp_InErrors Udp_NoPorts Udp_OutDatagrams Udp_RcvbufErrors Udp_SndbufErrors "
    "UdpLite_InErrors"
)
"""<group>_<name> of /proc/net/snmp and /proc/net/netstat, node_exporter's choice: node_netstat_<group>_<name>."""

SOCKSTAT = _words(
    "sockets_used TCP_inuse TCP_orphan TCP_tw TCP_alloc TCP_mem UDP_inuse UDP_mem UDPLITE_inuse RAW_inuse "
    "FRAG_inuse FRAG_memory"
)
"""<group>_<name> of /proc/net/sockstat: node_sockstat_<group>_<name>."""


def _catalogue() -> dict[str, MetricInfo]:
    infos = {name: MetricInfo(kind, unit, text) for name, kind, unit, text in (*_CONTAINER, *_NODE)}
    for field in MEMINFO_BYTES:
        infos[f"node_memory_{field}_bytes"] = MetricInfo(_G, "bytes", f"{field} of /proc/meminfo.")
    for field in MEMINFO_COUNTS:
        infos[f"node_memory_{field}"] = MetricInfo(_G, "pages", f"{field} of /proc/meminfo.")
    for field in VMSTAT:
        infos[f"node_vmstat_{field}"] = MetricInfo(_U, "", f"{field} of /proc/vmstat.")
    for field in NETSTAT:
        infos[f"node_netstat_{field}"] = MetricInfo(_U, "", f"{field} of /proc/net/snmp or /proc/net/netstat.")
    for field in SOCKSTAT:
        infos[f"node_sockstat_{field}"] = MetricInfo(_G, "", f"{field} of /proc/net/sockstat.")
    return infos


CATALOGUE: dict[str, MetricInfo] = _catalogue()
"""By name. What is not listed here is not sent (tests hold the agent to it)."""
