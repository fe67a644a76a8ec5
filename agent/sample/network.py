"""Network counters of containers: of each network namespace once, under the container that it belongs to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

import msgspec

from agent.sample.kept import read_once

_LEFT_OUT = ("veth", "docker", "nerdctl")
"""Beginnings of names that cAdvisor leaves out too: what only a host, or Docker in Docker, has. And `lo`."""


class InterfaceCounters(msgspec.Struct, frozen=True, array_like=True):
    """Counters since the interface was made."""

    interface: str
    receive_bytes: int
    receive_packets: int
    receive_errors: int
    receive_dropped: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errors: int
    transmit_dropped: int


def parse_net_dev(text: bytes) -> dict[str, list[int]]:
    """/proc/net/dev: two lines of titles, then `name: ` and 16 numbers (8 received, 8 transmitted)."""
    interfaces = {}
    for line in text.splitlines()[2:]:
        name, colon, numbers = line.partition(b":")
        if colon:
            interfaces[name.strip().decode(errors="replace")] = list(map(int, numbers.split()))
    return interfaces


def container_counters(text: bytes) -> tuple[InterfaceCounters, ...]:
    return tuple(
        InterfaceCounters(name, *numbers[:4], *numbers[8:12])
        for name, numbers in parse_net_dev(text).items()
        if name != "lo" and not name.startswith(_LEFT_OUT)
    )


class Claim(msgspec.Struct, frozen=True):
    """A container that lives in a network namespace."""

    path: str
    namespace: str | None  # `net:[4026531992]`; None: not to be told (no rights, the process has gone)
    network_mode: str = ""  # as the engine says it; empty: no engine told
    sandbox: bool = False  # a pod's own container, made only to hold its namespace


def owners(claims: Iterable[Claim], host_namespace: str | None, before: Collection[str]) -> set[str]:
    """Paths of the containers that speak for a namespace, one for each. Pure.

    Nobody speaks for the host's own. First comes a pod's sandbox, last who borrows another's (`container:<id>`);
    among equals who spoke `before`, so that series don't hop when a neighbour comes.
    """
    taken: set[str] = set()
    speaking: set[str] = set()
    for claim in sorted(claims, key=lambda claim: (_rank(claim), claim.path not in before, claim.path)):
        namespace = _namespace(claim)
        if namespace is None or namespace == host_namespace or namespace in taken:
            continue
        taken.add(namespace)
        speaking.add(claim.path)
    return speaking


def _rank(claim: Claim) -> int:
    if claim.sandbox:
        return 0
    return 2 if claim.network_mode.startswith("container:") else 1


def _namespace(claim: Claim) -> str | None:
    """Where the link can't be read, the engine's word that the container has a network of its own will do."""
    if claim.network_mode == "host":
        return None
    if claim.namespace is None and claim.network_mode and not claim.network_mode.startswith("container:"):
        return claim.path
    return claim.namespace


def network_namespace(proc: str, pid: int) -> str | None:
    """`net:[inode]` of a process; None where it can't be told."""
    try:
        return os.readlink(f"{proc}/{pid}/ns/net")  # noqa: PTH115 - a Path would treat the link's text as a path
    except OSError:
        return None  # gone, or not ours to read: both mean that nothing can be said of its network


def read_container_network(proc: str, pid: int) -> tuple[InterfaceCounters, ...]:
    """Opened for each look: a kept descriptor would keep the namespace of a dead container alive. OSError as kept."""
    text = read_once(f"{proc}/{pid}/net/dev")
    return () if text is None else container_counters(text)
