"""What is kept of a description: context, log, tenant."""

from __future__ import annotations

import msgspec
import pytest

from agent.discover.docker_container import Config, DockerContainer, HostConfig, LogConfig, State
from agent.discover.docker_reader import DockerReader, Engine, log_file, max_files, source_name, wants_logs
from agent.discover.settings import DiscoverSettings
from deckwatch.wire.model import Format

ID = "4f" * 32
DOCKER = Engine("docker", "/data/docker/containers")
PODMAN = Engine("podman")
STARTED = DockerContainer(
    name="/web",
    state=State(running=True, pid=7, started_at="2026-01-01T00:00:00Z"),
    config=Config(
        "nginx:1.27", {"app": "shop", "secret": "x", "deckwatch.tenant": "acme"}, ("DD_SERVICE=front", "PW=x")
    ),
    host_config=HostConfig(LogConfig("json-file"), "bridge"),
    log_path=f"/var/lib/docker/containers/{ID}/{ID}-json.log",
)


def driver(name: str) -> DockerContainer:
    return msgspec.structs.replace(STARTED, host_config=HostConfig(LogConfig(name)))


@pytest.mark.parametrize(
    ("described", "driver_name", "engine", "path", "shape"),
    [
        (STARTED, "json-file", DOCKER, STARTED.log_path, Format.DOCKER_JSON),
        (DockerContainer(), "json-file", DOCKER, f"/data/docker/containers/{ID}/{ID}-json.log", Format.DOCKER_JSON),
        (DockerContainer(), "json-file", Engine("docker", ""), None, Format.DOCKER_JSON),
        (DockerContainer(log_path="/c/ctr.log"), "k8s-file", PODMAN, "/c/ctr.log", Format.CRI),
        (DockerContainer(log_path="/c/ctr.log"), "json-file", PODMAN, "/c/ctr.log", Format.CRI),
        (DockerContainer(), "k8s-file", PODMAN, None, Format.CRI),
        (STARTED, "local", DOCKER, None, None),
        (STARTED, "journald", DOCKER, None, None),
        (STARTED, "none", DOCKER, None, None),
    ],
)
def test_log_file(
    described: DockerContainer, driver_name: str, engine: Engine, path: str | None, shape: Format | None
) -> None:
    assert log_file(ID, described, driver_name, engine) == (path, shape)


@pytest.mark.parametrize(
    ("options", "files"),
    [
        (None, 0),
        ({"max-file": "3"}, 0),  # without max-size nothing is rotated
        ({"max-size": "-1", "max-file": "3"}, 0),
        ({"max-size": "20k"}, 1),
        ({"max-size": "20k", "max-file": "3"}, 3),
        ({"max-size": "20k", "max-file": "many"}, 0),
    ],
)
def test_max_files(options: dict[str, str] | None, files: int) -> None:
    assert max_files(LogConfig("json-file", options)) == files


def test_context_keeps_no_secret() -> None:
    seen = DockerReader(DiscoverSettings()).seen(ID, STARTED, DOCKER)
    context = seen.found.container
    assert (context.name, context.image, context.runtime, context.service) == ("web", "nginx:1.27", "docker", "front")
    assert context.labels == (("app", "shop"),)
    assert b"PW=x" not in msgspec.json.encode(seen)
    assert seen.source is not None
    assert seen.source.name == f"{ID}/json.log"
    assert seen.source.rotated == f"{STARTED.log_path}.[0-9]*"
    assert seen.source.container == context


@pytest.mark.parametrize(
    ("settings", "tenant"),
    [
        (DiscoverSettings(), "default"),
        (DiscoverSettings(tenant="ops"), "ops"),
        (DiscoverSettings(tenant_from_label=True), "acme"),
    ],
)
def test_tenant(settings: DiscoverSettings, tenant: str) -> None:
    source = DockerReader(settings).seen(ID, STARTED, DOCKER).source
    assert source is not None
    assert source.tenant == tenant


@pytest.mark.parametrize(
    ("value", "wanted"), [("false", False), (" No ", False), ("0", False), ("off", False), ("true", True), ("", True)]
)
def test_a_label_keeps_logs_out(value: str, wanted: bool) -> None:
    assert wants_logs({"deckwatch.logs": value}) is wanted
    described = msgspec.structs.replace(STARTED, config=Config("i", {"deckwatch.logs": value}))
    seen = DockerReader(DiscoverSettings()).seen(ID, described, DOCKER)
    assert (seen.source is not None) is wanted
    assert seen.unreadable == ""


@pytest.mark.parametrize(("name", "told"), [("local", "local"), ("syslog", "syslog"), ("none", "none")])
def test_unreadable_drivers_are_told(name: str, told: str) -> None:
    seen = DockerReader(DiscoverSettings()).seen(ID, driver(name), DOCKER)
    assert seen.source is None
    assert seen.unreadable == told


def test_the_engines_default_driver_counts_where_none_is_named() -> None:
    described = msgspec.structs.replace(STARTED, host_config=None)
    seen = DockerReader(DiscoverSettings()).seen(ID, described, Engine(log_driver="journald"))
    assert seen.unreadable == "journald"


def test_paths_are_below_the_hosts_root() -> None:
    source = DockerReader(DiscoverSettings(host_root="/host")).seen(ID, STARTED, DOCKER).source
    assert source is not None
    assert source.path == f"/host{STARTED.log_path}"
    assert source.name == f"{ID}/json.log"  # the same as without


def test_ended_follows_the_state() -> None:
    reader, name = DockerReader(DiscoverSettings()), "2026-01-01T00:00:00Z"
    over = msgspec.structs.replace(STARTED, state=State(started_at=name, finished_at=name))
    ended = [reader.seen(ID, described, DOCKER).source for described in (STARTED, over, DockerContainer())]
    assert [source.ended if source else None for source in ended] == [False, True, False]


def test_names_of_logs() -> None:
    assert source_name(ID, f"{ID}-json.log") == f"{ID}/json.log"
    assert source_name(ID, "ctr.log") == f"{ID}/ctr.log"
