"""A container as Docker describes it: by its API (`GET /containers/<id>/json`), or on disk in `config.v2.json` and
`hostconfig.json`. Two forms, one `DockerContainer`. Pure.

Fields: Docker Engine API 1.41, "Inspect a container"; moby container/container.go and container/state.go, whose
structs are what stands on disk. Podman answers in the same form.
"""

from __future__ import annotations

import calendar
import re
import time
from typing import TypeVar

import msgspec

from agent.model import ContainerState, Endpoint, FoundContainer, Health
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Container, Labels

_T = TypeVar("_T")

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")

_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class HealthState(msgspec.Struct, frozen=True, rename="pascal"):
    status: str = ""


class State(msgspec.Struct, frozen=True, rename="pascal"):
    status: str = ""  # of the API only
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = msgspec.field(default=False, name="OOMKilled")
    removal_in_progress: bool = False
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    started_at: str = _NEVER
    finished_at: str = _NEVER
    health: HealthState | None = None


class LogConfig(msgspec.Struct, frozen=True, rename="pascal"):
    type: str = ""
    config: dict[str, str] | None = None


class HostConfig(msgspec.Struct, frozen=True, rename="pascal"):
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    uts_mode: str = msgspec.field(default="", name="UTSMode")
    userns_mode: str = ""
    cgroupns_mode: str = ""


class Network(msgspec.Struct, frozen=True, rename="pascal"):
    ip_address: str = msgspec.field(default="", name="IPAddress")
    ipv6_address: str = msgspec.field(default="", name="GlobalIPv6Address")


class NetworkSettings(msgspec.Struct, frozen=True, rename="pascal"):
    networks: dict[str, Network | None] | None = None


class Config(msgspec.Struct, frozen=True, rename="pascal"):
    image: str = ""  # as the user wrote it
    labels: dict[str, str] | None = None
    env: tuple[str, ...] | None = None  # never handed on: attribution takes what it knows
    exposed_ports: dict[str, object] | None = None  # "80/tcp": {}


class DockerContainer(msgspec.Struct, frozen=True, rename="pascal"):
    name: str = ""
    created: str = ""
    state: State = State()
    config: Config = Config()
    host_config: HostConfig | None = None  # on disk in a file of its own
    log_path: str = ""  # empty until the first start
    restart_count: int = 0
    network_settings: NetworkSettings | None = None

    @property
    def labels(self) -> dict[str, str]:
        return self.config.labels or {}


_decoder = msgspec.json.Decoder(DockerContainer)
_host_decoder = msgspec.json.Decoder(HostConfig)


def from_api(body: bytes) -> DockerContainer:
    """Raises Reject."""
    return _decode(_decoder, body, "the engine's answer")


def from_disk(config: bytes, hostconfig: bytes | None) -> DockerContainer:
    """Raises Reject where a file is broken; a missing hostconfig.json only leaves its part unknown."""
    container = _decode(_decoder, config, "config.v2.json")
    if hostconfig is None:
        return container
    return msgspec.structs.replace(container, host_config=_decode(_host_decoder, hostconfig, "hostconfig.json"))


def _decode(decoder: msgspec.json.Decoder[_T], body: bytes, what: str) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Reject(f"{what} is no description of a container: {error}") from None


def state_of(state: State) -> ContainerState:
    """On disk nobody wrote the status down: the order is that of moby's StateString. A container that waits for its
    next restart has no process: exited."""
    if state.restarting:
        return ContainerState.EXITED
    if state.running:
        return ContainerState.PAUSED if state.paused else ContainerState.RUNNING
    if state.removal_in_progress or state.dead or state.status == "removing":
        return ContainerState.DEAD
    if state.status == "created" or state.started_at == _NEVER:
        return ContainerState.CREATED
    return ContainerState.EXITED


def found(described: DockerContainer, known: Container) -> FoundContainer:
    """What the sampler and events need to know. An exit code means something only once somebody saw the exit."""
    state, status = described.state, state_of(described.state)
    finished_ns = time_ns(state.finished_at)
    over = status in (ContainerState.EXITED, ContainerState.DEAD) and finished_ns is not None
    host_config = described.host_config or HostConfig()
    return FoundContainer(
        container=known,
        state=status,
        pid=state.pid or None,
        created_ns=time_ns(described.created),
        started_ns=time_ns(state.started_at),
        finished_ns=finished_ns,
        exit_code=state.exit_code if over else None,
        oom_killed=state.oom_killed,
        restart_count=described.restart_count,
        health=health_of(state.health),
        network_mode=host_config.network_mode,
        namespace_modes=namespace_modes(host_config),
        endpoint=endpoint(described),
    )


def namespace_modes(host_config: HostConfig) -> Labels:
    """Those that its start named; empty means the engine's default, mostly one of its own."""
    modes = (
        ("cgroupns_mode", host_config.cgroupns_mode),
        ("ipc_mode", host_config.ipc_mode),
        ("pid_mode", host_config.pid_mode),
        ("userns_mode", host_config.userns_mode),
        ("uts_mode", host_config.uts_mode),
    )
    return tuple((name, mode) for name, mode in modes if mode)


def endpoint(described: DockerContainer) -> Endpoint:
    networks = (described.network_settings or NetworkSettings()).networks or {}
    addresses = ((name, of.ip_address or of.ipv6_address) for name, of in sorted(networks.items()) if of is not None)
    ports = (port.partition("/") for port in described.config.exposed_ports or ())
    return Endpoint(
        networks=tuple((name, address) for name, address in addresses if address),
        tcp_ports=tuple(sorted(int(port) for port, _, kind in ports if kind in ("", "tcp") and port.isdecimal())),
        labels=tuple(sorted(described.labels.items())),
    )


def health_of(health: HealthState | None) -> Health:
    try:
        return Health(health.status) if health and health.status else Health.NONE
    except ValueError:  # a word of a later engine
        return Health.NONE


def time_ns(text: str) -> int | None:
    """RFC 3339 with up to nine digits of fraction, which datetime would cut. None: never, or no time."""
    match = _TIME.fullmatch(text)
    if match is None or text == _NEVER:
        return None
    whole, fraction, zone = match.groups()
    try:
        seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None
    if zone != "Z":
        shift = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= shift if zone[0] == "+" else -shift
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
