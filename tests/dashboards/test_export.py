"""`deckwatch dashboards export grafana DIR`: a folder that Grafana can be pointed at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.grafana.export import dashboard_files
from deckwatch.cli import run


def exported(folder: Path, *words: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(data sources, dashboards provider)."""
    assert run(["dashboards", "export", "grafana", str(folder), *words]) == 0
    provisioning = folder / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources/deckwatch.yaml").read_text())
    providers = yaml.safe_load((provisioning / "dashboards/deckwatch.yaml").read_text())
    assert sources["apiVersion"] == providers["apiVersion"] == 1
    (provider,) = providers["providers"]
    return sources["datasources"], provider


def test_all_dashboards_and_where_they_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new/grafana"
    (source,), provider = exported(folder)
    assert source["url"] == "http://127.0.0.1:9428"
    assert (source["name"], source["uid"], source["type"]) == ("Deckwatch", "deckwatch", "prometheus")
    assert "secureJsonData" not in source
    shown = Path(provider["options"]["path"])
    assert {path.name: path.read_bytes() for path in shown.iterdir()} == {
        path.name: path.read_bytes() for path in dashboard_files()
    }
    out, err = capsys.readouterr()
    assert {Path(line) for line in out.splitlines()} == {path for path in folder.rglob("*") if path.is_file()}
    assert f"GF_PATHS_PROVISIONING={folder}/provisioning" in err


def test_choices(tmp_path: Path) -> None:
    words = ["--collector", "https://c.example:9428/", "--seen-at", "/etc/deckwatch/", "--interval", "15"]
    sources, provider = exported(tmp_path, *words, "--tenant", "a", "--tenant", "b&c", "--with-token")
    assert [source["uid"] for source in sources] == ["deckwatch-a", "deckwatch-b-c"]
    assert len({source["name"] for source in sources}) == 2
    assert {source["url"] for source in sources} == {"https://c.example:9428"}
    assert provider["options"]["path"] == "/etc/deckwatch/dashboards"
    options = sources[1]["jsonData"]
    assert options["timeInterval"] == "15s"
    assert options["customQueryParameters"] == "tenant=b%26c"
    assert options["httpHeaderName1"] == "Authorization"
    assert sources[1]["secureJsonData"] == {"httpHeaderValue1": "Bearer ${DECKWATCH_TOKEN}"}  # Grafana fills it in


def test_what_was_there_is_replaced_and_the_rest_left(tmp_path: Path) -> None:
    exported(tmp_path, "--tenant", "a")
    own = tmp_path / "dashboards/own.json"
    own.write_text("{}")
    (source,), _ = exported(tmp_path)
    assert source["uid"] == "deckwatch"
    assert own.exists()


def test_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    command = ["dashboards", "export", "grafana"]
    assert run([*command, str(tmp_path / "file/x")]) == 2
    assert "file/x" in capsys.readouterr().err
    assert run([*command, str(tmp_path / "x"), "--collector", "localhost:9428"]) == 2
    assert "expected http://HOST:PORT" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
