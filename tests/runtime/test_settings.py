"""Settings: every fault at once, with its place; precedence; quantities; secrets that never show."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
import yaml
from msgspec import Meta

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings import BadSettings, Secret, load, load_all
from deckwatch.runtime.settings_show import show


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Hook(msgspec.Struct, frozen=True):
    url: Annotated[str, Meta(description="Where to.", pattern="^https?://")]
    retries: Annotated[int, Meta(description="How often.", ge=0, le=9)] = 3
    token: Annotated[Secret | None, Meta(description="Bearer token.")] = None


class Ship(msgspec.Struct, frozen=True):
    batch_bytes: Annotated[int, Meta(description="Raw bytes of a batch.", ge=1024)] = 4 * 2**20
    close_after_s: Annotated[float, Meta(description="Age that closes a batch.", gt=0)] = 0.2
    colour: Annotated[Colour, Meta(description="Of the flag.")] = Colour.RED
    mode: Annotated[Literal["slow", "fast"], Meta(description="How.")] = "fast"


class Settings(msgspec.Struct, frozen=True):
    state_dir: Annotated[Path, Meta(description="Folder of the state.")] = Path("/var/lib/x")
    listen: Annotated[str, Meta(description="Address.")] = "127.0.0.1:0"
    docker: Annotated[bool, Meta(description="Look for Docker?")] = True
    logs: Annotated[tuple[str, ...], Meta(description="Globs.")] = ()
    token_file: Annotated[Path | None, Meta(description="File of the token.")] = None
    db_password: Annotated[str, Meta(description="A secret by its name.")] = ""
    hooks: Annotated[tuple[Hook, ...], Meta(description="Receivers.")] = ()
    labels: Annotated[dict[str, str], Meta(description="Added.")] = {}
    ship: Annotated[Ship, Meta(description="Shipping.")] = Ship()

    def __post_init__(self) -> None:
        if self.listen == self.db_password:
            raise ValueError("listen and db_password must differ")


class Needy(msgspec.Struct, frozen=True):
    collector: Annotated[str, Meta(description="URL.")]
    ship: Annotated[Ship, Meta(description="Shipping.")] = Ship()


def write(folder: Path, text: str, name: str = "deckwatch.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("agent: {shipp: {}}", ["line 1: agent.shipp: unknown option; did you mean ship?"]),
        ("agnet: {}", ["line 1: agnet: unknown section; did you mean agent?"]),
        (
            "agent:\n  ship:\n    batch_bytes: 12\n",
            ["line 3: agent.ship.batch_bytes: expected a whole number >= 1024 (bytes, or like 64MiB), got 12"],
        ),
        ("agent:\n  docker: maybe\n", ["line 2: agent.docker: expected true or false, got 'maybe'"]),
        ("agent:\n  listen: 8080\n", ["line 2: agent.listen: expected text, got 8080"]),
        ("agent:\n  ship: 7\n", ["line 2: agent.ship: expected a group of options, got 7"]),
        ("agent: [1]\n", ["line 1: agent: expected a group of options, got a list [1]"]),
        ("agent:\n  logs: /var/log/*\n", ["line 2: agent.logs: expected a list of: text, got '/var/log/*'"]),
        ("agent:\n  logs: [a, 3]\n", ["line 2: agent.logs.1: expected text, got 3"]),
        ("agent:\n  ship: {colour: green}\n", ["line 2: agent.ship.colour: expected one of red, blue, got 'green'"]),
        ("agent:\n  ship: {mode: idle}\n", ["line 2: agent.ship.mode: expected one of slow, fast, got 'idle'"]),
        (
            "agent:\n  ship:\n    close_after_s: .nan\n",
            ["line 3: agent.ship.close_after_s: expected a number > 0 (seconds, or like 10s), got nan"],
        ),
        ("agent:\n  docker: true\n  docker: false\n", ["line 3: agent.docker: given twice"]),
        ("agent:\n  hooks:\n  - retries: 1\n", ["line 3: agent.hooks.0.url: required"]),
        ("agent:\n  hooks:\n  - url: http://x\n    retries: 10\n", ["line 4: agent.hooks.0.retries: expected a whole"]),
        ("agent:\n  hooks:\n  - url: ftp://x\n", ["line 3: agent.hooks.0.url: expected text matching ^https?://"]),
        ("agent:\n  listen: z\n  db_password: z\n", ["line 1: agent: listen and db_password must differ"]),
        ("agent:\n  labels: {a: 1}\n", ["line 2: agent.labels: expected names, each with text, got a group {'a': 1}"]),
        ("agent:\n  1: 2\n", ["line 2: agent.1: unknown option; known here: state_dir, listen"]),
    ],
)
def test_each_fault_names_its_place_and_what_is_expected(tmp_path: Path, text: str, want: list[str]) -> None:
    with pytest.raises(BadSettings) as caught:
        load(Settings, section="agent", file=write(tmp_path, text))
    got = [str(fault) for fault in caught.value.faults]
    assert len(got) == len(want)
    assert all(fault.startswith(start) for fault, start in zip(got, want, strict=True)), got


def test_all_faults_of_file_environment_and_command_line_are_told_at_once(tmp_path: Path) -> None:
    variables = {"SHIP__CLOSE_AFTER_S": "-1", "NOPE": "1", "SHIP": "x"}
    file = write(tmp_path, "agent:\n  dockr: true\n  ship:\n    batch_bytes: huge\ncolector: {}\n")
    with pytest.raises(BadSettings) as caught:
        load(
            Settings,
            section="agent",
            file=file,
            env={f"DECKWATCH_AGENT__{name}": text for name, text in variables.items()},
            overrides={"agent.ship.mode": "idle"},
        )
    text = str(caught.value)
    assert text.startswith(f"{file}: 7 faults in the settings\n")
    for part in (
        "line 2: agent.dockr: unknown option; did you mean docker?",
        "line 4: agent.ship.batch_bytes: expected a whole number >= 1024",
        "line 5: colector: unknown section; did you mean collector?",
        "DECKWATCH_AGENT__NOPE: agent.nope: unknown option",
        "DECKWATCH_AGENT__SHIP: agent.ship: is a group; set one of its options: batch_bytes,",
        "DECKWATCH_AGENT__SHIP__CLOSE_AFTER_S: agent.ship.close_after_s: expected a number > 0",
        "command line: agent.ship.mode: expected one of slow, fast, got 'idle'",
        "`deckwatch config show agent` lists every option.",
    ):
        assert part in text


def test_faults_of_several_sections_are_told_together(tmp_path: Path) -> None:
    file = write(tmp_path, "agent: {docker: 3}\ncollector: {shipp: 1}\n")
    with pytest.raises(BadSettings) as caught:
        load_all({"agent": Settings, "collector": Needy}, file=file)
    assert [fault.option for fault in caught.value.faults] == ["agent.docker", "collector.shipp", "collector.collector"]


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("a.yaml", "agent: {a: [}", "not valid YAML: line 1, column 13"),
        ("a.yaml", "- agent\n", "expected sections like `agent:` at the top, got list"),
        ("a.toml", "[agent\n", "not valid TOML"),
        ("a.json", "{}", "is named *.yaml, *.yml or *.toml"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, text: str, want: str) -> None:
    path = write(tmp_path, text, name)
    with pytest.raises(Unusable) as caught:
        load(Settings, section="agent", file=path)
    assert str(caught.value).startswith(str(path))
    assert want in str(caught.value)


def test_a_missing_file_and_a_binary_one(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        load(Settings, section="agent", file=tmp_path / "none.yaml")
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unusable, match="it is not UTF-8"):
        load(Settings, section="agent", file=binary)


def test_command_line_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = write(tmp_path, "agent:\n  listen: file\n  ship: {batch_bytes: 2048, mode: slow}\n")
    env = {"DECKWATCH_AGENT__SHIP__BATCH_BYTES": "4096", "DECKWATCH_AGENT__LISTEN": "env", "DECKWATCH_TOKEN": "x"}
    got = load(Settings, section="agent", file=file, env=env, overrides={"agent.listen": "cli"})
    assert (got.listen, got.ship.batch_bytes, got.ship.mode, got.docker) == ("cli", 4096, "slow", True)


def test_toml_and_other_sections_of_the_same_file(tmp_path: Path) -> None:
    file = write(
        tmp_path, '[agent]\nlisten = "x:1"\n[agent.ship]\nclose_after_s = "1m"\n[collector]\nany = 1\n', "a.toml"
    )
    got = load(Settings, section="agent", file=file)
    assert (got.listen, got.ship.close_after_s) == ("x:1", 60)


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("batch_bytes", "64MiB", 64 * 2**20),
        ("batch_bytes", "1 kB", None),  # 1000 bytes: below the least
        ("batch_bytes", "2kB", 2000),
        ("batch_bytes", "1.5GiB", 3 * 2**29),
        ("batch_bytes", "10s", None),
        ("close_after_s", "500ms", 0.5),
        ("close_after_s", "1h", 3600),
        ("close_after_s", "2d", 172800),
        ("close_after_s", "64MiB", None),
        ("mode", "10s", None),
    ],
)
def test_quantities(tmp_path: Path, name: str, text: str, want: float | None) -> None:
    file = write(tmp_path, f'agent:\n  ship:\n    {name}: "{text}"\n')
    if want is None:
        with pytest.raises(BadSettings):
            load(Settings, section="agent", file=file)
    else:
        assert getattr(load(Settings, section="agent", file=file).ship, name) == want


@pytest.mark.parametrize(
    ("variable", "text", "option", "want"),
    [
        ("DOCKER", "false", "docker", False),
        ("LOGS", "/a/*.log, /b/*", "logs", ("/a/*.log", "/b/*")),
        ("LOGS", '["/a,b"]', "logs", ("/a,b",)),
        ("LOGS", "", "logs", ()),
        ("TOKEN_FILE", "null", "token_file", None),
        ("TOKEN_FILE", "/run/t", "token_file", Path("/run/t")),
        ("HOOKS", "[{url: http://x, retries: 1}]", "hooks", (Hook("http://x", 1),)),
        ("LABELS", "{a: b}", "labels", {"a": "b"}),
        ("LISTEN", "123", "listen", "123"),
    ],
)
def test_environment_values_are_text(variable: str, text: str, option: str, want: object) -> None:
    got = load(Settings, section="agent", env={f"DECKWATCH_AGENT__{variable}": text})
    assert getattr(got, option) == want


def test_required_options_say_how_to_set_them() -> None:
    with pytest.raises(BadSettings, match=r"agent.collector: required; set it, or DECKWATCH_AGENT__COLLECTOR"):
        load(Needy, section="agent")
    assert load(Needy, section="agent", overrides={"agent.collector": "http://c"}).collector == "http://c"


def test_show_is_yaml_that_loads_to_the_same_settings(tmp_path: Path) -> None:
    value = load(
        Settings,
        section="agent",
        overrides={
            "agent.logs": ["/a: b", "*"],
            "agent.ship.close_after_s": "3s",
            "agent.hooks": [{"url": "http://x"}],
        },
    )
    for text, want in ((show(Settings, section="agent"), Settings()), (show(Settings, value, section="agent"), value)):
        assert load(Settings, section="agent", file=write(tmp_path, text)) == want
    assert "    # Raw bytes of a batch.\n" in text
    assert "# [a whole number >= 1024 (bytes, or like 64MiB)] DECKWATCH_AGENT__SHIP__BATCH_BYTES\n" in text
    assert "  # - retries: How often. [a whole number >= 0 and <= 9]\n" in text
    assert "  # - url: Where to. [text matching ^https?://, required]\n" in text
    assert "  # collector: (required)\n" in show(Needy, section="agent")


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    hook = {"url": "http://x", "token": "hunter2"}
    overrides = {"agent.db_password": "hunter2", "agent.hooks": [hook]}
    value = load(Settings, section="agent", overrides=overrides)
    assert value.hooks[0].token == Secret("hunter2")
    for text in (show(Settings, value, section="agent"), repr(value.hooks), str(value.hooks[0].token)):
        assert "hunter2" not in text
    assert "# db_password: (set, not shown)" in show(Settings, value, section="agent")
    with pytest.raises(BadSettings) as caught:
        load(Settings, section="agent", file=write(tmp_path, "agent: {db_password: [hunter2]}"))
    assert "hunter2" not in str(caught.value)


def test_aliases_are_not_written_through(tmp_path: Path) -> None:
    file = write(tmp_path, "agent:\n  ship: &s {mode: slow}\ncollector:\n  collector: c\n  ship: *s\n")
    got = load_all({"agent": Settings, "collector": Needy}, file=file, overrides={"agent.ship.mode": "fast"})
    assert isinstance(got["collector"], Needy)
    assert got["collector"].ship.mode == "slow"
    assert yaml.safe_load(show(Needy, got["collector"], section="collector"))["collector"]["ship"]["mode"] == "slow"
