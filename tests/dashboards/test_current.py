"""The JSON files are those that the code builds."""

from __future__ import annotations

from dashboards.grafana.boards import boards
from dashboards.grafana.export import FOLDER, dashboard_files


def test_files_are_what_the_code_builds() -> None:
    built = {f"{board.uid}.json": board.json() for board in boards()}
    assert {path.name for path in dashboard_files()} == set(built)
    stale = [name for name, text in built.items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert not stale, "build them anew: python -m dashboards.grafana"
