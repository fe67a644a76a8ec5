"""The host's part of the metrics catalogue: rows of (name, type, unit, help), and the fields of the kernel's files that
make a metric each. Names and types are those of cAdvisor (`machine_*`) and node_exporter (`node_*`).
"""

from __future__ import annotations

_C, _G, _U = "counter", "gauge", "untyped"

_MACHINE: tuple[tuple[str, str, str, str], ...] = (
    ("machine_cpu_cores", _G, "cores", "Logical CPUs that are online."),
    ("machine_cpu_physical_cores", _G, "cores", "Physical CPU cores."),
    ("machine_memory_bytes", _G, "bytes", "Memory installed."),
    ("machine_swap_bytes", _G, "bytes", "Swap space."),
    ("machine_cpu_sockets", _G, "sockets", "CPU sockets."),
    ("machine_cpu_books", _G, "books", "CPU books (s390x)."),
    ("machine_cpu_drawers", _G, "drawers", "CPU drawers (s390x)."),
    ("machine_dimm_count", _G, "modules", "Memory modules by type."),
    ("machine_dimm_capacity_bytes", _G, "bytes", "Capacity of memory modules by type."),
    ("machine_info", _G, "", "1, with boot_id, machine_id and system_uuid. Deckwatch's own."),
)

_NODE: tuple[tuple[str, str, str, str], ...] = (
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
    ("node_network_carrier", _G, "", "1 where the interface has a carrier."),
    ("node_network_carrier_changes_total", _C, "changes", "Times that the carrier came or went."),
    ("node_network_carrier_up_changes_total", _C, "changes", "Times that the carrier came."),
    ("node_network_carrier_down_changes_total", _C, "changes", "Times that the carrier went."),
    ("node_network_receive_nohandler_total", _C, "packets", "Received packets for which nobody asked."),
    ("node_network_info", _G, "", "1, with the interface's address, alias, duplex and operational state."),
    ("node_network_address_assign_type", _G, "", "addr_assign_type of /sys/class/net: how the address was assigned."),
    ("node_network_device_id", _G, "", "dev_id of /sys/class/net."),
    ("node_network_dormant", _G, "", "1 where the interface waits for a supplicant."),
    ("node_network_flags", _G, "", "flags of /sys/class/net."),
    ("node_network_iface_id", _G, "", "Index of the interface."),
    ("node_network_iface_link", _G, "", "Index of the interface that it is linked to."),
    ("node_network_iface_link_mode", _G, "", "link_mode of /sys/class/net."),
    ("node_network_name_assign_type", _G, "", "name_assign_type of /sys/class/net: who named the interface."),
    ("node_network_net_dev_group", _G, "", "Group of the interface."),
    ("node_network_protocol_type", _G, "", "Hardware type of the interface (ARPHRD)."),
    ("node_network_transmit_queue_length", _G, "packets", "Length of the interface's transmit queue."),
    ("node_bonding_slaves", _G, "", "Ports of the bond."),
    ("node_bonding_active", _G, "", "Ports of the bond whose link is up."),
    ("node_arp_entries", _G, "", "ARP entries by device."),
    ("node_softnet_processed_total", _C, "packets", "Packets that the CPU took from its backlog."),
    ("node_softnet_dropped_total", _C, "packets", "Packets dropped as the CPU's backlog was full."),
    ("node_softnet_times_squeezed_total", _C, "events", "Times that the CPU stopped with packets left in its backlog."),
    ("node_sockstat_TCP_mem_bytes", _G, "bytes", "Memory of TCP sockets' buffers."),
    ("node_sockstat_UDP_mem_bytes", _G, "bytes", "Memory of UDP sockets' buffers."),
    ("node_udp_queues", _G, "bytes", "Bytes in the queues of UDP sockets."),
    ("node_ipvs_connections_total", _C, "connections", "Connections that IPVS balanced."),
    ("node_ipvs_incoming_packets_total", _C, "packets", "Packets that came to IPVS."),
    ("node_ipvs_outgoing_packets_total", _C, "packets", "Packets that went out through IPVS."),
    ("node_ipvs_incoming_bytes_total", _C, "bytes", "Bytes that came to IPVS."),
    ("node_ipvs_outgoing_bytes_total", _C, "bytes", "Bytes that went out through IPVS."),
    ("node_entropy_pool_size_bits", _G, "bits", "Size of the entropy pool."),
    ("node_kernel_hung_tasks_total", _C, "tasks", "Tasks that the kernel found hanging."),
    ("node_schedstat_running_seconds_total", _C, "seconds", "Time that tasks ran on the CPU."),
    ("node_schedstat_waiting_seconds_total", _C, "seconds", "Time that tasks waited for the CPU."),
    ("node_schedstat_timeslices_total", _C, "timeslices", "Time slices run on the CPU."),
    ("node_filesystem_mount_info", _G, "", "1, with the device number of the mount."),
    ("node_disk_info", _G, "", "1, with what udev knows of the disk."),
    ("node_md_blocks", _G, "blocks", "Blocks of the RAID array, of 1 KiB."),
    ("node_md_blocks_synced", _G, "blocks", "Blocks that are in step."),
    ("node_md_disks", _G, "disks", "Disks of the RAID array by state."),
    ("node_md_disks_required", _G, "disks", "Disks that the RAID array is to have."),
    ("node_md_state", _G, "", "1 for the state that the RAID array is in."),
    ("node_dmi_info", _G, "", "1, with what the firmware says of the machine."),
    ("node_os_info", _G, "", "1, with what os-release says."),
    ("node_os_version", _G, "", "Version of the operating system as a number."),
    ("node_selinux_enabled", _G, "", "1 where SELinux is on."),
    ("node_selinux_current_mode", _G, "", "1 where SELinux enforces, 0 where it only complains."),
    ("node_time_clocksource_available_info", _G, "", "1 for each clock source that could be used."),
    ("node_time_clocksource_current_info", _G, "", "1 for the clock source in use."),
    ("node_time_zone_offset_seconds", _G, "seconds", "Offset of the local time from UTC."),
    ("node_cpu_scaling_frequency_hertz", _G, "hertz", "Clock of the CPU now."),
    ("node_cpu_scaling_frequency_min_hertz", _G, "hertz", "Lowest clock that the governor goes to."),
    ("node_cpu_scaling_frequency_max_hertz", _G, "hertz", "Highest clock that the governor goes to."),
    ("node_cpu_core_throttles_total", _C, "events", "Times that heat slowed the core down."),
    ("node_cpu_package_throttles_total", _C, "events", "Times that heat slowed the package down."),
    ("node_thermal_zone_temp", _G, "celsius", "Temperature of the zone."),
    ("node_hwmon_chip_names", _G, "", "1, with the chip's name for people."),
    ("node_hwmon_sensor_label", _G, "", "1, with the sensor's label."),
    ("node_hwmon_temp_celsius", _G, "celsius", "Temperature."),
    ("node_hwmon_temp_max_celsius", _G, "celsius", "Temperature that is high."),
    ("node_hwmon_temp_crit_celsius", _G, "celsius", "Temperature that is critical."),
    ("node_hwmon_temp_alarm", _G, "", "1 where the chip warns of the temperature."),
    ("node_hwmon_fan_rpm", _G, "rpm", "Speed of the fan."),
    ("node_hwmon_fan_min_rpm", _G, "rpm", "Speed below which the fan is broken."),
    ("node_hwmon_fan_alarm", _G, "", "1 where the chip warns of the fan."),
    ("node_hwmon_in_volts", _G, "volts", "Voltage."),
    ("node_hwmon_curr_amps", _G, "amperes", "Current."),
    ("node_hwmon_power_watt", _G, "watts", "Power."),
    ("node_hwmon_power_average_watt", _G, "watts", "Power, averaged by the chip."),
    ("node_timex_sync_status", _G, "", "1 where the clock is kept by a reliable server."),
    ("node_timex_offset_seconds", _G, "seconds", "Offset between the clock and its reference."),
    ("node_timex_frequency_adjustment_ratio", _G, "", "How fast the clock is made to run."),
    ("node_timex_maxerror_seconds", _G, "seconds", "Largest error of the clock."),
    ("node_timex_estimated_error_seconds", _G, "seconds", "Estimated error of the clock."),
    ("node_timex_status", _G, "", "Status bits of adjtimex(2)."),
    ("node_timex_loop_time_constant", _G, "", "Time constant of the phase-locked loop."),
    ("node_timex_tick_seconds", _G, "seconds", "Time between two ticks of the clock."),
    ("node_timex_pps_frequency_hertz", _G, "hertz", "Frequency of the pulse a second."),
    ("node_timex_pps_jitter_seconds", _G, "seconds", "Jitter of the pulse a second."),
    ("node_timex_pps_shift_seconds", _G, "seconds", "Interval over which the pulse a second is measured."),
    ("node_timex_pps_stability_hertz", _G, "hertz", "Wander of the pulse a second."),
    ("node_timex_pps_jitter_total", _C, "events", "Pulses over the jitter limit."),
    ("node_timex_pps_calibration_total", _C, "events", "Calibrations by the pulse a second."),
    ("node_timex_pps_error_total", _C, "events", "Failed calibrations by the pulse a second."),
    ("node_timex_pps_stability_exceeded_total", _C, "events", "Pulses over the stability limit."),
    ("node_timex_tai_offset_seconds", _G, "seconds", "Offset between TAI and UTC."),
)

