"""The engine's event stream: what an event means to us, and from where the stream is taken up again. Pure.

Form: Docker Engine API 1.41, "Monitor events". The engine keeps only its last 256 events, so a long absence is made
good by a full list, not by events.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from agent.discover.docker_container import CONTAINER_ID, DockerContainer, State
from agent.discover.docker_container import Config as ContainerConfig
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.wire.model import Container, Event, Labels

OVERLAP_NS = 1_000_000_000
"""Asked for again at a reconnect: time stamps are given before events are queued, so they may come out of order."""

REMEMBERED = 8192
"""Events kept to tell repeated ones; more than the engine itself keeps."""

MOST_LINE_BYTES = 4 * 1024 * 1024

ATTRIBUTES = ("exitCode", "signal", "execDuration", "oldName")
"""The engine puts the container's labels beside these; labels have their own allow list."""

_SAME = {"died": "die", "remove": "destroy"}
"""Podman's words."""

_SILENT = frozenset(
    {"archive-path", "attach", "commit", "copy", "detach", "export", "extract-to-dir", "resize", "top"}
    | {
        "exec",
        "exec_create",
        "exec_detach",
        "exec_die",
        "exec_died",
        "exec_start",
    }  # health checks, and commands that may hold secrets
)


class Actor(msgspec.Struct, frozen=True):
    id: str = msgspec.field(default="", name="ID")
    attributes: dict[str, str] | None = msgspec.field(default=None, name="Attributes")


class EngineEvent(msgspec.Struct, frozen=True):
    type: str = msgspec.field(default="", name="Type")
    action: str = msgspec.field(default="", name="Action")
    actor: Actor = msgspec.field(default=Actor(), name="Actor")
    time_ns: int = msgspec.field(default=0, name="timeNano")

    @property
    def attributes(self) -> dict[str, str]:
        return self.actor.attributes or {}


class Meaning(StrEnum):
    NOTHING = "nothing"  # not of a container's life
    INSPECT = "inspect"  # its description may have changed
    FORGET = "forget"  # it was removed


_decoder = msgspec.json.Decoder(EngineEvent)


def decode(line: bytes) -> EngineEvent:
    """Raises Reject."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise Reject(f"no event: {error}") from None


def action_of(event: EngineEvent) -> str:
    """`health_status: unhealthy` and `exec_create: sh -c ...` carry more behind a colon."""
    word = event.action.partition(":")[0].strip()
    return _SAME.get(word, word)


def meaning(event: EngineEvent) -> Meaning:
    if event.type != "container" or not CONTAINER_ID.fullmatch(event.actor.id):
        return Meaning.NOTHING
    action = action_of(event)
    if action in _SILENT:
        return Meaning.NOTHING
    return Meaning.FORGET if action == "destroy" else Meaning.INSPECT


def description(event: EngineEvent) -> DockerContainer:
    """What an event alone tells of a container that was gone before anybody could ask: name, image, labels, and that
    it is over."""
    told = event.attributes
    labels = {name: value for name, value in told.items() if name not in (*ATTRIBUTES, "name", "image")}
    config = ContainerConfig(told.get("image", ""), labels)
    return DockerContainer(name=told.get("name", ""), config=config, state=State(dead=True))


def wire_event(event: EngineEvent, container: Container | None, tenant: str) -> Event:
    told = [(name, event.attributes[name]) for name in ATTRIBUTES if name in event.attributes]
    _, is_status, status = event.action.partition(":")
    if is_status:
        told.append(("status", status.strip()))
    attributes: Labels = tuple(sorted(told))
    return Event(event.time_ns, tenant, "container", action_of(event), container, attributes)


class EventCursor:
    """Where the stream is taken up again, and which events were had already."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self._last_ns = start_ns
        self._had: OrderedDict[tuple[int, str, str], None] = OrderedDict()

    @property
    def since(self) -> str:
        """For the query: seconds with nine digits of fraction."""
        seconds, rest = divmod(self._last_ns - OVERLAP_NS, 1_000_000_000)
        return f"{seconds}.{rest:09d}"

    def take(self, event: EngineEvent) -> bool:
        """Is it new? What happened before the start was seen by the first full look, or heard before a restart."""
        if event.time_ns < self._start_ns:
            return False
        key = (event.time_ns, event.actor.id, event.action)
        if key in self._had:
            return False
        self._had[key] = None
        if len(self._had) > REMEMBERED:
            self._had.popitem(last=False)
        self._last_ns = event.time_ns
        return True


class LineSplitter:
    """Cuts a stream of bytes into lines, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Raises Retry where a line has no end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MOST_LINE_BYTES:
            raise Retry(f"the event stream sent a line of more than {MOST_LINE_BYTES} bytes")
        for line in lines:
            if line.strip():
                yield line
