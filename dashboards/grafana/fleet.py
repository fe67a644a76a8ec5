"""All hosts and containers: who is sick, who is heavy. The page to begin with."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from dashboards.grafana import symptoms
from dashboards.grafana.board import (
    FLEET,
    LOGS,
    OF_SERIES_CONTAINER,
    OF_SERIES_HOST,
    Board,
    hosts,
    to_board,
    to_container,
    to_host,
)
from dashboards.grafana.panels import GREEN, RATE, RED, SHARE, Query, Shown, bad_from, graph, number, warn
from dashboards.grafana.table import Column, figures

H = 'host=~"$host"'
C = f'{H}, name!=""'
UP = (Shown("1", "up", GREEN), Shown("0", "silent", RED))


def board() -> Board:
    made = Board(
        FLEET,
        "Fleet",
        "Which container or host is sick, and who uses what. Click on a name to look closer.",
        [hosts()],
    )
    _sick(made)
    _hosts(made)
    _heavy(made)
    return _all_together(made)


def _sick(made: Board) -> None:
    made.row(
        "Who is sick",
        number(
            "Sick containers",
            "Containers with at least one symptom, listed below.",
            symptoms.number_sick(symptoms.CONTAINER, C, "host, name"),
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Sick hosts",
            "Hosts with at least one symptom, listed below.",
            symptoms.number_sick(symptoms.HOST, H, "host"),
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Silent agents",
            "Agents that have sent nothing for five minutes: what their hosts do is unknown.",
            f"sum(1 - deckwatch_agent_up{{{H}}})",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Firing alerts",
            "Of all rules, those of your files and the ones that come with Deckwatch.",
            'count(ALERTS{alertstate="firing"}) or vector(0)',
            unit="none",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "OOM kills, 1 h",
            "Processes that the kernel killed for want of memory, inside and outside of containers.",
            f"round(sum(increase(node_vmstat_oom_kill{{{H}}}[1h])))",
            steps=bad_from(1),
            width=3,
        ),
        number(
            "Restarts, 1 h",
            "Containers started again by their restart policy.",
            f"round(sum(increase(container_restarts_total{{{C}}}[1h]))) or vector(0)",
            steps=warn(1, 5),
            width=3,
        ),
        number(
            "Lost log bytes",
            "Bytes in gaps of logs that were declared and are remembered; each is accounted for on the page of logs.",
            f"sum(deckwatch_log_lost_bytes{{{H}}}) or vector(0)",
            unit="bytes",
            steps=bad_from(1),
            link=to_board(LOGS),
            width=3,
        ),
        number(
            "Waiting log bytes",
            "Complete lines at agents that no collector holds yet.",
            f"sum(max by (host) (deckwatch_agent_lag_bytes{{{H}}}))",
            unit="bytes",
            steps=warn(16 << 20, 64 << 20),
            link=to_board(LOGS),
            width=3,
        ),
        figures(
            "Sick containers and their symptoms",
            "Degree 1 is where a symptom begins, 2 is twice as bad.\n" + symptoms.legend(symptoms.CONTAINER),
            {"name": "Container", "host": "Host", "symptom": "Symptom"},
            [Column("Degree", symptoms.sick(symptoms.CONTAINER, C), "none", ((None, "#EAB839"), (1.5, RED)))],
            worst="Degree",
            links={"Container": to_container(), "Host": to_host()},
            none="No container is sick.",
            width=11,
        ),
        figures(
            "Sick hosts and their symptoms",
            "Degree 1 is where a symptom begins, 2 is twice as bad.\n" + symptoms.legend(symptoms.HOST),
            {"host": "Host", "symptom": "Symptom"},
            [Column("Degree", symptoms.sick(symptoms.HOST, H), "none", ((None, "#EAB839"), (1.5, RED)))],
            worst="Degree",
            links={"Host": to_host()},
            none="No host is sick.",
            width=7,
        ),
        figures(
            "Alerts that fire",
            "By name and severity; who they are about stands in the alerts themselves.",
            {"alertname": "Alert", "severity": "Severity"},
            [Column("Firing", 'count by (alertname, severity) (ALERTS{alertstate="firing"})', "none", bad_from(1))],
            worst="Firing",
            none="No alert fires.",
            width=6,
        ),
    )


def _hosts(made: Board) -> None:
    disks = symptoms.DISKS
    made.row(
        "Hosts",
        figures(
            "Hosts",
            "The state of each host. Pressure is the share of time in which tasks waited for what is named (PSI).",
            {"host": "Host"},
            [
                Column("Agent", f"max by (host) (deckwatch_agent_up{{{H}}})", "none", bad_from(2), UP),
                Column(
                    "CPU",
                    f'1 - avg by (host) (rate(node_cpu_seconds_total{{{H}, mode="idle"}}[5m]))',
                    "percentunit",
                    warn(0.8, 0.95),
                ),
                Column(
                    "Load per core",
                    f"max by (host) (node_load5{{{H}}}) / max by (host) (machine_cpu_cores{{{H}}})",
                    "none",
                    warn(1, 2),
                ),
                Column(
                    "Memory",
                    f"max by (host) (1 - node_memory_MemAvailable_bytes{{{H}}} / node_memory_MemTotal_bytes{{{H}}})",
                    "percentunit",
                    SHARE,
                ),
                Column(
                    "Fullest disk",
                    f"max by (host) (1 - node_filesystem_avail_bytes{{{H}, {disks}}}"
                    f" / (node_filesystem_size_bytes{{{H}, {disks}}} > 0))",
                    "percentunit",
                    SHARE,
                ),
                Column(
                    "CPU pressure",
                    f"max by (host) (rate(node_pressure_cpu_waiting_seconds_total{{{H}}}[5m]))",
                    "percentunit",
                    warn(0.3, 0.6),
                ),
                Column(
                    "Memory pressure",
                    f"max by (host) (rate(node_pressure_memory_waiting_seconds_total{{{H}}}[5m]))",
                    "percentunit",
                    warn(0.05, 0.1),
                ),
                Column(
                    "I/O pressure",
                    f"max by (host) (rate(node_pressure_io_waiting_seconds_total{{{H}}}[5m]))",
                    "percentunit",
                    warn(0.2, 0.4),
                ),
                Column("Running", f'sum by (host) (container_state{{{C}, state="running"}})', "none"),
                Column(
                    "Up for", f"max by (host) (node_time_seconds{{{H}}} - node_boot_time_seconds{{{H}}})", "dtdurations"
                ),
            ],
            worst="CPU",
            links={"Host": to_host()},
        ),
    )


def _heavy(made: Board) -> None:
    name = "{{host}} {{name}}"

    def top(title: str, description: str, expr: str, unit: str) -> timeseries.Panel:
        return graph(
            title,
            description + " The ten greatest at each moment.",
            Query(f"topk(10, sum by (host, name) ({expr}))", name),
            unit=unit,
            link=OF_SERIES_CONTAINER,
        )

    made.row(
        "Heaviest containers",
        top("CPU", "Cores used.", f'rate(container_cpu_usage_seconds_total{{{C}, cpu="total"}}{RATE})', "none"),
        top(
            "Memory",
            "Working set: what can't be taken back at once.",
            f"container_memory_working_set_bytes{{{C}}}",
            "bytes",
        ),
        top(
            "Network",
            "Received and sent; containers without a network of their own have none.",
            f"rate(container_network_receive_bytes_total{{{C}}}{RATE})"
            f" + rate(container_network_transmit_bytes_total{{{C}}}{RATE})",
            "Bps",
        ),
        top(
            "Disk",
            "Read from and written to devices; what the page cache answers isn't counted.",
            f"rate(container_fs_reads_bytes_total{{{C}}}{RATE}) + rate(container_fs_writes_bytes_total{{{C}}}{RATE})",
            "Bps",
        ),
    )


def _all_together(made: Board) -> Board:
    return made.row(
        "All together",
        graph(
            "CPU by host",
            "Share of all CPU time of each host that is used.",
            Query(f'1 - avg by (host) (rate(node_cpu_seconds_total{{{H}, mode="idle"}}{RATE}))', "{{host}}"),
            unit="percentunit",
            most=1,
            link=OF_SERIES_HOST,
        ),
        graph(
            "Memory by host",
            "Share of the memory that isn't available.",
            Query(
                f"max by (host) (1 - node_memory_MemAvailable_bytes{{{H}}} / node_memory_MemTotal_bytes{{{H}}})",
                "{{host}}",
            ),
            unit="percentunit",
            most=1,
            link=OF_SERIES_HOST,
        ),
        graph(
            "Containers by state",
            "As their engines tell it; those that have ended count until they are removed.",
            Query(f"sum by (state) (container_state{{{C}}})", "{{state}}"),
            unit="none",
            stacked=True,
        ),
        graph(
            "Log bytes",
            "Raw bytes that the collector took, each counted once, samples of metrics included.",
            Query(f"sum(rate(deckwatch_intake_accepted_bytes_total{RATE}))", "taken"),
            unit="Bps",
        ),
    )