_PROCESS: tuple[tuple[str, str, str, str], ...] = (
    ("node_processes_state", _G, "processes", "Processes by state."),
    ("node_processes_pids", _G, "processes", "Processes."),
    ("node_processes_threads", _G, "tasks", "Threads."),
    ("node_processes_max_processes", _G, "processes", "Limit of process ids."),
    ("node_processes_max_threads", _G, "tasks", "Limit of threads."),
    ("namedprocess_namegroup_num_procs", _G, "processes", "Processes of that name."),
    ("namedprocess_namegroup_num_threads", _G, "tasks", "Threads of processes of that name."),
    (
        "namedprocess_namegroup_cpu_seconds_total",
        _C,
        "seconds",
        "CPU time that processes of that name used since the agent's start.",
    ),
    (
        "namedprocess_namegroup_memory_bytes",
        _G,
        "bytes",
        "Memory of processes of that name; shared pages count in each.",
    ),
    ("namedprocess_namegroup_major_page_faults_total", _C, "faults", "Page faults that had to read from a disk."),
    ("namedprocess_namegroup_read_bytes_total", _C, "bytes", "Bytes that came from a device."),
    ("namedprocess_namegroup_write_bytes_total", _C, "bytes", "Bytes that went to a device."),
    ("namedprocess_namegroup_oldest_start_time_seconds", _G, "seconds", "Unix time at which the oldest one started."),
    ("namedprocess_namegroup_open_filedesc", _G, "files", "Descriptors that processes of that name have open."),
    ("namedprocess_namegroup_worst_fd_ratio", _G, "ratio", "Greatest share of its limit of descriptors that one uses."),
)

