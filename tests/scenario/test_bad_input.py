"""What a user can do wrong and what a machine can do to us, on the real daemons: said clearly, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.daemons import Pair

Start = Callable[..., Pair]
Record = dict[str, object]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, logs: Path) -> Iterator[Start]:
    """Starts an agent that follows `logs` and its collector; whatever the test came to, none of them stays."""
    made: list[Pair] = []

    def run(*, settings: str = "", started: bool = True) -> Pair:
        config = tmp_path / "deckwatch.yaml"
        config.write_text(settings or "agent: {sample: {interval_s: 1}}\n")
        options = ["--config", str(config)]
        pair = Pair(tmp_path, logs=[str(logs / "*.log")], agent=options, collector=options)
        made.append(pair)
        if started:
            pair.start()
        return pair

    yield run
    for pair in made:
        for daemon in (pair.agent, pair.collector):
            if daemon.running:
                daemon.kill()


def messages(pair: Pair, query: str = "") -> list[str]:
    return [str(record["message"]) for record in pair.records(query)]


def test_file_names_that_are_no_utf8_or_hold_control_characters(start: Start, logs: Path) -> None:
    """Whoever may create a file in a watched folder chooses its name; it must not be able to stop the agent."""
    for name, text in ((b"\xff\xfe.log", "live"), (b"\xff\xfe.log.1", "rotated"), (b"a\n\x1b[31m.log", "escape")):
        (logs / os.fsdecode(name)).write_text(f"{text}\n")
    pair = start()
    pair.wait_drained(30)
    found = {str(record["message"]): str(record["log.file.path"]) for record in pair.records()}
    assert found == {
        "live": f"{logs}/\\xff\\xfe.log",
        "rotated": f"{logs}/\\xff\\xfe.log.1",
        "escape": f"{logs}/a\n\x1b[31m.log",
    }
    pair.agent.stop()
    pair.agent.start()
    with (logs / os.fsdecode(b"\xff\xfe.log")).open("a") as file:
        file.write("more\n")
    pair.wait_drained(30)
    assert sorted(messages(pair)) == ["escape", "live", "more", "rotated"]
    assert "Traceback" not in pair.agent.printed() + pair.collector.printed()
