"""One container, or some side by side."""

from __future__ import annotations

from dashboards.grafana import symptoms
from dashboards.grafana.board import CONTAINER, Board, chosen, hosts, to_host, to_workload
from dashboards.grafana.panels import (
    BLUE,
    GREEN,
    GREY,
    RATE,
    RED,
    SHARE,
    YELLOW,
    Query,
    Shown,
    bad_from,
    graph,
    number,
    timeline,
    warn,
)
from dashboards.grafana.table import Column, figures

C = 'host=~"$host", name=~"$container", name!=""'
LOG = 'host=~"$host", container=~"$container"'
BY = "host, name"
NAME = "{{host}} {{name}}"
HEALTH = (Shown("1", "healthy", GREEN), Shown("0", "unhealthy or starting", RED), Shown("-1", "no check", GREY))
STATES = (
    Shown("1", "running", GREEN),
    Shown("2", "paused", BLUE),
    Shown("3", "created", GREY),
    Shown("4", "exited", YELLOW),
    Shown("5", "dead", RED),
)


def state(scope: str) -> str:
    """The container's state as a number (STATES), since a panel shows one series a lane."""
    numbers = {shown.text: shown.value for shown in STATES}
    each = (f'container_state{{{scope}, state="{name}"}} * {value}' for name, value in numbers.items())
    return f"max by ({BY}) ({' or '.join(each)})"


def _who() -> str:
    by = f"{BY}, image, workload_namespace, workload, runtime, container_id"
    return f"max by ({by}) (container_info{{{C}}} * on ({BY}) group_left () ({state(C)}))"


def board() -> Board:
    variables = [
        hosts(),
        chosen(
            "container", "Container", 'label_values(container_last_seen{host=~"$host", name!=""}, name)', every=False
        ),
    ]
    made = Board(CONTAINER, "Container", "A container, or some side by side: state, CPU, memory, I/O, log.", variables)
    for rows in (_now, _cpu, _memory, _io, _tasks_and_log):
        rows(made)
    starts = f"changes(container_start_time_seconds{{{C}}}[$__interval]) > 0"
    return made.mark("Starts", starts, NAME + " started", "orange")


def _sum(metric: str, legend: str) -> Query:
    return Query(f"sum by ({BY}) (rate({metric}{{{C}}}{RATE}))", f"{NAME} {legend}".strip())


def _max(metric: str, legend: str) -> Query:
    return Query(f"max by ({BY}) ({metric}{{{C}}})", f"{NAME} {legend}".strip())


def _now(made: Board) -> None:
    memory = f"container_memory_working_set_bytes{{{C}}} / (container_spec_memory_limit_bytes{{{C}}} > 0)"
    made.row(
        "Now",
        number("State", "As its engine tells it.", Query(state(C), NAME), steps=warn(4, 5), shown=STATES, width=3),
        number(
            "Health",
            "Of its health check.",
            Query(f"max by ({BY}) (container_health_state{{{C}}})", NAME),
            steps=bad_from(2),
            shown=HEALTH,
            width=3,
        ),
        number(
            "Up for",
            "Since its last start.",
            Query(f"max by ({BY}) (time() - container_start_time_seconds{{{C}}})", NAME),
            unit="dtdurations",
            width=3,
        ),
        number(
            "Restarts, 1 h",
            "By its restart policy.",
            Query(f"round(sum by ({BY}) (increase(container_restarts_total{{{C}}}[1h])))", NAME),
            steps=warn(1, 3),
            width=3,
        ),
        number(
            "OOM kills, 1 h",
            "Processes of it that the kernel killed for want of memory.",
            Query(f"round(sum by ({BY}) (increase(container_oom_kills_total{{{C}}}[1h])))", NAME),
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Memory of its limit",
            "Working set against the limit; nothing where there is no limit.",
            Query(f"max by ({BY}) ({memory})", NAME),
            unit="percentunit",
            steps=SHARE,
            width=3,
        ),
        number(
            "CPU of its quota",
            "CPU time used against what the quota allows; nothing where there is none.",
            Query(
                f'max by ({BY}) (sum by ({BY}) (rate(container_cpu_usage_seconds_total{{{C}, cpu="total"}}[5m]))'
                f" / on ({BY}) max by ({BY}) (container_spec_cpu_quota{{{C}}} / container_spec_cpu_period{{{C}}}))",
                NAME,
            ),
            unit="percentunit",
            steps=SHARE,
            width=3,
        ),
        number(
            "Lost log bytes",
            "In declared gaps of its log.",
            Query(f"sum(deckwatch_log_lost_bytes{{{LOG}}}) or vector(0)"),
            unit="bytes",
            steps=bad_from(1),
            width=3,
        ),
        graph(
            "Distance to trouble",
            "Each symptom's degree; it is one from 1 on.\n" + symptoms.legend(symptoms.CONTAINER),
            Query(symptoms.degrees(symptoms.CONTAINER, C), NAME + " {{symptom}}"),
            unit="none",
            steps=bad_from(1),
        ),
        timeline("States", "What it was when.", Query(state(C), NAME), shown=STATES),
        figures(
            "Who it is",
            "Image, whom it belongs to, and the engine's id.",
            {
                "name": "Container",
                "host": "Host",
                "image": "Image",
                "workload_namespace": "Namespace",
                "workload": "Workload",
                "runtime": "Runtime",
                "container_id": "Id",
            },
            [Column("State", _who(), "none", warn(4, 5), STATES)],
            worst="State",
            links={"Host": to_host(), "Workload": to_workload()},
            height=5,
        ),
    )