_UNIT: tuple[tuple[str, str, str, str], ...] = (
    ("systemd_unit_cpu_usage_seconds_total", _C, "seconds", "CPU time that the unit and all below it used."),
    ("systemd_unit_cpu_cfs_throttled_seconds_total", _C, "seconds", "Time that the unit was held back by its quota."),
    ("systemd_unit_memory_usage_bytes", _G, "bytes", "All memory charged to the unit, page cache included."),
    ("systemd_unit_memory_working_set_bytes", _G, "bytes", "Memory in use without the inactive page cache."),
    ("systemd_unit_memory_rss_bytes", _G, "bytes", "Anonymous memory."),
    ("systemd_unit_memory_swap_bytes", _G, "bytes", "Swap in use."),
    ("systemd_unit_oom_events_total", _C, "events", "Processes of the unit that were killed for want of memory."),
    ("systemd_unit_fs_reads_bytes_total", _C, "bytes", "Bytes read from devices."),
    ("systemd_unit_fs_writes_bytes_total", _C, "bytes", "Bytes written to devices."),
    ("systemd_unit_threads", _G, "tasks", "Tasks (threads) of the unit."),
    ("systemd_unit_pressure_cpu_waiting_seconds_total", _C, "seconds", "Time in which some task waited for a CPU."),
    ("systemd_unit_pressure_memory_waiting_seconds_total", _C, "seconds", "Time in which some task waited for memory."),
    ("systemd_unit_pressure_io_waiting_seconds_total", _C, "seconds", "Time in which some task waited for I/O."),
)

ROWS = (*_MACHINE, *_NODE, *_PROCESS, *_UNIT)


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
    "Icmp6_InErrors Icmp6_InMsgs Icmp6_OutMsgs Icmp_InErrors Icmp_InMsgs Icmp_OutMsgs Ip6_InOctets Ip6_OutOctets "
    "IpExt_InOctets IpExt_OutOctets Ip_Forwarding TcpExt_ListenDrops TcpExt_ListenOverflows "
    "TcpExt_SyncookiesFailed TcpExt_SyncookiesRecv TcpExt_SyncookiesSent TcpExt_TCPSynRetrans TcpExt_TCPTimeouts "
    "TcpExt_TCPOFOQueue TcpExt_TCPRcvQDrop Tcp_ActiveOpens Tcp_CurrEstab Tcp_InErrs Tcp_InSegs Tcp_OutRsts "
    "Tcp_OutSegs Tcp_PassiveOpens Tcp_RetransSegs Udp_InDatagrams Udp_InErrors Udp_NoPorts Udp_OutDatagrams "
    "Udp_RcvbufErrors Udp_SndbufErrors Udp6_InDatagrams Udp6_InErrors Udp6_NoPorts Udp6_OutDatagrams "
    "Udp6_RcvbufErrors Udp6_SndbufErrors UdpLite6_InErrors UdpLite_InErrors"
)
"""<group>_<name> of /proc/net/snmp, netstat and snmp6, node_exporter's choice: node_netstat_<group>_<name>."""

SOCKSTAT = _words(
    "sockets_used TCP_inuse TCP_orphan TCP_tw TCP_alloc TCP_mem UDP_inuse UDP_mem UDPLITE_inuse RAW_inuse "
    "FRAG_inuse FRAG_memory TCP6_inuse UDP6_inuse UDPLITE6_inuse RAW6_inuse FRAG6_inuse FRAG6_memory"
)
"""<group>_<name> of /proc/net/sockstat and sockstat6: node_sockstat_<group>_<name>."""

CONNTRACK_STAT = _words("found invalid ignore insert insert_failed drop early_drop search_restart")
"""Fields of /proc/net/stat/nf_conntrack: node_nf_conntrack_stat_<name>."""
