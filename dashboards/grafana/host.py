"""One host: what node_exporter's dashboard shows, in the order of the questions, and the containers on it."""

from __future__ import annotations

from dashboards.grafana import symptoms
from dashboards.grafana.board import HOST, OF_SERIES_CONTAINER, Board, hosts, to_container
from dashboards.grafana.panels import SHARE, Query, bad_from, graph, number, warn
from dashboards.grafana.table import Column, figures

H = 'host="$host"'
C = f'{H}, name!=""'
DISKS = f"{H}, {symptoms.DISKS}"
LINKS = f'{H}, device!~"lo|veth.*|br-.*|docker.*"'
RATE = "[$__rate_interval]"


def board() -> Board:
    made = Board(HOST, "Host", "One host: CPU, memory, disks, network, and its containers.", [hosts(every=False)])
    for rows in (_now, _cpu, _memory, _disks, _filesystems, _network, _containers):
        rows(made)
    return made.mark("Boots", f"changes(node_boot_time_seconds{{{H}}}[$__interval]) > 0", "{{host}} booted", "orange")


def _rate(metric: str, legend: str, scope: str = H, by: str = "") -> Query:
    inner = f"rate({metric}{{{scope}}}{RATE})"
    return Query(f"sum by ({by}) ({inner})" if by else inner, legend)


def _now(made: Board) -> None:
    used = f"node_memory_MemTotal_bytes{{{H}}} - node_memory_MemAvailable_bytes{{{H}}}"
    made.row(
        "Now",
        number(
            "CPU used",
            "Share of all CPU time of the last five minutes that wasn't idle.",
            f'1 - avg(rate(node_cpu_seconds_total{{{H}, mode="idle"}}[5m]))',
            unit="percentunit",
            steps=warn(0.8, 0.95),
            width=3,
        ),
        number(
            "Load per core",
            "Tasks that run or wait, for each core; above 1 some wait.",
            f"node_load5{{{H}}} / on (host) machine_cpu_cores{{{H}}}",
            unit="none",
            steps=warn(1, 2),
            width=3,
        ),
        number(
            "Memory used",
            "Share of the memory that isn't available to new work.",
            f"({used}) / node_memory_MemTotal_bytes{{{H}}}",
            unit="percentunit",
            steps=SHARE,
            width=3,
        ),
        number(
            "Swap used",
            "Nothing where there is no swap space.",
            f"1 - node_memory_SwapFree_bytes{{{H}}} / (node_memory_SwapTotal_bytes{{{H}}} > 0)",
            unit="percentunit",
            steps=warn(0.3, 0.7),
            width=3,
        ),
        number(
            "Fullest disk",
            "Of all file systems on disks, the share that isn't free to everybody.",
            f"max(1 - node_filesystem_avail_bytes{{{DISKS}}} / (node_filesystem_size_bytes{{{DISKS}}} > 0))",
            unit="percentunit",
            steps=SHARE,
            width=3,
        ),
        number(
            "Containers running",
            "As their engine tells it.",
            f'sum(container_state{{{C}, state="running"}}) or vector(0)',
            unit="none",
            width=3,
        ),
        number(
            "OOM kills, 1 h",
            "Processes that the kernel killed for want of memory.",
            f"round(increase(node_vmstat_oom_kill{{{H}}}[1h]))",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Up for",
            "Since the last boot.",
            f"node_time_seconds{{{H}}} - node_boot_time_seconds{{{H}}}",
            unit="dtdurations",
            width=3,
        ),
        graph(
            "Distance to trouble",
            "Each symptom's degree; it is one from 1 on.\n" + symptoms.legend(symptoms.HOST),
            Query(symptoms.degrees(symptoms.HOST, H), "{{symptom}}"),
            unit="none",
            steps=bad_from(1),
        ),
        graph(
            "Pressure",
            "Share of time in which some task (waiting) or all of them (stalled) could not go on for want of it (PSI):"
            " the shortest way to what the host lacks.",
            _rate("node_pressure_cpu_waiting_seconds_total", "CPU waiting"),
            _rate("node_pressure_memory_waiting_seconds_total", "memory waiting"),
            _rate("node_pressure_memory_stalled_seconds_total", "memory stalled"),
            _rate("node_pressure_io_waiting_seconds_total", "I/O waiting"),
            _rate("node_pressure_io_stalled_seconds_total", "I/O stalled"),
            unit="percentunit",
        ),
    )


