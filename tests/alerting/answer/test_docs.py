"""The examples of the documentation are good files."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from alerting.answer.files import load_plan
from alerting.settings import AlertingSettings
from alerting.track.bodies import VERBS
from alerting.track.grouping import grouping
from alerting.track.settings import IncidentSettings
from deckwatch.cli import run

DOCS = Path(__file__).parents[3] / "docs"


def examples(name: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


def test_the_on_call_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, oncall = examples("oncall.md")
    assert msgspec.convert(yaml.safe_load(settings)["alerting"], AlertingSettings).oncall
    path = tmp_path / "web.yml"
    path.write_text(oncall)
    plan = load_plan([str(path)])
    assert [policy.name for policy in plan.policies] == ["critical"]
    assert run(["rules", "check-oncall", str(path)]) == 0
    assert capsys.readouterr().out == "found users: 2, schedules: 1, escalation policies: 1\n"


def test_faults_are_told_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "web.yml"
    path.write_text("users: [{}]\nschedules: [{}]\n")
    assert run(["rules", "check-oncall", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{path}:1:9: a user needs a name",
        f"{path}:2:13: a schedule needs a name",
    ]


def test_the_settings_of_incidents() -> None:
    (example,) = examples("incidents.md")
    settings = msgspec.convert(yaml.safe_load(example)["alerting"]["incidents"], IncidentSettings)
    assert grouping(settings).merges[0].by == ("cluster",)


def test_every_verb_is_named() -> None:
    text = (DOCS / "incidents.md").read_text()
    assert [verb.name for verb in VERBS if f"`{verb.name}`" not in text and f"/{verb.name}`" not in text] == []
