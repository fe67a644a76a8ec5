"""What discovery finds and hands to the tailers and the sampler."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from deckwatch.wire.model import Container, Event, Format, Labels


class ContainerState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    NONE = "none"  # no health check is defined
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Endpoint(msgspec.Struct, frozen=True):
    """Where a container can be reached, and all its labels: what scrapes of its metrics need to know."""

    networks: tuple[tuple[str, str], ...] = ()  # (name, address), in the order of names; only those with an address
    tcp_ports: tuple[int, ...] = ()  # that its image or its start names, in their order
    labels: Labels = ()  # all of them, whatever the allow list says: they stay on this host


class FoundContainer(msgspec.Struct, frozen=True):
    """A container as its engine or its cgroup tells of it. Unknown is None, never a guess."""

    container: Container
    state: ContainerState
    pid: int | None = None  # its init, for network counters
    cgroup: str | None = None  # path below the cgroup mounts, where the engine says it (else it is searched by id)
    created_ns: int | None = None
    started_ns: int | None = None
    finished_ns: int | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    restart_count: int | None = None
    health: Health = Health.NONE
    network_mode: str = ""  # host | container:<id> | bridge ...: who shares whose namespace
    namespace_modes: Labels = ()  # (pid_mode, host), (ipc_mode, container:<id>) ...: those that its start named
    endpoint: Endpoint | None = None


class LogSource(msgspec.Struct, frozen=True, gc=False):
    """A log to be followed: one log of a container, or a file of the host."""

    name: str
    """StreamId.source: `<container id>/<log name>`, or the real path of a file."""
    path: str
    """Where the live file stands; it may not exist yet."""
    rotated: str = ""
    """Glob of its rotated predecessors, oldest to be found by mtime; compressed ones end in .gz. Empty: none known."""
    format: Format | None = None
    """None: docker-json or plain is told by the first line."""
    container: Container | None = None
    tenant: str = "default"
    ended: bool = False
    """Nobody writes there any more: at EOF an unterminated last line is complete."""
    created_ns: int | None = None
    """When its container was created; None: unknown."""
    started_ns: int | None = None
    """When its container was started last; its engine had made the log by then. None: unknown."""
    max_files: int = 0
    """How many files of it its engine keeps, the live one included, before it deletes the oldest; 0: unknown, or it
    never rotates."""


class Inventory(Protocol):
    """What is there now. Discovery keeps it; others read it and ask to be told of changes.

    `containers` by id and `sources` by name are whole and current whenever a listener is called; listeners are called
    from the event loop, must not block, and get no argument: they look. A source that vanished from `sources` was
    removed (docker rm): the tailer still reads what it holds open to its end.
    """

    @property
    def containers(self) -> dict[str, FoundContainer]: ...

    @property
    def sources(self) -> dict[str, LogSource]: ...

    def on_change(self, listener: Listener) -> None: ...

    def on_event(self, listener: EventListener) -> None: ...


class Listener(Protocol):
    def __call__(self) -> None: ...


class EventListener(Protocol):
    def __call__(self, event: Event) -> None: ...
