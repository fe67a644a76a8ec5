"""A workload (Compose or Swarm service, Kubernetes owner, Marathon app ...): itself, over restarts and replacements of
its containers (`workload_*`), and its containers of now, the odd one out."""

from __future__ import annotations

from dashboards.grafana import symptoms
from dashboards.grafana.board import OF_SERIES_CONTAINER, OF_SERIES_HOST, WORKLOAD, Board, chosen, hosts, to_container
from dashboards.grafana.panels import RATE, RED, SHARE, Query, bad_from, graph, number, warn
from dashboards.grafana.table import Column, figures

H = 'host=~"$host"'
C = f'{H}, name!=""'
CHOSEN = f'{H}, workload_namespace=~"$namespace", workload=~"$workload"'
NAME = "{{host}} {{name}}"


def _sum(metric: str, window: str = RATE, by: str = "") -> str:
    """A second, of a counter of the workload; all its hosts together."""
    return f"sum by ({by}) (rate({metric}{{{CHOSEN}}}{window}))"


def _count(metric: str, by: str = "") -> str:
    """Within the hour."""
    return f"round(sum by ({by}) (increase({metric}{{{CHOSEN}}}[1h])))"


def ours(expr: str) -> str:
    """`expr` by (host, name), of the workload's containers alone. container_info says whose a container is."""
    return f"{expr} and on (host, name) container_info{{{CHOSEN}}}"


def _each(metric: str, *, rate: bool = False, scope: str = C) -> str:
    """By (host, name)."""
    inner = f"rate({metric}{{{scope}}}{RATE})" if rate else f"{metric}{{{scope}}}"
    return ours(f"sum by (host, name) ({inner})")


CPU = _each("container_cpu_usage_seconds_total", rate=True, scope=f'{C}, cpu="total"')
MEMORY = _each("container_memory_working_set_bytes")
OF_MEMORY = ours(
    f"max by (host, name) (container_memory_working_set_bytes{{{C}}} / (container_spec_memory_limit_bytes{{{C}}} > 0))"
)
THROTTLED = ours(
    f"max by (host, name) (rate(container_cpu_cfs_throttled_periods_total{{{C}}}[5m])"
    f" / (rate(container_cpu_cfs_periods_total{{{C}}}[5m]) > 0))"
)


def _events(metric: str, window: str = "1h") -> str:
    return ours(f"round(sum by (host, name) (increase({metric}{{{C}}}[{window}])))")


def board() -> Board:
    namespace = f"label_values(workload_starts_total{{{H}}}, workload_namespace)"
    workload = f'label_values(workload_starts_total{{{H}, workload_namespace=~"$namespace"}}, workload)'
    variables = [
        hosts(),
        chosen("namespace", "Namespace, project, stack", namespace, or_none=True),
        chosen("workload", "Workload", workload, every=False),
    ]
    made = Board(
        WORKLOAD,
        "Workload",
        "A service over all containers that it ever had, and which of those of now is the odd one out.",
        variables,
    )
    for rows in (_now, _whole, _instances, _use):
        rows(made)
    starts = ours(f"max by (host, name) (changes(container_start_time_seconds{{{C}}}[$__interval])) > 0")
    return made.mark("Starts", starts, NAME + " started", "orange")


def _now(made: Board) -> None:
    made.row(
        "Now",
        number(
            "Running",
            "Containers of it that run.",
            f'sum(workload_containers{{{CHOSEN}, state="running"}}) or vector(0)',
            unit="none",
            steps=((None, RED), (1, "green")),
        ),
        number(
            "Sick",
            "Containers of it with at least one symptom (listed on the fleet's page).",
            f"count({ours(f'count by (host, name) ({symptoms.sick(symptoms.CONTAINER, C)})')}) or vector(0)",
            steps=bad_from(1),
        ),
        number(
            "Restarts, 1 h",
            "Containers of it that were started again after their end, by policy or by hand, removed ones included.",
            _count("workload_restarts_total"),
            steps=warn(1, 3),
        ),
        number(
            "OOM kills, 1 h",
            "Processes that the kernel killed for want of memory, in containers that are gone too.",
            _count("workload_oom_kills_total"),
            steps=bad_from(1),
        ),
        number(
            "CPU",
            "Cores used by all of them, short-lived ones included.",
            _sum("workload_cpu_usage_seconds_total"),
            unit="none",
            decimals=2,
        ),
        number(
            "Memory",
            "Working sets of all of them.",
            f"sum(workload_memory_working_set_bytes{{{CHOSEN}}})",
            unit="bytes",
        ),
    )


