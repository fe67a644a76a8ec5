"""One host: what node_exporter's dashboard shows, in the order of the questions, and the containers on it."""

from __future__ import annotations

from dashboards.grafana import symptoms
from dashboards.grafana.board import HOST, OF_SERIES_CONTAINER, Board, hosts, to_container
from dashboards.grafana.host_engine import engine
from dashboards.grafana.host_io import DISKS, H, disks, filesystems, network, rate
from dashboards.grafana.host_processes import processes
from dashboards.grafana.panels import RATE, SHARE, Query, bad_from, graph, number, warn
from dashboards.grafana.table import Column, figures

C = f'{H}, name!=""'


def board() -> Board:
    made = Board(HOST, "Host", "One host: CPU, memory, disks, network, and its containers.", [hosts(every=False)])
    for rows in (_now, _cpu, _memory, disks, filesystems, network, processes, engine, _containers):
        rows(made)
    return made.mark("Boots", f"changes(node_boot_time_seconds{{{H}}}[$__interval]) > 0", "{{host}} booted", "orange")


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
            rate("node_pressure_cpu_waiting_seconds_total", "CPU waiting"),
            rate("node_pressure_memory_waiting_seconds_total", "memory waiting"),
            rate("node_pressure_memory_stalled_seconds_total", "memory stalled"),
            rate("node_pressure_io_waiting_seconds_total", "I/O waiting"),
            rate("node_pressure_io_stalled_seconds_total", "I/O stalled"),
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
            rate("node_context_switches_total", "context switches"),
            rate("node_intr_total", "interrupts"),
            rate("node_forks_total", "forks"),
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
            rate("node_vmstat_pswpin", "swapped in"),
            rate("node_vmstat_pswpout", "swapped out"),
            rate("node_vmstat_pgmajfault", "major faults"),
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
