"""Every command in README.md and docs/parquet.md is run, in their order, by a user with an empty home."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(name: str, *, fence: str = "```sh\n") -> list[str]:
    """The commands of a document's shell blocks; one that goes on over lines is one."""
    text = (ROOT / name).read_text()
    blocks = [match[1] for match in FENCED.finditer(text) if match[0].startswith(fence)]
    if fence == "```sh\n":
        return [line for block in blocks for line in block.splitlines() if line.strip()]
    return [block for block in blocks if block.startswith("python -c")]


class Session:
    """A user's shell: an empty home, Deckwatch running or not."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DECKWATCH")},
            "HOME": str(home),
            "XDG_STATE_HOME": "",
            # Port 9428 may be taken on the machine that runs the tests.
            "DECKWATCH_COLLECTOR__LISTEN": "127.0.0.1:0",
        }
        self._started: list[subprocess.Popen[str]] = []

    @property
    def address(self) -> str:
        return (self.home / ".local/state/deckwatch/address").read_text().strip()

    def start(self, command: str, *, until: str, timeout_s: float = 120.0) -> subprocess.Popen[str]:
        """Run in the background until `until` was printed."""
        output = self.home / "output"
        with output.open("w") as sink:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=ROOT,
                env=self.env,
                stdout=sink,
                stderr=sink,
                text=True,
                start_new_session=True,
            )
        self._started.append(process)
        deadline = time.monotonic() + timeout_s
        while until not in output.read_text():
            assert process.poll() is None, f"{command} ended:\n{output.read_text()}"
            assert time.monotonic() < deadline, f"{command} never said {until!r}:\n{output.read_text()}"
            time.sleep(0.1)
        return process

    def end(self, process: subprocess.Popen[str], number: signal.Signals) -> str:
        """As a terminal does it: the signal goes to all of the foreground, make too (which then says so itself)."""
        os.killpg(process.pid, number)
        process.wait(60)
        return (self.home / "output").read_text()

    def close(self) -> None:
        """What a failed test left running."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def run(self, command: str, *, timeout_s: float = 60.0) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def follow(self, command: str) -> str:
        """A command without end: stopped as by Ctrl-C once it has had time to print."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=ROOT, env=self.env, stdout=subprocess.PIPE, text=True
        )
        time.sleep(4)
        assert process.poll() is None, command
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 130, command
        return output


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "app.log").write_text("first line\nlevel=error status=503 took=12\n")
    session = Session(home)
    yield session
    session.close()


def test_there_are_commands() -> None:
    assert len(commands("README.md")) >= 12
    assert len(commands("docs/parquet.md", fence="```\n")) == 2


@pytest.mark.timeout(400)
def test_one_machine(session: Session) -> None:
    readme = commands("README.md")
    ups = [command for command in readme if command.startswith("make up")]
    assert ups[0] == "make up"
    process = session.start("make up", until="next  ")
    assert "drained" in session.end(process, signal.SIGINT)

    with_logs = next(command for command in ups if "--logs" in command)
    process = session.start(with_logs.replace("/var/log/*.log", f"{session.home}/*.log"), until="next  ")
    time.sleep(3)
    clients = [c for c in readme if c.startswith((".venv/bin/deckwatch logs", ".venv/bin/deckwatch top", "curl"))]
    assert len(clients) == 7
    for command in clients:
        if "--follow" in command:
            session.follow(command)
            continue
        output = session.run(command.replace("http://127.0.0.1:9428", session.address))
        if command.endswith("--since 15m"):
            assert "status=503" in output
        if "/metrics" in command:
            assert "deckwatch_collector_records_total" in output
        if "query=level:error" in command:
            assert '"log.level":"error"' in output
    assert "drained" in session.end(process, signal.SIGINT)

    for command in commands("docs/parquet.md", fence="```\n"):
        session.run(command.replace("python -c", ".venv/bin/python -c", 1))


@pytest.mark.timeout(200)
def test_rules_and_webhook(session: Session) -> None:
    command = next(c for c in commands("README.md") if "--rules" in c)
    rules = session.home / "rules"
    rules.mkdir()
    (rules / "one.yml").write_text("groups: [{name: a, rules: [{alert: Up, expr: deckwatch_agent_up == 1}]}]\n")
    process = session.start(command.replace("rules/*.yml", f"{rules}/*.yml"), until="next  ")
    output = session.run(f"curl -s {session.address}/api/v1/rules")
    assert '"Up"' in output
    assert "drained" in session.end(process, signal.SIGINT)


@pytest.mark.timeout(200)
def test_several_hosts(session: Session) -> None:
    collector, agent = (
        next(c for c in commands("README.md") if c.startswith(f".venv/bin/deckwatch {part}"))
        for part in ("collector", "agent")
    )
    token = session.home / "token"
    token.write_text("a-token-of-some-length\n")
    place = {"/var/lib/deckwatch-agent": f"{session.home}/a", "/var/lib/deckwatch": f"{session.home}/c"}
    del session.env["DECKWATCH_COLLECTOR__LISTEN"]

    def here(command: str) -> str:
        command = command.replace("--token-file token", f"--token-file {token}")
        for there, path in place.items():
            command = command.replace(there, path)
        return command

    first = session.start(here(collector).replace(":9428", ":0"), until="listening on")
    address = (session.home / "c/address").read_text().strip().replace("0.0.0.0", "127.0.0.1")
    second = session.start(here(agent).replace("http://collector.example:9428", address), until="listening on")
    session.end(second, signal.SIGTERM)
    session.end(first, signal.SIGTERM)
    assert (first.returncode, second.returncode) == (0, 0)


def test_configuration(session: Session) -> None:
    show, check = (c for c in commands("README.md") if "deckwatch config" in c)
    assert "collector:" in session.run(show)
    (session.home / "deckwatch.yml").write_text("collector: {store: {retention_s: 3d}}\n")
    session.run(check.replace("deckwatch.yml", str(session.home / "deckwatch.yml")))
