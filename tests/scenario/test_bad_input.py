"""What a user can do wrong and what a machine can do to us, on the real daemons: said clearly, and nothing is lost."""

from __future__ import annotations

import os
import time
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


def wait_until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def cut_by_a_byte(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size - 1)


def cut_in_half(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size // 2)


def cut_to_nothing_but_its_header(journal: Path) -> None:
    os.truncate(journal, 16)


def torn_in_its_header(journal: Path) -> None:
    os.truncate(journal, 5)


def overwritten_in_the_middle(journal: Path) -> None:
    data = bytearray(journal.read_bytes())
    data[len(data) // 3] ^= 0xFF
    journal.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        cut_by_a_byte,
        cut_in_half,
        cut_to_nothing_but_its_header,
        torn_in_its_header,
        overwritten_in_the_middle,
        Path.unlink,
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_journal_that_lost_what_was_acked_is_filled_again(
    harm: Callable[[Path], None], start: Start, logs: Path, tmp_path: Path
) -> None:
    """The lines have been there for long: no new one makes the agent notice that its collector has gone back."""
    written = [f"line {n}" for n in range(1000)]
    (logs / "a.log").write_text("".join(f"{line}\n" for line in written[:500]))
    pair = start()
    pair.wait_drained(30)
    with (logs / "a.log").open("a") as file:
        file.writelines(f"{line}\n" for line in written[500:])
    pair.wait_drained(30)
    wait_until(lambda: len(messages(pair)) == 1000)
    pair.collector.kill()
    harm(max((tmp_path / "collector/journal").glob("*.journal")))
    pair.collector.start()
    wait_until(lambda: len(messages(pair)) >= 1000)
    pair.wait_drained(30)
    assert messages(pair) == written
