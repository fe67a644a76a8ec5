"""From a container's description to what is handed on: its context and, where it has one, its log. Pure."""

from __future__ import annotations

import glob

import msgspec

from agent.discover.attribution import kept_labels, known_environment, service, workload
from agent.discover.docker_container import DockerContainer, HostConfig, LogConfig, found
from agent.discover.host_paths import HostPaths
from agent.discover.settings import DiscoverSettings
from agent.model import ContainerState, FoundContainer, LogSource
from deckwatch.wire.model import Container, Format

NO_LOGS_LABEL = "deckwatch.logs"
TENANT_LABEL = "deckwatch.tenant"


class Engine(msgspec.Struct, frozen=True):
    """What must be known of the engine to understand its containers."""

    runtime: str = "docker"  # docker | podman
    containers_dir: str = ""  # on the host; a log that is not there yet will be below it
    log_driver: str = "json-file"  # of containers that name none


class Seen(msgspec.Struct, frozen=True):
    """A container with its log, or the reason why nothing can be read."""

    found: FoundContainer
    source: LogSource | None
    unreadable: str = ""  # name of a log driver that writes no file that we can read


class DockerReader:
    """Turns descriptions into what we keep, by the settings."""

    def __init__(self, settings: DiscoverSettings) -> None:
        self._settings = settings
        self._paths = HostPaths(settings.host_root)

    def seen(self, container_id: str, described: DockerContainer, engine: Engine) -> Seen:
        context = self.context(container_id, described, engine.runtime)
        status = found(described, context)
        if not wants_logs(described.labels):
            return Seen(status, None)
        logs = (described.host_config or HostConfig()).log_config
        driver = logs.type or engine.log_driver
        path, shape = log_file(container_id, described, driver, engine)
        if path is None:
            return Seen(status, None, driver)
        source = self._source(status, path, shape, self.tenant(described.labels))
        return Seen(status, msgspec.structs.replace(source, max_files=max_files(logs)))

    def context(self, container_id: str, described: DockerContainer, runtime: str) -> Container:
        labels, environment = described.labels, known_environment(described.config.env or ())
        owner = workload(labels, environment)
        return Container(
            id=container_id,
            name=described.name.removeprefix("/"),
            image=described.config.image,
            runtime=runtime,
            labels=kept_labels(labels, self._settings.labels),
            workload=owner,
            service=service(labels, environment, owner),
        )

    def tenant(self, labels: dict[str, str]) -> str:
        own = labels.get(TENANT_LABEL) if self._settings.tenant_from_label else None
        return own or self._settings.tenant

    def _source(self, status: FoundContainer, path: str, shape: Format | None, tenant: str) -> LogSource:
        folder, _, name = self._paths.inner(path).rpartition("/")
        real = f"{self._paths.real(folder)}/{name}"
        return LogSource(
            name=source_name(status.container.id, name),
            path=real,
            rotated=f"{glob.escape(real)}.[0-9]*",
            format=shape,
            container=status.container,
            tenant=tenant,
            ended=status.state in (ContainerState.EXITED, ContainerState.DEAD),
            created_ns=status.created_ns,
            started_ns=status.started_ns,
        )


def source_name(container_id: str, file_name: str) -> str:
    """`<id>/json.log`, `<id>/ctr.log`: the same whether the API, the disk or a glob led to the file."""
    return f"{container_id}/{file_name.removeprefix(f'{container_id}-')}"


def max_files(logs: LogConfig) -> int:
    """Docker rotates only with `max-size`, and keeps one file unless `max-file` says more (moby
    daemon/logger/jsonfilelog). Options of other drivers say nothing."""
    options = logs.config or {}
    if options.get("max-size", "-1") == "-1":
        return 0
    kept = options.get("max-file", "1")
    return int(kept) if kept.isascii() and kept.isdigit() else 0


def wants_logs(labels: dict[str, str]) -> bool:
    return labels.get(NO_LOGS_LABEL, "").strip().lower() not in ("false", "no", "off", "0")


def log_file(
    container_id: str, described: DockerContainer, driver: str, engine: Engine
) -> tuple[str | None, Format | None]:
    """Where the log stands on the host, and its form. None: no file that we can read.

    Docker names the file only at the first start; until then it is known all the same, and a container that lives
    for the blink of an eye is waited for at the right place. Podman's json-file is another name of its k8s-file.
    """
    path = described.log_path
    if driver == "json-file" and engine.runtime == "docker":
        if not path and engine.containers_dir:
            path = f"{engine.containers_dir}/{container_id}/{container_id}-json.log"
        return path or None, Format.DOCKER_JSON
    if driver in ("json-file", "k8s-file"):
        return path or None, Format.CRI
    return None, None
