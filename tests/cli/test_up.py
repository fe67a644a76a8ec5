"""The supervisor: decisions as tables, and real processes whose work is faked."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deckwatch.cli_up import typed_command
from deckwatch.runtime.announce import Line, read_line
from deckwatch.runtime.listen import Listen
from deckwatch.up.app import drained_line, finding_line
from deckwatch.up.console import Console
from deckwatch.up.plan import UpOptions, agent_command, collector_command
from deckwatch.up.restart import Life, Policy, Verdict, Why, after_death
from deckwatch.up.status import ACKED, CONTAINERS, LAG, LINES, LOST, Reading, Series, Sums, read_sums, size, status_line

FAKE_UP = Path(__file__).with_name("fake_up.py")


def life(lasted_s: float = 5, ready: bool = True, exit_code: int = 1) -> Life:
    return Life(lasted_s, ready, exit_code)


@pytest.mark.parametrize(
    ("lives", "want"),
    [
        ([life()], Verdict(Why.DIED, 0.2)),
        ([life(), life()], Verdict(Why.DIED, 0.4)),
        ([life(), life(), life()], Verdict(Why.DIED, 0.8)),
        ([life()] * 40, Verdict(Why.DIED, 15.0)),
        ([life(), life(), life(100)], Verdict(Why.DIED, 0.2)),
        ([life(), life(100), life()], Verdict(Why.DIED, 0.2)),
        ([life(ready=False, exit_code=2)], Verdict(Why.UNUSABLE, None)),
        ([life(ready=True, exit_code=2)], Verdict(Why.DIED, 0.2)),
        ([life(), life(ready=False, exit_code=2)], Verdict(Why.DIED, 0.4)),
        ([life(ready=False)] * 4, Verdict(Why.DIED, 1.6)),
        ([life(ready=False)] * 5, Verdict(Why.NEVER_READY, None)),
        ([life(ready=False)] * 4 + [life()], Verdict(Why.DIED, 3.2)),
        ([life(exit_code=-9)] * 5, Verdict(Why.DIED, 3.2)),
    ],
)
def test_after_death(lives: list[Life], want: Verdict) -> None:
    assert after_death(tuple(lives), Policy()) == want


def test_commands_pass_every_option_on() -> None:
    options = UpOptions(
        Path("/d"),
        Listen("127.0.0.1", 0),
        logs=("/a*", "/b*"),
        rules=("r",),
        webhooks=("http://h",),
        alertmanager_config=Path("/etc/am.yml"),
        docker=False,
        config=Path("c.yaml"),
        insecure=True,
        token_file=Path("t"),
    )
    common = ["--config", "c.yaml", "--token-file", "t", "--insecure", "--log-level", "warning"]
    collector = ["collector", "--data-dir", "/d/collector", "--listen", "127.0.0.1:5", "--rules", "r"]
    agent = ["agent", "--state-dir", "/d/agent", "--listen", "127.0.0.1:0", "--collector", "http://c"]
    assert [*collector_command(options, Listen("127.0.0.1", 5), ("p",))] == [
        *("p", *collector, "--webhook", "http://h", "--alertmanager-config", "/etc/am.yml", *common)
    ]
    assert [*agent_command(options, "http://c", ("p",))] == [
        *("p", *agent, "--logs", "/a*", "--logs", "/b*", "--no-docker", *common)
    ]


EXPOSITION = """# HELP deckwatch_x help
# TYPE deckwatch_x counter
deckwatch_x{a="1 {}",b="3"} 1.5
deckwatch_x{a="2",b="3"} 2
deckwatch_xy 7
container_x 9
"""


@pytest.mark.parametrize(
    ("series", "want"),
    [
        (Series("deckwatch_x"), 3.5),
        (Series("deckwatch_x", having='a="2"'), 2),
        (Series("deckwatch_x", lacking='a="2"'), 1.5),
        (Series("deckwatch_xy"), 7),
        (Series("deckwatch_none"), 0),
    ],
)
def test_sums_over_label_sets(series: Series, want: float) -> None:
    assert read_sums(EXPOSITION, [series]) == {series: want}


@pytest.mark.parametrize(
    ("before", "now", "want"),
    [
        ({}, {}, "- lines/s  - MB/s  - containers  lag -  lost -"),
        (
            {LINES: 100, ACKED: 0},
            {LINES: 3100, ACKED: 5e6, CONTAINERS: 3, LAG: 1500, LOST: 0},
            "1,500 lines/s  2.50 MB/s  3 containers  lag 1.5 kB  lost 0",
        ),
        ({LINES: 5000}, {LINES: 200}, "100 lines/s  - MB/s  - containers  lag -  lost -"),
    ],
)
def test_status_line(before: Sums, now: Sums, want: str) -> None:
    assert status_line(Reading(10.0, before), Reading(12.0, now)) == want


@pytest.mark.parametrize(
    ("number", "want"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB"), (7e12, "7.0 TB")]
)
def test_sizes(number: float, want: str) -> None:
    assert size(number) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b'{"message": "m", "log.level": "warning", "log.logger": "l", "x": 1}', Line("m", "warning", "l")),
        (
            b'{"message": "m", "event": "ready", "fields": {"address": "a"}}',
            Line("m", event="ready", fields={"address": "a"}),
        ),
        (b"Traceback \xff\n", Line("Traceback �", "error")),
        (b"[1]", Line("[1]", "error")),
    ],
)
def test_lines_of_children(text: bytes, want: Line) -> None:
    assert read_line(text) == want


def test_findings_and_what_was_drained() -> None:
    missing = Line(
        "", fields={"what": "/var/log/pods", "reached": False, "detail": "no such folder", "mend": "mount it"}
    )
    assert finding_line(missing) == "  not found  /var/log/pods: no such folder (mount it)"
    assert finding_line(Line("", fields={"what": "Docker", "reached": True, "mend": ""})) == "  found      Docker"
    odd = Line("", fields={"what": "files /a\x1b[2J", "reached": True, "detail": "x\ny"})
    assert finding_line(odd) == "  found      files /a\\x1b[2J: x\\ny"
    assert drained_line({"records": 1, "how": "well"}) == "1 record, how well"
    assert drained_line({"lines": 1200, "bytes": 34000, "unread_bytes": 0}) == "1,200 lines, 34.0 kB, unread 0 B"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_anew_and_lines_go_above_it() -> None:
    out = Terminal()
    console = Console(out)
    console.status("one")
    console.child_line("agent", Line("lost \x1b[2J", "error"))
    console.end_status()
    assert out.getvalue() == (
        "\r\x1b[K\x1b[2mone\x1b[0m\r\x1b[K\x1b[31magent: error: lost \\x1b[2J\x1b[0m\n\x1b[2mone\x1b[0m\r\x1b[K"
    )


def test_without_a_terminal_there_are_lines_only() -> None:
    out = io.StringIO()
    console = Console(out, plain_every_s=0)
    console.status("one")
    console.child_line("agent", Line("m", "warning"))
    console.child_line("agent", Line("bad files:\na: 1\nb: \x1b2", "error"))
    assert out.getvalue() == "one\nagent: warning: m\nagent: error: bad files:\n  a: 1\n  b: \\x1b2\n"


def test_the_command_is_named_as_it_can_be_typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "my venv" / "bin" / "deckwatch"
    script.parent.mkdir(parents=True)
    script.touch(mode=0o755)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    assert typed_command(str(script), str(elsewhere)) == "'my venv/bin/deckwatch'"
    assert typed_command(str(script), str(script.parent)) == "deckwatch"
    monkeypatch.chdir(elsewhere)
    assert typed_command(str(script), str(elsewhere)) == f"'{script}'"
    assert typed_command("/x/pytest", str(elsewhere)) == "deckwatch"


class Run:
    """A supervisor over fake daemons, and what it wrote."""

    def __init__(self, folder: Path, **fakes: str) -> None:
        self.folder = folder / "d"
        self.out = folder / "out"
        self.err = folder / "err"
        env = os.environ | {f"FAKE_{part.upper()}": how for part, how in fakes.items()}
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(FAKE_UP), str(self.folder)], stdout=out, stderr=err, env=env
            )

    def text(self) -> str:
        return self.out.read_text()

    def until(self, seen: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not seen():
            assert time.monotonic() < deadline, self.text() + self.err.read_text()
            time.sleep(0.02)

    def until_line(self, pattern: str) -> None:
        self.until(lambda: re.search(pattern, self.text()))

    def pid(self, part: str) -> int:
        path = self.folder / part / "pid"
        self.until(lambda: path.exists() and path.read_text())
        return int(path.read_text())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**fakes: str) -> Run:
        runs.append(Run(tmp_path, **fakes))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_says_what_it_found_where_it_is_and_what_was_drained(start: Callable[..., Run]) -> None:
    run = start()
    run.until_line(r"curl http")
    run.until_line(r"- lines/s|\d lines/s")
    address = (run.folder / "address").read_text().strip()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0
    text = run.text()
    for part in (
        f"data in {run.folder}",
        "  found      Docker Engine: 3 containers",
        "  not found  /var/log/pods: no such folder (none)",
        f"  address    {address}",
        f"deckwatch logs --collector {address} --follow",
        "agent: warning: called with --collector " + address + " --logs /a/*.log --log-level warning",
        "3 containers  lag 1.5 kB  lost 0",
        "  drained    1,200 lines, 34.0 kB, unread 0 B",
    ):
        assert part in text
    assert text.index("stopping   agent") < text.index("stopping   collector")
    stopped = [float((run.folder / part / "stopped").read_text()) for part in ("agent", "collector")]
    assert stopped == sorted(stopped)
    assert not (run.folder / "address").exists()


def test_a_child_that_is_killed_comes_back_at_the_same_address(start: Callable[..., Run]) -> None:
    run = start()
    run.until_line("curl http")
    address = (run.folder / "collector" / "address").read_text()
    first = run.pid("collector")
    (run.folder / "collector" / "pid").unlink()
    os.kill(first, signal.SIGKILL)
    run.until_line("collector: warning: was killed by SIGKILL; starting it again in 0.1 s")
    run.until_line("collector: info: is back")
    assert run.pid("collector") != first
    assert (run.folder / "collector" / "address").read_text() == address
    run.process.terminate()
    assert run.process.wait(20) == 0


def test_children_die_with_a_supervisor_that_is_killed(start: Callable[..., Run]) -> None:
    run = start()
    run.until_line("curl http")
    pids = [run.pid(part) for part in ("collector", "agent")]
    run.process.kill()
    run.process.wait()
    run.until(lambda: not any(is_alive(pid) for pid in pids))
    again = start()
    again.until_line("curl http")
    again.process.terminate()
    assert again.process.wait(20) == 0


def test_a_child_that_cannot_run_as_configured_ends_it_with_its_words(start: Callable[..., Run]) -> None:
    run = start(collector="exit 2")
    assert run.process.wait(20) == 2
    assert run.err.read_text() == "deckwatch: --listen 127.0.0.1:1: the port is in use\n"
    assert "in use" not in run.text()  # said once


def test_a_child_that_never_answers_is_given_up_with_its_last_lines(start: Callable[..., Run]) -> None:
    run = start(agent="crash")
    assert run.process.wait(20) == 1
    assert "the agent dies again and again before it is ready; its last lines:" in run.err.read_text()
    assert "SystemError: no luck" in run.err.read_text()
    assert "stopping   collector" in run.text()
    assert not is_alive(run.pid("collector"))


def test_a_child_that_does_not_stop_is_killed_and_named(start: Callable[..., Run]) -> None:
    run = start(agent="hang")
    run.until_line("curl http")
    run.process.terminate()
    assert run.process.wait(20) == 0
    assert "agent: error: still busy after 2 s; killed" in run.text()


def test_hangup_reaches_the_collector_and_noise_is_shown_without_control_characters(start: Callable[..., Run]) -> None:
    run = start(collector="noise")
    run.until_line("curl http")
    run.process.send_signal(signal.SIGHUP)
    run.until_line("collector: warning: reloaded")
    assert "collector: error: Traceback \\x1b[31m(most" in run.text()
    run.process.terminate()
    assert run.process.wait(20) == 0


IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_ctrl_c_on_a_terminal_reaches_the_supervisor_alone(tmp_path: Path) -> None:
    """In a pseudo terminal of its own session, where ^C goes to the whole foreground process group."""
    terminal, inside = pty.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, str(FAKE_UP), str(tmp_path / "d")]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside) as process:
        os.close(inside)
        seen = b""
        while b"lost 0" not in seen:
            seen += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # EIO: the last process closed its end
            while piece := os.read(terminal, 4096):
                seen += piece
        assert process.wait(20) == 0
    os.close(terminal)
    assert b"stored     1,200 lines" in seen
    assert b"\r\x1b[K\x1b[2m" in seen
