"""Where the host's cgroups are mounted, and in which of the kernel's three lay-outs."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import msgspec


class Layout(StrEnum):
    V1 = "cgroup v1"
    HYBRID = "cgroup v1 with a v2 mount beside it (hybrid)"  # the v2 mount holds no controller, but may have PSI
    V2 = "cgroup v2"
    NONE = "no cgroups"


class Hierarchies(msgspec.Struct, frozen=True):
    layout: Layout
    v1: dict[str, str] = {}  # controller -> directory of its mount; joined controllers share one
    v2: str = ""  # directory of the v2 mount; empty where there is none

    def walked(self) -> str:
        """The mount whose tree tells which groups there are: every engine makes its groups in all of these."""
        if self.layout is Layout.V2:
            return self.v2
        for controller in ("cpuacct", "memory", "cpu", "pids", "blkio", "name=systemd"):
            if controller in self.v1:
                return self.v1[controller]
        return self.v2

    def describe(self) -> str:
        """One line for people: `cgroup v1 (split): cpu, cpuacct, memory ...`."""
        if not self.v1:
            return str(self.layout)
        joined = len(set(self.v1.values())) < len(self.v1)
        return f"{self.layout} ({'joined' if joined else 'split'}): {', '.join(sorted(self.v1))}"


_CONTROLLERS = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "blkio", "pids", "devices", "freezer", "hugetlb"}
    | {"net_cls", "net_prio", "perf_event", "rdma", "misc"}
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def find_hierarchies(host_root: str = "/") -> Hierarchies:
    """Look at the mount table of the host's first process, then at the usual place.

    `host_root` is where the host's root is seen from here (/host in a container). A mount point that can't be seen
    below it is left out.
    """
    root = host_root.rstrip("/")
    for table in ("/proc/1/mountinfo", "/proc/self/mountinfo"):
        found = _from_mountinfo(root, table)
        if found.layout is not Layout.NONE:
            return found
    return _from_directory(Path(root + "/sys/fs/cgroup"))


def _from_mountinfo(root: str, table: str) -> Hierarchies:
    """proc_pid_mountinfo(5): fields before ` - ` are about the mount, those behind it about the file system."""
    try:
        with open(root + table, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return Hierarchies(Layout.NONE)  # no such process (a recording), or not ours to read
    v1: dict[str, str] = {}
    v2 = ""
    for line in lines:
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        point = root + _OCTAL.sub(lambda code: chr(int(code.group(1), 8)), mount.split(" ")[4])
        if not Path(point).is_dir():
            continue
        if kind == "cgroup2":
            v2 = v2 or point
            continue
        for option in options.rsplit(" ", 1)[-1].split(","):
            if option in _CONTROLLERS or option.startswith("name="):
                v1.setdefault(option, point)
    return _hierarchies(v1, v2)


def _from_directory(base: Path) -> Hierarchies:
    """By names alone: `cpu,cpuacct`, links to it, `unified`; or the controllers' list of a v2 root."""
    if (base / "cgroup.controllers").exists():
        return Hierarchies(Layout.V2, v2=str(base))
    if not base.is_dir():
        return Hierarchies(Layout.NONE)
    v1: dict[str, str] = {}
    for entry in sorted(base.iterdir()):
        directory = entry.resolve()
        if directory.is_dir():
            for controller in entry.name.split(","):
                if controller in _CONTROLLERS:
                    v1.setdefault(controller, str(directory))
                elif controller == "systemd":
                    v1.setdefault("name=systemd", str(directory))
    unified = base / "unified"
    return _hierarchies(v1, str(unified) if (unified / "cgroup.controllers").exists() else "")


def _hierarchies(v1: dict[str, str], v2: str) -> Hierarchies:
    if any(not name.startswith("name=") for name in v1):
        return Hierarchies(Layout.HYBRID if v2 else Layout.V1, v1, v2)
    if v2:
        return Hierarchies(Layout.V2, v2=v2)
    return Hierarchies(Layout.NONE)
