"""From the path of a cgroup to the container (or systemd unit) that it is. Pure.

The path alone decides, and in it the last component: `/docker/<outer>/docker/<inner>` is the inner container. What
runtimes and drivers make of names was gathered from kubelet, runc, cAdvisor, CRI-O, Podman, coroot and netdata.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec


class GroupKind(StrEnum):
    CONTAINER = "container"
    UNIT = "unit"  # a systemd service, or what an init system like Talos' runs
    MACHINE = "machine"  # a virtual machine of libvirt


class GroupIdentity(msgspec.Struct, frozen=True):
    kind: GroupKind
    id: str
    runtime: str = ""  # empty: the path doesn't tell
    pod_uid: str = ""


_HEX64 = r"[0-9a-f]{64}"
_BARE = re.compile(rf"^{_HEX64}$")
_PREFIXED = re.compile(
    rf"^(?:.*:)?(docker|cri-containerd|containerd|crio|libpod-payload|libpod|nerdctl)[-:]({_HEX64})$"
)
_FARGATE = re.compile(r"^[0-9a-f]{32}-\d+$")
_GARDEN = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{4,12}$")
_NOMAD = re.compile(r"^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\..+)$")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")

_RUNTIME = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "containerd": "containerd",
    "crio": "cri-o",
    "libpod": "podman",
    "libpod-payload": "podman",
    "nerdctl": "containerd",
}
_CONTAINERD_NAMESPACES = ("default", "k8s.io")
_TALOS_PARENTS = ("system", "podruntime")


def identify(path: str) -> GroupIdentity | None:
    """What the cgroup at `path` (below its mount, beginning with /) is; None for slices, pods, sandboxes, conmon..."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 1 and parts[-1] == "container" and parts[-2].startswith(("libpod-", "crio-")):
        parts.pop()  # Podman and CRI-O put the container's processes one level down
    if not parts:
        return None
    last, parents = parts[-1], parts[:-1]
    name, dot, suffix = last.rpartition(".")
    bare = name if dot and suffix in ("scope", "service") else last
    return (
        _by_engine_prefix(bare, parents, suffix if bare != last else "")
        or _by_bare_id(bare, parents)
        or _by_parent(last, bare, parents)
        or _unit(last, parents)
    )


def pod_uid(parents: list[str]) -> str:
    """UID of the pod that one of the path's components names; static pods have 32 hex digits without dashes."""
    for part in reversed(parents):
        if found := _POD.search(part):
            return found.group(1).replace("_", "-")
    return ""


def _container(ident: str, runtime: str, parents: list[str]) -> GroupIdentity:
    return GroupIdentity(GroupKind.CONTAINER, ident, runtime, pod_uid(parents))


def _by_engine_prefix(bare: str, parents: list[str], suffix: str) -> GroupIdentity | None:
    found = _PREFIXED.match(bare)
    if found is None:  # libpod-conmon-<id>, crio-conmon-<id> do not match either: they only watch a container
        return None
    prefix, ident = found.groups()
    in_slice = bool(parents) and parents[-1].endswith(".slice")
    if prefix == "crio" and in_slice and suffix != "scope":
        return None  # CRI-O's sandbox has no processes; its containers are scopes beside it
    # containerd with the wrong driver: /system.slice/containerd.service/kubepods-...-pod<uid>.slice:cri-containerd:<id>
    return _container(ident, _RUNTIME[prefix], [*parents, *bare.split(":")[:-2]])


def _by_bare_id(bare: str, parents: list[str]) -> GroupIdentity | None:
    if not _BARE.match(bare):
        return None
    if "docker" in parents or "ecs" in parents:
        return _container(bare, "docker", parents)
    if parents and parents[0] in _CONTAINERD_NAMESPACES:
        return _container(bare, "containerd", parents)
    return _container(bare, "", parents)  # --cgroup-parent, or kubelet's cgroupfs driver: the path has no runtime


def _by_parent(last: str, bare: str, parents: list[str]) -> GroupIdentity | None:
    """Names that only mean a container below a certain parent."""
    top = parents[0] if parents else ""
    parent = parents[-1] if parents else ""
    if parent == "machine.slice":
        return _machine(bare)
    if last.startswith("lxc.payload."):
        return _container(last.removeprefix("lxc.payload."), "lxc", parents)
    if parent == "lxc":
        return _container(last, "lxc", parents)
    if top in ("nomad", "nomad.slice") and _NOMAD.match(bare):
        return _container(bare, "nomad", parents)
    if parent == "garden" and _GARDEN.match(last):
        return _container(last, "garden", parents)
    if parent == "mesos" and _GARDEN.match(last):
        return _container(last, "mesos", parents)
    if top == "ecs" and _FARGATE.match(last):
        return _container(last, "ecs", parents)
    if len(parents) == 1 and top in _CONTAINERD_NAMESPACES:
        return _container(last, "containerd", parents)  # ctr lets its users choose any name
    return None


def _machine(bare: str) -> GroupIdentity | None:
    name = unescape(bare)
    if name.startswith("systemd-nspawn@"):
        return GroupIdentity(GroupKind.CONTAINER, name.removeprefix("systemd-nspawn@"), "systemd-nspawn")
    if name.startswith("machine-qemu"):
        return GroupIdentity(GroupKind.MACHINE, name.removeprefix("machine-"), "libvirt")
    if name.startswith("machine-"):
        return GroupIdentity(GroupKind.CONTAINER, name.removeprefix("machine-"), "systemd-nspawn")
    return None


def _unit(last: str, parents: list[str]) -> GroupIdentity | None:
    if last.endswith(".service") and parents and parents[-1].endswith(".slice"):
        return GroupIdentity(GroupKind.UNIT, unescape(last), "systemd")
    if len(parents) == 1 and parents[0] in _TALOS_PARENTS:
        return GroupIdentity(GroupKind.UNIT, last, "talos")
    return None


def unescape(name: str) -> str:
    """systemd writes other characters than letters, digits, `:_.` as \\x2d (see systemd-escape(1))."""
    return _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), name)
