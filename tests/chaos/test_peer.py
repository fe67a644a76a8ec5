"""Rows with another shipper in the agent's place; a small script stands for its binary."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.peer import fluent_bit, run_peer
from tests.chaos.row import Outcome
from tests.chaos.rows import ROWS

STAND_IN = Path(__file__).with_name("stand_in.py")


def stand_in(folder: Path) -> str:
    binary = folder / "fluent-bit"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -P {STAND_IN} "$@"\n')
    binary.chmod(0o755)
    return str(binary)


def run(name: str, folder: Path) -> Outcome:
    (row,) = (row for row in ROWS if row.name == name)
    stage = folder / "stage"
    stage.mkdir()
    return run_peer(row, stage, stand_in(folder), lines=5000, per_s=5000, seed=1, quiet_s=1.0)


def test_who_remembers_behind_the_answer_loses_nothing(tmp_path: Path) -> None:
    outcome = run("collector away 2 s, no rotation", tmp_path)
    assert (outcome.sent, outcome.stored, outcome.lost, outcome.repeated) == (5000, 5000, (), ())
    assert outcome.good
    assert outcome.agent_rss_bytes > 0


def test_what_a_peer_loses_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_FORGETS", "1")
    outcome = run("collector away 2 s, no rotation", tmp_path)
    assert outcome.lost
    assert not outcome.good


def test_what_a_peer_repeats_is_counted(tmp_path: Path) -> None:
    outcome = run("taken, and the ack lost", tmp_path)
    assert outcome.repeated


def test_command_line(tmp_path: Path) -> None:
    words = fluent_bit("/opt/fluent-bit", ["/logs/*.log", "/more/*.log"], tmp_path, 1234)
    assert words[0] == "/opt/fluent-bit"
    assert "path=/logs/*.log,/more/*.log" in words
    assert f"db={tmp_path}/positions.db" in words
    assert words.index("tail") < words.index("storage.type=filesystem") < words.index("http") < words.index("port=1234")