def _whole(made: Board) -> None:
    """What no restart, replacement or short life interrupts."""
    made.row(
        "Over restarts and replacements",
        graph(
            "CPU of the whole",
            "Cores used by all containers of it, those between two looks of the agent included.",
            Query(_sum("workload_cpu_usage_seconds_total", by="host"), "{{host}}"),
            unit="none",
            stacked=True,
            link=OF_SERIES_HOST,
        ),
        graph(
            "Containers",
            "By state. Exited ones are listed until they are removed.",
            Query(f"sum by (state) (workload_containers{{{CHOSEN}}}) > 0", "{{state}}"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Starts and restarts",
            "Containers started within the hour, and how many of these had run before.",
            Query(_count("workload_starts_total"), "starts"),
            Query(_count("workload_restarts_total"), "restarts"),
            unit="none",
        ),
        graph(
            "Ends, by reason",
            "Within the hour. completed: exit code 0; signal: a stop, mostly; oom_killed and error need a look.",
            Query(f"{_count('workload_exits_total', by='reason')} > 0", "{{reason}}"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Mean run",
            "How long the containers that ended within the hour had run: of jobs their duration; for a service, "
            "the shorter the worse.",
            Query(
                f"{_sum('workload_run_seconds_total', '[1h]')} / ({_sum('workload_exits_total', '[1h]')} > 0)", "run"
            ),
            unit="s",
        ),
        graph(
            "Network and disk of the whole",
            "Bytes received and read (above), sent and written (below); each shared network once.",
            Query(_sum("workload_network_receive_bytes_total"), "network in"),
            Query(_sum("workload_network_transmit_bytes_total"), "network out"),
            Query(_sum("workload_fs_reads_bytes_total"), "disk in"),
            Query(_sum("workload_fs_writes_bytes_total"), "disk out"),
            unit="Bps",
            below=".* out",
        ),
    )


def _instances(made: Board) -> None:
    made.row(
        "Its containers",
        figures(
            "Containers",
            "One a row; who differs from its like is where to look.",
            {"name": "Container", "host": "Host"},
            [
                Column("CPU cores", CPU, "none"),
                Column("Throttled", THROTTLED, "percentunit", warn(0.1, 0.25)),
                Column("Memory", MEMORY, "bytes"),
                Column("Of its limit", OF_MEMORY, "percentunit", SHARE),
                Column("Restarts, 1 h", _events("container_restarts_total"), "none", warn(1, 3)),
                Column("OOM kills, 1 h", _events("container_oom_kills_total"), "none", bad_from(1)),
                Column(
                    "Up for",
                    ours(f"max by (host, name) (time() - container_start_time_seconds{{{C}}})"),
                    "dtdurations",
                ),
            ],
            worst="CPU cores",
            links={"Container": to_container()},
        ),
        graph(
            "CPU, against the usual one of them",
            "Each container's CPU over the median of all: 1 is usual; a lasting distance is uneven load or a loop.",
            Query(f"({CPU}) / scalar(quantile(0.5, {CPU}) > 0)", NAME),
            unit="none",
            link=OF_SERIES_CONTAINER,
        ),
        graph(
            "Memory, against the usual one of them",
            "Each container's working set over the median of all: one that leaves the others has a leak or a hot key.",
            Query(f"({MEMORY}) / scalar(quantile(0.5, {MEMORY}) > 0)", NAME),
            unit="none",
            link=OF_SERIES_CONTAINER,
        ),
    )


def _use(made: Board) -> None:
    def both(receive: str, transmit: str) -> tuple[Query, Query]:
        return Query(_each(receive, rate=True), NAME + " in"), Query(_each(transmit, rate=True), NAME + " out")

    made.row(
        "What they use",
        graph("CPU", "Cores used.", Query(CPU, NAME), unit="none", stacked=True, link=OF_SERIES_CONTAINER),
        graph("Memory", "Working set.", Query(MEMORY, NAME), unit="bytes", stacked=True, link=OF_SERIES_CONTAINER),
        graph(
            "Throttling",
            "Share of the periods in which the quota ran out; nothing for those without a quota.",
            Query(THROTTLED, NAME),
            unit="percentunit",
            most=1,
            steps=bad_from(0.25),
        ),
        graph(
            "Memory of its limit",
            "Working set against the limit; nothing for those without one.",
            Query(OF_MEMORY, NAME),
            unit="percentunit",
            most=1,
            steps=bad_from(0.9),
        ),
        graph(
            "Network",
            "Bytes received (above) and sent (below); nothing for containers without a network of their own.",
            *both("container_network_receive_bytes_total", "container_network_transmit_bytes_total"),
            unit="Bps",
            below=".* out",
        ),
        graph(
            "Disk",
            "Bytes from (above) and to (below) devices.",
            *both("container_fs_reads_bytes_total", "container_fs_writes_bytes_total"),
            unit="Bps",
            below=".* out",
        ),
        graph(
            "Pressure: CPU",
            "Share of time in which some task of the container was ready and got no CPU (PSI).",
            Query(_each("container_pressure_cpu_waiting_seconds_total", rate=True), NAME),
            unit="percentunit",
        ),
        graph(
            "Log",
            "Bytes a second that they write.",
            Query(
                ours(
                    f"sum by (host, name) (label_replace(clamp_min(deriv(deckwatch_log_admitted_bytes{{{H}}}[5m]), 0),"
                    ' "name", "$1", "container", "(.*)"))'
                ),
                NAME,
            ),
            unit="Bps",
        ),
    )
