"""The command as a user calls it: help, config, exit codes, one message for each foreseen fault. Real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deckwatch.runtime.datadir import DataDir

QUIET = {name: value for name, value in os.environ.items() if not name.startswith("DECKWATCH_")}


def deckwatch(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "deckwatch.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=QUIET | env, timeout=60, check=False)


def test_help_imports_no_subcommand() -> None:
    script = "import sys; from deckwatch.cli import run; code = run(['--help']); print(code, sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name in ("up", "agent", "collector", "logs", "top", "config", "version"):
        assert f"\n  {name} " in done.stdout
    modules = done.stdout.rpartition("\n0 ")[2]
    assert "'click'" in modules
    for heavy in ("'aiohttp'", "'polars'", "'numpy'", "'asyncio'", "'yaml'", "'rich'"):
        assert heavy not in modules


def test_version() -> None:
    done = deckwatch("version")
    assert done.stdout.startswith("deckwatch ")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["fly"], "No such command 'fly'"),
        (["agent", "--nope"], "No such option '--nope'"),
        (["agent", "--listen"], "Option '--listen' requires an argument"),
        (["config", "show", "pilot"], "'pilot' is not one of"),
    ],
)
def test_wrong_usage(arguments: list[str], want: str) -> None:
    done = deckwatch(*arguments)
    assert done.returncode == 2
    assert want in done.stderr.replace("No such option: --nope", "No such option '--nope'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("section", ["agent", "collector", "alerting"])
def test_config_show_documents_every_option_and_is_a_file_that_loads(section: str, tmp_path: Path) -> None:
    done = deckwatch("config", "show", section)
    assert done.returncode == 0, done.stderr
    assert list(yaml.safe_load(done.stdout)) == [section]
    about: list[str] = []
    for line in map(str.strip, done.stdout.splitlines()):
        if line.startswith("# "):
            about.append(line)
            continue
        if line and not line.endswith(":"):
            where = [f"] DECKWATCH_{section.upper()}__" in text for text in about]
            assert any(where[1:]), f"{line} lacks its help or its environment variable"
        about.clear()
    file = tmp_path / "deckwatch.yaml"
    file.write_text(done.stdout)
    again = deckwatch("config", "show", section, "--config", str(file))
    assert again.stdout.partition("\n\n")[2] == done.stdout.partition("\n\n")[2]
    assert deckwatch("config", "check", str(file)).stdout == f"{file}: no faults\n"


def test_config_check_tells_all_faults_of_all_sections(tmp_path: Path) -> None:
    file = tmp_path / "deckwatch.yaml"
    file.write_text("agent:\n  lisen: x\ncollector:\n  insecure: perhaps\nalerting: 5\n")
    done = deckwatch("config", "check", str(file), DECKWATCH_AGENT__INSECURE="maybe")
    assert done.returncode == 2
    assert done.stdout == ""
    for part in (
        f"deckwatch: {file}: 4 faults in the settings\n",
        "line 2: agent.lisen: unknown option; did you mean listen?",
        "line 4: collector.insecure: expected true or false, got 'perhaps'",
        "line 5: alerting: expected a group of options, got 5",
        "DECKWATCH_AGENT__INSECURE: agent.insecure: expected true or false, got 'maybe'",
    ):
        assert part in done.stderr


def test_config_show_takes_file_and_environment_and_keeps_secrets(tmp_path: Path) -> None:
    file = tmp_path / "deckwatch.toml"
    file.write_text('[agent]\nhost = "alpha"\n')
    done = deckwatch(
        *("config", "show", "agent", "--config", str(file)),
        DECKWATCH_AGENT__LISTEN="127.0.0.1:5",
        DECKWATCH_TOKEN="hunter2hunter2hunter2",
    )
    shown = yaml.safe_load(done.stdout)["agent"]
    assert (shown["host"], shown["listen"]) == ("alpha", "127.0.0.1:5")
    assert "hunter2" not in done.stdout


DAEMONS = {"agent": "--state-dir", "collector": "--data-dir", "up": "--data-dir"}


@pytest.fixture(params=DAEMONS)
def daemon(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def refused(daemon: str, folder: Path, *arguments: str, **env: str) -> str:
    """The one message of a daemon that can't run as it is called."""
    where = () if "--help" in arguments else (DAEMONS[daemon], str(folder))
    done = deckwatch(daemon, *where, *arguments, **env)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    messages = [line for line in done.stderr.splitlines() if line.startswith("deckwatch: ")]
    assert len(messages) == 1, done.stderr
    return messages[0]


def test_a_port_in_use(daemon: str, tmp_path: Path, taken: int) -> None:
    message = refused(daemon, tmp_path / "d", "--listen", f"127.0.0.1:{taken}")
    assert message.startswith(f"deckwatch: --listen 127.0.0.1:{taken}: the port is in use; stop what listens there")


def test_no_address(daemon: str, tmp_path: Path) -> None:
    assert "expected HOST:PORT" in refused(daemon, tmp_path / "d", "--listen", "nowhere")


def test_a_locked_directory(daemon: str, tmp_path: Path) -> None:
    with DataDir.open(tmp_path / "d", 1, part=daemon):
        message = refused(daemon, tmp_path / "d", "--listen", "127.0.0.1:0")
    assert message == f"deckwatch: {tmp_path}/d: in use by process {os.getpid()}; stop it, or give another directory"


def test_a_directory_of_a_newer_version(daemon: str, tmp_path: Path) -> None:
    DataDir.open(tmp_path / "d", 99, part=daemon).close()
    message = refused(daemon, tmp_path / "d", "--listen", "127.0.0.1:0")
    assert "written by a newer Deckwatch (format 99; this one knows up to" in message


def test_a_directory_that_is_a_file(daemon: str, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("x")
    assert "not a directory" in refused(daemon, tmp_path / "d", "--listen", "127.0.0.1:0")


def test_other_machines_only_with_a_token_or_insecure(daemon: str, tmp_path: Path) -> None:
    message = refused(daemon, tmp_path / "d", "--listen", "0.0.0.0:0")
    assert "--listen 0.0.0.0:0: reachable from other machines, but no bearer token is set" in message


def test_a_token_that_is_none(daemon: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    message = refused(daemon, tmp_path / "d", "--listen", "0.0.0.0:0", "--token-file", str(tmp_path / "token"))
    assert "a token has at least 16 characters" in message
    assert "hunter2" not in message
    assert "can't be read" in refused(daemon, tmp_path / "d", "--token-file", str(tmp_path / "none"))


def test_a_bad_configuration(daemon: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("agent: {a: 1}\ncollector: {b: 2}\n")
    message = refused(daemon, tmp_path / "d", "--config", str(file))
    assert message == f"deckwatch: {file}: {'2 faults' if daemon == 'up' else '1 fault'} in the settings"


def test_tokens_cannot_be_given_on_the_command_line(daemon: str) -> None:
    done = deckwatch(daemon, "--help")
    options = [word for word in done.stdout.split() if word.startswith("--")]
    assert "--token-file" in options
    assert "--token" not in options


def test_help_is_quick() -> None:
    """The goal is 150 ms on a quiet machine; the test's bound allows for a busy one, the best of five counts."""
    took = []
    for _ in range(5):
        before = time.monotonic()
        deckwatch("--help")
        took.append(time.monotonic() - before)
    assert min(took) < 0.4
