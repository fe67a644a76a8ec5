"""Who on a host uses what, beside containers: the busiest processes by name, and systemd's units."""

from __future__ import annotations

from dashboards.grafana.board import Board
from dashboards.grafana.host_io import H
from dashboards.grafana.panels import Query, graph

UNITS = f'{H}, type!="slice"'
"""A slice holds what its services use."""


def processes(made: Board) -> None:
    """Looked at twice a minute, so rates are those of five minutes."""
    made.row(
        "Processes and units",
        graph(
            "Busiest processes",
            "Cores used by all processes of one name; the ten first.",
            Query(
                f"topk(10, sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{{{H}}}[5m])))",
                "{{groupname}}",
            ),
            unit="none",
        ),
        graph(
            "Largest processes",
            "Memory of all processes of one name, shared pages counted in each.",
            Query(
                f'topk(10, sum by (groupname) (namedprocess_namegroup_memory_bytes{{{H}, memtype="resident"}}))',
                "{{groupname}}",
            ),
            unit="bytes",
        ),
        graph(
            "Busiest units",
            "Cores used by services, and by what else stands at the top of the cgroup tree (`docker`: all containers).",
            Query(f"topk(10, sum by (unit) (rate(systemd_unit_cpu_usage_seconds_total{{{UNITS}}}[5m])))", "{{unit}}"),
            unit="none",
        ),
        graph(
            "Largest units",
            "Memory in use by services, without the page cache that can be taken back at once.",
            Query(f"topk(10, sum by (unit) (systemd_unit_memory_working_set_bytes{{{UNITS}}}))", "{{unit}}"),
            unit="bytes",
        ),
        graph(
            "Processes by state",
            "D waits for a disk and can't be killed; Z has ended and nobody took its exit status.",
            Query(f"sum by (state) (node_processes_state{{{H}}})", "{{state}}"),
            unit="none",
        ),
    )
