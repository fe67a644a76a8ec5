"""Descriptions as a real engine (Docker 20.10.24, cgroup v2) gave them, by its API and on disk at the same moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.discover.docker_container import (
    DockerContainer,
    HealthState,
    State,
    found,
    from_api,
    from_disk,
    health_of,
    state_of,
    time_ns,
)
from agent.model import ContainerState, Health
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Container

DATA = Path(__file__).parent / "data"
RECORDED = sorted(path.name for path in DATA.iterdir() if path.is_dir())
START = "2026-11-24T05:38:55.42230173Z"


def by_api(name: str) -> DockerContainer:
    return from_api((DATA / name / "inspect.json").read_bytes())


def by_disk(name: str) -> DockerContainer:
    folder = DATA / name
    return from_disk((folder / "config.v2.json").read_bytes(), (folder / "hostconfig.json").read_bytes())


@pytest.mark.parametrize("name", RECORDED)
def test_both_forms_tell_the_same(name: str) -> None:
    known = Container("x")
    assert found(by_api(name), known) == found(by_disk(name), known)
    assert by_api(name).log_path == by_disk(name).log_path
    assert by_api(name).config == by_disk(name).config


@pytest.mark.parametrize(
    ("name", "state", "exit_code", "oom", "restarts", "health"),
    [
        ("dw-done", ContainerState.EXITED, 0, False, 0, Health.NONE),
        ("dw-created", ContainerState.CREATED, None, False, 0, Health.NONE),
        ("dw-health", ContainerState.RUNNING, None, False, 0, Health.UNHEALTHY),
        ("dw-paused", ContainerState.PAUSED, None, False, 0, Health.NONE),
        ("dw-restart", ContainerState.EXITED, 3, False, 3, Health.NONE),
        ("dw-oomexit", ContainerState.EXITED, 137, True, 0, Health.NONE),
    ],
)
def test_recorded(
    name: str, state: ContainerState, exit_code: int | None, oom: bool, restarts: int, health: Health
) -> None:
    seen = found(by_disk(name), Container("x"))
    assert (seen.state, seen.exit_code, seen.oom_killed, seen.restart_count, seen.health) == (
        state, exit_code, oom, restarts, health,
    )  # fmt: skip
    assert (seen.pid is not None) == (state in (ContainerState.RUNNING, ContainerState.PAUSED))
    assert (seen.started_ns is None) == (state is ContainerState.CREATED)
    assert seen.network_mode == "default"


def test_times_to_the_nanosecond() -> None:
    state = json.loads((DATA / "dw-done" / "inspect.json").read_bytes())["State"]
    assert state["StartedAt"] == "2026-11-24T05:36:27.74432857Z"
    seen = found(by_api("dw-done"), Container("x"))
    assert (seen.started_ns or 0) % 1_000_000_000 == 744_328_570


@pytest.mark.parametrize(
    ("state", "want"),
    [
        (State(running=True, started_at=START), ContainerState.RUNNING),
        (State(running=True, paused=True, started_at=START), ContainerState.PAUSED),
        (State(running=True, restarting=True, started_at=START), ContainerState.EXITED),  # waits, has no process
        (State(removal_in_progress=True, started_at=START), ContainerState.DEAD),
        (State(status="removing", started_at=START), ContainerState.DEAD),
        (State(dead=True), ContainerState.DEAD),
        (State(), ContainerState.CREATED),
        (State(started_at=START), ContainerState.EXITED),
        (State(status="created", started_at=START), ContainerState.CREATED),
    ],
)
def test_state(state: State, want: ContainerState) -> None:
    assert state_of(state) is want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T02:30:00+02:30", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("0001-01-01T00:00:00Z", None),
        ("1970-02-31T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_time_ns(text: str, want: int | None) -> None:
    assert time_ns(text) == want


@pytest.mark.parametrize(
    ("health", "want"),
    [(None, Health.NONE), (HealthState(""), Health.NONE), (HealthState("starting"), Health.STARTING),
     (HealthState("healthy"), Health.HEALTHY), (HealthState("a word of tomorrow"), Health.NONE)],
)  # fmt: skip
def test_health(health: HealthState | None, want: Health) -> None:
    assert health_of(health) is want


@pytest.mark.parametrize(
    ("config", "hostconfig", "told"),
    [
        (b"", None, "config.v2.json"),
        (b'{"State":', None, "config.v2.json"),
        (b'{"Name":7}', None, r"config.v2.json.*\$.Name"),
        (b"[]", None, "config.v2.json"),
        (b'{"Name":"\xff"}', None, "config.v2.json"),
        (b"{}", b"\0\0\0\0", "hostconfig.json"),
    ],
)
def test_broken_files_are_named(config: bytes, hostconfig: bytes | None, told: str) -> None:
    with pytest.raises(Reject, match=told):
        from_disk(config, hostconfig)


def test_nulls_are_as_good_as_nothing() -> None:
    config = b'{"Config":{"Labels":null,"Env":null},"State":{"Health":null},"Unknown":{"a":1}}'
    described = from_disk(config, b'{"LogConfig":{"Type":"json-file","Config":null}}')
    assert described.labels == {}
    assert described.config.env is None
