"""What a user can do wrong and what a machine can do to us, on the real daemons: said clearly, and nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.daemons import Pair

Start = Callable[..., Pair]
Record = dict[str, object]
PATIENCE_S = 90.0
"""Daemons whose kernels have to be compiled first, on a busy machine, take half a minute before they parse."""
pytestmark = pytest.mark.timeout(4 * PATIENCE_S)  # whoever lost patience says so, before the test is cut off


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
            daemon.stop()  # its log is closed, too


def messages(pair: Pair, query: str = "") -> list[str]:
    return [str(record["message"]) for record in pair.records(query)]


def test_file_names_that_are_no_utf8_or_hold_control_characters(start: Start, logs: Path) -> None:
    """Whoever may create a file in a watched folder chooses its name; it must not be able to stop the agent."""
    for name, text in ((b"\xff\xfe.log", "live"), (b"\xff\xfe.log.1", "rotated"), (b"a\n\x1b[31m.log", "escape")):
        (logs / os.fsdecode(name)).write_text(f"{text}\n")
    pair = start()
    pair.wait_drained(PATIENCE_S)
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
    pair.wait_drained(PATIENCE_S)
    assert sorted(messages(pair)) == ["escape", "live", "more", "rotated"]
    assert "Traceback" not in pair.agent.printed() + pair.collector.printed()


def wait_until(holds: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
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
    pair.wait_drained(PATIENCE_S)
    with (logs / "a.log").open("a") as file:
        file.writelines(f"{line}\n" for line in written[500:])
    pair.wait_drained(PATIENCE_S)
    wait_until(lambda: len(messages(pair)) == 1000)
    pair.collector.kill()
    harm(max((tmp_path / "collector/journal").glob("*.journal")))
    pair.collector.start()
    wait_until(lambda: len(messages(pair)) >= 1000)
    pair.wait_drained(PATIENCE_S)
    assert messages(pair) == written


def test_binary_bytes_invalid_utf8_and_lines_that_are_no_json(start: Start, logs: Path) -> None:
    good = b'{"log":"good %d\\n","stream":"stdout","time":"2026-01-01T00:00:0%d.0Z"}\n'
    bad = [b"not json at all", b'{"log":"cut off', b'{"log":5,"stream":"stdout"}', b"\0\0\0\0", b"\xff\xfe"]
    (logs / "a-json.log").write_bytes(good % (1, 1) + b"".join(line + b"\n" for line in bad) + good % (2, 2))
    plain = [b"first", b"\0\1\2\xff binary", b'{"a": broken', b"\xed\xa0\x80 surrogate", b"", b"last"]
    (logs / "plain.log").write_bytes(b"".join(line + b"\n" for line in plain))
    pair = start()
    pair.wait_drained(PATIENCE_S)
    records = list(pair.records())
    of_json = [record for record in records if str(record["log.file.path"]).endswith("a-json.log")]
    want = [*(line.decode(errors="replace") for line in bad), "good 1", "good 2"]
    assert sorted(str(record["message"]) for record in of_json) == sorted(want)
    unparsed = [record for record in of_json if "unparsed" in list(record.get("log.flags", []))]  # type: ignore[call-overload]
    assert len(unparsed) == len(bad)
    of_plain = [str(record["message"]) for record in records if record not in of_json]
    assert sorted(of_plain) == sorted(line.decode(errors="replace") for line in plain)


@pytest.mark.timeout(300)
def test_a_line_of_100_mb_arrives_whole_in_pieces_and_the_agent_stays_small(start: Start, logs: Path) -> None:
    """In a plain file, and as Docker cuts it, in pieces of 16 KiB."""
    block = bytes(33 + (n * 7 + n // 93) % 93 for n in range(1 << 20)).replace(b'"', b"q").replace(b"\\", b"s")
    digest = hashlib.sha256()
    with (logs / "plain.log").open("wb") as plain, (logs / "c-json.log").open("wb") as docker:
        plain.write(b"before\n")
        for number in range(100):
            part = b"%08d" % number + block[8:]
            digest.update(part)
            plain.write(part)
            for at in range(0, len(part), 16384):
                docker.write(DOCKER % part[at : at + 16384])
        plain.write(b"\nafter\n")
        docker.write(DOCKER % b"\\n" + DOCKER % b"after\\n")
    pair = start()
    pair.wait_drained(200)
    assert pair.agent.rss_bytes(peak=True) <= 60 << 20
    for name in ("plain.log", "c-json.log"):
        found, pieces = hashlib.sha256(), 0
        records = [r for r in pair.records(f"path:{logs}/{name}") if r["message"] not in ("before", "after")]
        for record in sorted(records, key=lambda record: int(str(record["log.offset"]))):
            found.update(str(record["message"]).encode())
            pieces += 1
        assert found.digest() == digest.digest(), name
        assert pieces >= 100
        flags = [record.get("log.flags", []) for record in records]
        assert sum("partial" in list(one) for one in flags) >= 99  # type: ignore[call-overload]


DOCKER = b'{"log":"%s","stream":"stdout","time":"2026-01-01T00:00:00.000000001Z"}\n'


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not here")
def test_a_file_that_may_not_be_read_is_named_and_read_once_it_may_be(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("free\n")
    (logs / "secret.log").write_text("secret\n")
    (logs / "secret.log").chmod(0)
    pair = start(started=False)
    if os.geteuid() == 0:  # root may read everything, unless this is taken from it
        pair.agent.precede_with("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps=-all")
    pair.start()
    pair.wait_drained(PATIENCE_S)
    assert messages(pair) == ["free"]
    assert f"unreadable files: 1 ({logs}/secret.log): permission denied" in pair.agent.printed()
    assert "give the agent's user the right to read them" in pair.agent.printed()
    (logs / "secret.log").chmod(0o600)
    wait_until(lambda: sorted(messages(pair)) == ["free", "secret"])


def test_a_collector_that_is_not_there_is_waited_for(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("".join(f"line {n}\n" for n in range(100)))
    pair = start(started=False)
    pair.agent.start()
    wait_until(lambda: "Connection refused; reading waits, nothing is lost" in pair.agent.printed())
    assert pair.agent.metric("deckwatch_agent_lag_bytes") == len((logs / "a.log").read_bytes())
    pair.collector.start()
    wait_until(lambda: len(messages(pair)) == 100)
    assert pair.agent.printed().count("reading waits") == 1, "the first failure is told, not each"
    assert "the collector answers again" in pair.agent.printed()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink], ids=lambda harm: harm.__name__)
def test_a_broken_segment_is_set_aside_and_named_and_the_others_serve(
    harm: Callable[[Path], None], start: Start, logs: Path, tmp_path: Path
) -> None:
    pair = start()
    for part in ("one", "two"):
        with (logs / "a.log").open("a") as file:
            file.writelines(f"{part} {n}\n" for n in range(500))
        time.sleep(0.3)
        pair.wait_drained(PATIENCE_S)
        pair.collector.stop()
        pair.collector.start()
    pair.collector.stop()
    broken = min((tmp_path / "collector/store/segments").rglob("*.parquet"))
    harm(broken)
    pair.collector.start()
    pair.wait_drained(PATIENCE_S)
    list(pair.records())  # what only reading finds is found now
    assert messages(pair) == [f"two {n}" for n in range(500)]
    assert f"segment {broken.with_suffix('')} (500 records" in pair.collector.printed()
    assert "set aside as *.damaged" in pair.collector.printed()
    assert "Traceback" not in pair.collector.printed()
    if harm is not Path.unlink:
        assert broken.with_name(f"{broken.name}.damaged").exists(), "somebody may want to look at it"


def newer_journal(folder: Path) -> str:
    (folder / "collector/journal").mkdir(parents=True)
    (folder / "collector/journal/0000000000000000.journal").write_bytes(b"DWJRNL\x63\0" + bytes(8))
    return "the journal has format 99, this Deckwatch reads up to 1: start the newer version"


def newer_store(folder: Path) -> str:
    (folder / "collector/store").mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(folder / "collector/store/manifest.sqlite")) as db:
        db.execute("PRAGMA user_version=99")
    return "the store has version 99, this Deckwatch reads up to"


def no_store(folder: Path) -> str:
    (folder / "collector/store").mkdir(parents=True)
    (folder / "collector/store/manifest.sqlite").write_bytes(b"no database" * 500)
    return "cannot be read as the store's manifest"


def damaged_version(folder: Path) -> str:
    (folder / "collector").mkdir()
    (folder / "collector/VERSION").write_text("?")
    return "VERSION: damaged; restore it, or move the directory away"


def of_an_agent(folder: Path) -> str:
    (folder / "collector").mkdir()
    (folder / "collector/VERSION").write_text('{"part": "agent", "version": 1}')
    return "holds the data of deckwatch agent, not collector; give another directory"


@pytest.mark.parametrize(
    "prepare", [newer_journal, newer_store, no_store, damaged_version, of_an_agent], ids=lambda one: one.__name__
)
def test_a_data_directory_that_will_not_do(prepare: Callable[[Path], str], start: Start, tmp_path: Path) -> None:
    want = prepare(tmp_path)
    (tmp_path / "collector").chmod(0o700)
    pair = start(started=False)
    pair.collector.start(wait=False)
    assert pair.collector.process.wait(30) == 2
    (message,) = pair.collector.printed().splitlines()
    assert message.startswith(f"deckwatch: {tmp_path}/collector")
    assert want in message


def test_a_query_that_does_not_parse_shows_where_and_what_was_expected(start: Start) -> None:
    pair = start()
    command = [sys.executable, "-m", "deckwatch.cli", "logs", "--collector", pair.collector.url, "level:error AND )"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "deckwatch: the query can't be read: ')' closes nothing; expected an operator, a term, or the end\n"
        "  level:error AND )\n"
        "                  ^\n"
    )
