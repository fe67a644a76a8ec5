"""The dashboards and Grafana's provisioning files, as a folder that Grafana can be pointed at."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import yaml

FOLDER = Path(__file__).parent

TOKEN_VARIABLE = "DECKWATCH_TOKEN"  # noqa: S105 - the name of an environment variable


class Export(msgspec.Struct, frozen=True):
    collector: str  # URL that Grafana reaches it by
    seen_at: str  # the exported folder's path as Grafana sees it
    tenants: tuple[str, ...] = ()
    """A data source for each; without any, one for the default tenant."""
    with_token: bool = False
    interval_s: float = 10.0
    """Between two samples, as the agents have it: $__rate_interval is at least four times that."""


def dashboard_files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def write(folder: Path, export: Export) -> list[Path]:
    """provisioning/{datasources,dashboards}/deckwatch.yaml and dashboards/*.json. What lies there is replaced."""
    contents = {
        "provisioning/datasources/deckwatch.yaml": _yaml(datasources(export)),
        "provisioning/dashboards/deckwatch.yaml": _yaml(providers(export)),
        **{f"dashboards/{path.name}": path.read_text(encoding="utf-8") for path in dashboard_files()},
    }
    written = []
    for name, text in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def datasources(export: Export) -> dict[str, object]:
    """Format: grafana.com/docs/grafana/latest/administration/provisioning, data sources. The collector speaks
    Prometheus' API; the tenant goes with each query."""
    sources = [_datasource(export, tenant) for tenant in export.tenants or ("",)]
    return {"apiVersion": 1, "datasources": sources}


def _datasource(export: Export, tenant: str) -> dict[str, object]:
    options: dict[str, object] = {
        "httpMethod": "POST",
        "timeInterval": f"{export.interval_s:g}s",
        "prometheusType": "Prometheus",
        "prometheusVersion": "3.5.0",
    }
    if tenant:
        options["customQueryParameters"] = urlencode({"tenant": tenant})
    source: dict[str, object] = {
        "name": f"Deckwatch {tenant}".rstrip(),
        "uid": re.sub(r"[^a-zA-Z0-9_-]", "-", f"deckwatch-{tenant}".rstrip("-"))[:40],
        "type": "prometheus",
        "access": "proxy",
        "url": export.collector,
        "jsonData": options,
    }
    if export.with_token:
        options["httpHeaderName1"] = "Authorization"
        source["secureJsonData"] = {"httpHeaderValue1": f"Bearer ${{{TOKEN_VARIABLE}}}"}
    return source


def providers(export: Export) -> dict[str, object]:
    provider = {
        "name": "Deckwatch",
        "folder": "Deckwatch",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": f"{export.seen_at.rstrip('/')}/dashboards"},
    }
    return {"apiVersion": 1, "providers": [provider]}


def _yaml(content: dict[str, object]) -> str:
    return "# Written by `deckwatch dashboards export grafana`.\n" + yaml.safe_dump(content, sort_keys=False)