def _cpu(made: Board) -> None:
    made.row(
        "CPU",
        graph(
            "CPU by mode",
            "Cores that are busy, by what with. iowait is idle time with I/O under way; steal went to other guests.",
            Query(f'sum by (mode) (rate(node_cpu_seconds_total{{{H}, mode!="idle"}}{RATE}))', "{{mode}}"),
            Query(f"machine_cpu_cores{{{H}}}", "cores"),
            unit="none",
            stacked=True,
            dashed="cores",
        ),
        graph(
            "Load",
            "Tasks that run, wait for a CPU or for I/O, averaged over 1, 5 and 15 minutes, against the cores.",
            Query(f"node_load1{{{H}}}", "1 m"),
            Query(f"node_load5{{{H}}}", "5 m"),
            Query(f"node_load15{{{H}}}", "15 m"),
            Query(f"machine_cpu_cores{{{H}}}", "cores"),
            unit="none",
            dashed="cores",
        ),
        graph(
            "Busiest cores",
            "The ten busiest: one core at 100 % is a task that can't use more.",
            Query(f'topk(10, 1 - rate(node_cpu_seconds_total{{{H}, mode="idle"}}{RATE}))', "CPU {{cpu}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Scheduler",
            "Switches between tasks, interrupts and new tasks a second.",
            _rate("node_context_switches_total", "context switches"),
            _rate("node_intr_total", "interrupts"),
            _rate("node_forks_total", "forks"),
            unit="ops",
        ),
        graph(
            "Tasks",
            "That could run now, and that wait for I/O (blocked).",
            Query(f"node_procs_running{{{H}}}", "running"),
            Query(f"node_procs_blocked{{{H}}}", "blocked"),
            unit="none",
        ),
        graph(
            "File handles and entropy",
            "Handles in use; entropy is 256 on kernels from 5.18 on.",
            Query(f"node_filefd_allocated{{{H}}}", "file handles"),
            Query(f"node_entropy_available_bits{{{H}}}", "entropy, bits"),
            unit="none",
        ),
    )


def _memory(made: Board) -> None:
    def mem(field: str, legend: str) -> Query:
        return Query(f"node_memory_{field}_bytes{{{H}}}", legend)

    made.row(
        "Memory",
        graph(
            "Memory",
            "Where it is. Cache and buffers are given back when somebody needs memory; the rest isn't.",
            mem("AnonPages", "of processes"),
            mem("Shmem", "shared, tmpfs"),
            mem("SUnreclaim", "kernel"),
            mem("PageTables", "page tables"),
            Query(f"node_memory_Cached_bytes{{{H}}} - node_memory_Shmem_bytes{{{H}}}", "page cache"),
            mem("Buffers", "buffers"),
            mem("SReclaimable", "kernel, reclaimable"),
            mem("MemFree", "free"),
            mem("MemTotal", "total"),
            unit="bytes",
            stacked=True,
            dashed="total",
        ),
        graph(
            "Available",
            "What new work could get without swapping, by the kernel's estimate.",
            mem("MemAvailable", "available"),
            mem("MemTotal", "total"),
            unit="bytes",
            dashed="total",
        ),
        graph(
            "Paging",
            "Pages a second from and to swap, and faults that had to read from disk: the sign that memory is short.",
            _rate("node_vmstat_pswpin", "swapped in"),
            _rate("node_vmstat_pswpout", "swapped out"),
            _rate("node_vmstat_pgmajfault", "major faults"),
            unit="ops",
        ),
        graph(
            "Waiting to be written",
            "Page cache that differs from the disk; much of it over a long time is a disk that can't follow.",
            mem("Dirty", "dirty"),
            mem("Writeback", "being written"),
            unit="bytes",
        ),
    )


def _disks(made: Board) -> None:
    def per_op(time: str, ops: str, legend: str) -> Query:
        return Query(f"rate({time}{{{H}}}{RATE}) / (rate({ops}{{{H}}}{RATE}) > 0)", legend)

    made.row(
        "Disks",
        graph(
            "Throughput",
            "Bytes read (above) and written (below).",
            _rate("node_disk_read_bytes_total", "{{device}} read"),
            _rate("node_disk_written_bytes_total", "{{device}} written"),
            unit="Bps",
            below=".*written",
        ),
        graph(
            "Operations",
            "Completed reads (above) and writes (below) a second.",
            _rate("node_disk_reads_completed_total", "{{device}} reads"),
            _rate("node_disk_writes_completed_total", "{{device}} writes"),
            unit="iops",
            below=".*writes",
        ),
        graph(
            "Time of an operation",
            "From queue to completion, on average: a disk that gets slow shows here first.",
            per_op("node_disk_read_time_seconds_total", "node_disk_reads_completed_total", "{{device}} read"),
            per_op("node_disk_write_time_seconds_total", "node_disk_writes_completed_total", "{{device}} write"),
            unit="s",
        ),
        graph(
            "Busy",
            "Share of time with an operation under way. 100 % is the limit of a hard disk, but not of an SSD.",
            _rate("node_disk_io_time_seconds_total", "{{device}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Queue",
            "Operations under way, on average.",
            _rate("node_disk_io_time_weighted_seconds_total", "{{device}}"),
            unit="none",
            width=24,
        ),
    )


def _filesystems(made: Board) -> None:
    by = "device, fstype, mountpoint"
    used = f"1 - node_filesystem_avail_bytes{{{DISKS}}} / (node_filesystem_size_bytes{{{DISKS}}} > 0)"
    made.row(
        "File systems",
        figures(
            "File systems",
            "The fullest on top. Days left go by the last six hours; nothing stands there where it isn't filling up.",
            {"mountpoint": "Mounted at", "device": "Device", "fstype": "Type"},
            [
                Column("Used", f"max by ({by}) ({used})", "percentunit", SHARE),
                Column("Size", f"max by ({by}) (node_filesystem_size_bytes{{{DISKS}}})", "bytes"),
                Column("Free", f"max by ({by}) (node_filesystem_avail_bytes{{{DISKS}}})", "bytes"),
                Column(
                    "Inodes used",
                    f"max by ({by}) (1 - node_filesystem_files_free{{{DISKS}}}"
                    f" / (node_filesystem_files{{{DISKS}}} > 0))",
                    "percentunit",
                    SHARE,
                ),
                Column(
                    "Full in",
                    f"max by ({by}) (node_filesystem_avail_bytes{{{DISKS}}}"
                    f" / (-deriv(node_filesystem_avail_bytes{{{DISKS}}}[6h]) > 0))",
                    "dtdurations",
                    ((None, "red"), (86400, "#EAB839"), (7 * 86400, "green")),
                ),
            ],
            worst="Used",
            width=14,
        ),
        graph(
            "Used",
            "Share of each file system that isn't free to everybody.",
            Query(f"max by (mountpoint) ({used})", "{{mountpoint}}"),
            unit="percentunit",
            most=1,
            width=10,
            height=10,
        ),
    )


def _network(made: Board) -> None:
    def tcp(name: str, legend: str) -> Query:
        return _rate(f"node_netstat_{name}", legend)

    made.row(
        "Network",
        graph(
            "Traffic",
            "Bits received (above) and sent (below), without loopback and the host's ends of containers' links.",
            Query(f"rate(node_network_receive_bytes_total{{{LINKS}}}{RATE}) * 8", "{{device}} received"),
            Query(f"rate(node_network_transmit_bytes_total{{{LINKS}}}{RATE}) * 8", "{{device}} sent"),
            unit="bps",
            below=".*sent",
        ),
        graph(
            "Errors and drops",
            "Packets a second that came damaged or found no room. Anything lasting above 0 is worth a look.",
            _rate("node_network_receive_errs_total", "{{device}} receive errors", LINKS),
            _rate("node_network_receive_drop_total", "{{device}} receive drops", LINKS),
            _rate("node_network_transmit_errs_total", "{{device}} send errors", LINKS),
            _rate("node_network_transmit_drop_total", "{{device}} send drops", LINKS),
            unit="pps",
        ),
        graph(
            "Connections",
            "TCP: established, waiting to be forgotten (time wait), and made a second.",
            Query(f"node_netstat_Tcp_CurrEstab{{{H}}}", "established"),
            Query(f"node_sockstat_TCP_tw{{{H}}}", "time wait"),
            tcp("Tcp_ActiveOpens", "opened a second"),
            tcp("Tcp_PassiveOpens", "accepted a second"),
            unit="none",
        ),
        graph(
            "TCP trouble",
            "Segments sent again, resets, and connections that found a full listen queue, a second.",
            tcp("Tcp_RetransSegs", "retransmitted"),
            tcp("Tcp_OutRsts", "resets sent"),
            tcp("TcpExt_ListenDrops", "listen drops"),
            tcp("TcpExt_ListenOverflows", "listen overflows"),
            unit="ops",
        ),
        graph(
            "Tracked connections",
            "Of the firewall (conntrack), against their limit; nothing where it isn't loaded.",
            Query(f"node_nf_conntrack_entries{{{H}}}", "tracked"),
            Query(f"node_nf_conntrack_entries_limit{{{H}}}", "limit"),
            unit="none",
            dashed="limit",
        ),
        graph(
            "UDP",
            "Datagrams in and out, those for no port, and those that found no room.",
            tcp("Udp_InDatagrams", "received"),
            tcp("Udp_OutDatagrams", "sent"),
            tcp("Udp_NoPorts", "no port"),
            tcp("Udp_RcvbufErrors", "buffer full"),
            unit="pps",
        ),
    )


def _containers(made: Board) -> None:
    made.row(
        "Containers on this host",
        figures(
            "Containers",
            "What each uses, and of its limits.",
            {"name": "Container"},
            [
                Column(
                    "CPU cores",
                    f'sum by (name) (rate(container_cpu_usage_seconds_total{{{C}, cpu="total"}}[5m]))',
                    "none",
                ),
                Column("Memory", f"max by (name) (container_memory_working_set_bytes{{{C}}})", "bytes"),
                Column(
                    "Of its limit",
                    f"max by (name) (container_memory_working_set_bytes{{{C}}}"
                    f" / (container_spec_memory_limit_bytes{{{C}}} > 0))",
                    "percentunit",
                    SHARE,
                ),
                Column("Restarts", f"max by (name) (container_restarts_total{{{C}}})", "none"),
                Column(
                    "Up for",
                    f"max by (name) (time() - container_start_time_seconds{{{C}}})",
                    "dtdurations",
                ),
            ],
            worst="CPU cores",
            links={"Container": to_container("$host")},
            width=12,
        ),
        graph(
            "CPU by container",
            "Cores used, the ten greatest. What is used outside of containers is the rest up to the graph above.",
            Query(
                f'topk(10, sum by (host, name) (rate(container_cpu_usage_seconds_total{{{C}, cpu="total"}}{RATE})))',
                "{{name}}",
            ),
            unit="none",
            stacked=True,
            link=OF_SERIES_CONTAINER,
            height=10,
        ),
    )
