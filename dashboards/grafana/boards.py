"""All dashboards, in the order in which one looks closer."""

from __future__ import annotations

from dashboards.grafana import container, fleet, host, itself, logs, workload
from dashboards.grafana.board import Board


def boards() -> list[Board]:
    return [part.board() for part in (fleet, host, container, workload, logs, itself)]