def _cpu(made: Board) -> None:
    usage = f'sum by ({BY}) (rate(container_cpu_usage_seconds_total{{{C}, cpu="total"}}{RATE}))'
    quota = f"max by ({BY}) (container_spec_cpu_quota{{{C}}} / container_spec_cpu_period{{{C}}})"
    made.row(
        "CPU",
        graph(
            "CPU",
            "Cores used, against the quota where it has one.",
            Query(usage, NAME),
            Query(quota, NAME + " quota"),
            unit="none",
            dashed=".*quota",
        ),
        graph(
            "User and kernel",
            "Cores used in its own code and in the kernel on its behalf.",
            _sum("container_cpu_user_seconds_total", "user"),
            _sum("container_cpu_system_seconds_total", "kernel"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Throttling",
            "Share of the periods in which the quota ran out. Nothing where it has no quota.",
            Query(
                f"max by ({BY}) (rate(container_cpu_cfs_throttled_periods_total{{{C}}}{RATE})"
                f" / (rate(container_cpu_cfs_periods_total{{{C}}}{RATE}) > 0))",
                NAME,
            ),
            unit="percentunit",
            most=1,
            steps=bad_from(0.25),
        ),
        graph(
            "Pressure",
            "Share of time in which some of its tasks (waiting) or all (stalled) could not go on for want of it (PSI).",
            _sum("container_pressure_cpu_waiting_seconds_total", "CPU waiting"),
            _sum("container_pressure_memory_waiting_seconds_total", "memory waiting"),
            _sum("container_pressure_memory_stalled_seconds_total", "memory stalled"),
            _sum("container_pressure_io_waiting_seconds_total", "I/O waiting"),
            _sum("container_pressure_io_stalled_seconds_total", "I/O stalled"),
            unit="percentunit",
        ),
    )


def _memory(made: Board) -> None:
    made.row(
        "Memory",
        graph(
            "Memory",
            "The working set is what the kernel can't take back at once; it kills at the limit.",
            _max("container_memory_working_set_bytes", "working set"),
            _max("container_memory_usage_bytes", "with all cache"),
            _max("container_spec_memory_limit_bytes", "limit"),
            unit="bytes",
            dashed=".*limit",
        ),
        graph(
            "What it is made of",
            "Anonymous memory is the processes' own. Shared memory and tmpfs are part of the cache, but can't be"
            " taken back.",
            _max("container_memory_rss", "anonymous"),
            _max("container_memory_cache", "page cache"),
            _max("container_memory_mapped_file", "mapped files"),
            _max("container_memory_shmem_bytes", "shared, tmpfs"),
            _max("container_memory_kernel_usage", "kernel"),
            _max("container_memory_swap", "swap"),
            unit="bytes",
        ),
        graph(
            "Page faults",
            "Major ones had to read from disk: with a working set above the limit they are many.",
            Query(
                f'sum by ({BY}, failure_type) (rate(container_memory_failures_total{{{C}, scope="hierarchy"}}{RATE}))',
                NAME + " {{failure_type}}",
            ),
            unit="ops",
        ),
        graph(
            "Cache that was missed",
            "Pages that were thrown out and needed again, a second: more memory would have kept them.",
            _sum("container_memory_workingset_refault_file_total", "file"),
            _sum("container_memory_workingset_refault_anon_total", "swapped"),
            unit="ops",
        ),
    )


def _io(made: Board) -> None:
    made.row(
        "Network and disk",
        graph(
            "Network",
            "Bits received (above) and sent (below); nothing for a container without a network of its own.",
            Query(f"sum by ({BY}) (rate(container_network_receive_bytes_total{{{C}}}{RATE})) * 8", NAME + " received"),
            Query(f"sum by ({BY}) (rate(container_network_transmit_bytes_total{{{C}}}{RATE})) * 8", NAME + " sent"),
            unit="bps",
            below=".*sent",
        ),
        graph(
            "Network errors and drops",
            "Packets a second.",
            _sum("container_network_receive_errors_total", "receive errors"),
            _sum("container_network_receive_packets_dropped_total", "receive drops"),
            _sum("container_network_transmit_errors_total", "send errors"),
            _sum("container_network_transmit_packets_dropped_total", "send drops"),
            unit="pps",
        ),
        graph(
            "Disk throughput",
            "Bytes from (above) and to (below) devices; what the page cache answers isn't counted.",
            _sum("container_fs_reads_bytes_total", "read"),
            _sum("container_fs_writes_bytes_total", "written"),
            unit="Bps",
            below=".*written",
        ),
        graph(
            "Disk operations",
            "Reads (above) and writes (below) a second.",
            _sum("container_fs_reads_total", "reads"),
            _sum("container_fs_writes_total", "writes"),
            unit="iops",
            below=".*writes",
        ),
    )


def _tasks_and_log(made: Board) -> None:
    made.row(
        "Tasks and log",
        graph(
            "Processes and threads",
            "Against the limit where it has one; at the limit fork fails.",
            _max("container_processes", "processes"),
            _max("container_threads", "threads"),
            _max("container_threads_max", "limit"),
            unit="none",
            dashed=".*limit",
        ),
        graph(
            "Log",
            "Bytes a second that it writes, as the collector took them.",
            Query(
                f"sum by (host, container) (clamp_min(deriv(deckwatch_log_admitted_bytes{{{LOG}}}[5m]), 0))",
                "{{host}} {{container}}",
            ),
            unit="Bps",
        ),
    )
