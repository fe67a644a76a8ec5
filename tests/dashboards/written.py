"""The dashboards as they lie in the repository, and what Grafana would ask for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dashboards.grafana.export import dashboard_files

GIVEN_BY_GRAFANA = frozenset(
    {"__all", "__rate_interval", "__interval", "__range", "__url_time_range", "__data", "__field"}
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)[^}]*\}|([A-Za-z_]\w*))")  # Grafana leaves label_replace's $1 alone


class Asked(msgspec.Struct, frozen=True):
    """A query of a panel, a mark or a variable."""

    uid: str
    title: str  # of the panel
    ref: str
    expr: str

    @property
    def where(self) -> str:
        return f"{self.uid} / {self.title} / {self.ref}"

    def filled(self, values: Mapping[str, str]) -> str:
        return _VARIABLE.sub(lambda match: values[match[1] or match[2]], self.expr)


def read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def all_written() -> list[dict[str, Any]]:
    return [read(path) for path in dashboard_files()]


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Mapping[str, Any]) -> Iterator[Asked]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(board["uid"], panel["title"], target["refId"], target["expr"])
    for mark in marks(board):
        yield Asked(board["uid"], f"mark {mark['name']}", "A", mark["target"]["expr"])


def marks(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board.get("annotations", {}).get("list", [])
    return found


def variables(board: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def used_variables(text: str) -> set[str]:
    return {braced or bare for braced, bare in _VARIABLE.findall(text)}
