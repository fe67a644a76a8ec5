"""Which container cgroups there are: the tree of one hierarchy, walked cheaply.

A look costs one stat(2) a directory. The number of a directory's links tells how many children it has (kernfs keeps
it current; it does not keep mtime), so only directories whose number changed are listed again. One child gone and
another come between two looks leaves the number as it was: a full walk, now and then and whenever the inventory
changed, finds those.
"""

from __future__ import annotations

import os

import msgspec

from agent.sample.attribution import GroupIdentity, GroupKind, identify
from agent.sample.kept import GONE
from agent.sample.metrics import Faults

_DEPTH = 24
"""Below this nothing is looked for: the kernel's own limit is none, and a cycle can't be."""


class _Directory:
    __slots__ = ("children", "links")

    def __init__(self, links: int, children: frozenset[str]) -> None:
        self.links = links
        self.children = children


class TreeChange(msgspec.Struct, frozen=True):
    """What one look found different from the one before."""

    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


class CgroupTree:
    """`groups` by path below `root`. Not for use by two threads at once."""

    def __init__(self, root: str, kinds: frozenset[GroupKind], faults: Faults) -> None:
        self.root = root
        self._kinds = kinds
        self._faults = faults
        self._known: dict[str, _Directory] = {}
        self.groups: dict[str, GroupIdentity] = {}
        self.fresh: frozenset[str] = frozenset()
        """Directories that the last look saw and the one before did not."""

    def __contains__(self, path: object) -> bool:
        return path in self._known

    def children(self, path: str) -> frozenset[str]:
        """Names of the directories in it, as of the last look."""
        known = self._known.get(path)
        return frozenset() if known is None else known.children

    def look(self, *, fully: bool) -> TreeChange:
        """Raises OSError where the root itself can't be read."""
        before = set(self._known)
        seen: set[str] = set()
        self._visit("", fully, seen, 0)
        for path in before - seen:
            del self._known[path]
        self.fresh = frozenset(seen - before)
        appeared = self._attribute(self.fresh)
        vanished = tuple(path for path in before - seen if self.groups.pop(path, None) is not None)
        return TreeChange(appeared, vanished)

    def _visit(self, path: str, fully: bool, seen: set[str], depth: int) -> None:
        full = self.root + path
        known = self._known.get(path)
        try:
            links = os.stat(full).st_nlink  # noqa: PTH116 - once a directory and look: a Path costs more than the call
            if known is None or fully or links != known.links or links < 2:  # < 2: a file system that doesn't count
                known = _Directory(links, _children(full))
                self._known[path] = known
        except OSError as error:
            if not path:
                raise
            if error.errno not in GONE:  # else it went between its parent's listing and now
                self._faults.note(full, error)
            return
        seen.add(path)
        if depth < _DEPTH:
            for name in known.children:
                self._visit(f"{path}/{name}", fully, seen, depth + 1)

    def _attribute(self, paths: frozenset[str]) -> tuple[str, ...]:
        """Of nested groups of one container (Podman's `container` below its scope) the outermost stands for it."""
        appeared = []
        for path in sorted(paths, key=len):
            identity = identify(path)
            if identity is None or identity.kind not in self._kinds:
                continue
            if any(inside(path, other) and self._same(identity, other) for other in _ancestors(path)):
                continue
            self.groups[path] = identity
            appeared.append(path)
        return tuple(appeared)

    def _same(self, identity: GroupIdentity, ancestor: str) -> bool:
        outer = self.groups.get(ancestor)
        if outer is None:
            return False
        # a unit below a container is that container's own affair (systemd inside)
        return outer.id == identity.id or identity.kind is GroupKind.UNIT


def inside(path: str, other: str) -> bool:
    return path.startswith(other + "/")


def _ancestors(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts))]


def _children(full: str) -> frozenset[str]:
    with os.scandir(full) as entries:
        return frozenset(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
