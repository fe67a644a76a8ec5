"""Paths of the host, seen from where the agent runs: in a container the host's root is mounted at /host.

`outer` paths are the host's own (`/var/lib/docker/...`, as the engine says them); `inner` paths are what we open.
"""

from __future__ import annotations

import os
from collections import deque

MOST_LINKS = 40
"""As in the kernel (path_resolution(7)): beyond that it is a loop."""


class HostPaths:
    def __init__(self, host_root: str) -> None:
        self._root = host_root.rstrip("/")

    def inner(self, outer: str) -> str:
        return self._root + outer

    def outer(self, inner: str) -> str:
        if self._root and (inner == self._root or inner.startswith(f"{self._root}/")):
            return inner[len(self._root) :] or "/"
        return inner

    def real(self, inner: str) -> str:
        """The real path, as an inner one. Links are followed as the host would: an absolute one begins at the
        host's root, not at ours. What does not exist is kept as it is (a log may appear later)."""
        if not self._root:
            return os.path.realpath(inner)
        return self._root + self._real_below(self.outer(inner))

    def _real_below(self, outer: str) -> str:
        done: list[str] = []
        todo = deque(outer.split("/"))
        links = 0
        while todo:
            part = todo.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            target = self._link(done, part) if links < MOST_LINKS else None
            if target is None:
                done.append(part)
                continue
            links += 1
            if target.startswith("/"):
                done.clear()
            todo.extendleft(reversed(target.split("/")))
        return "/" + "/".join(done)

    def _link(self, done: list[str], part: str) -> str | None:
        try:
            return os.readlink("/".join((self._root, *done, part)))  # noqa: PTH115 - a text, as it stands there
        except OSError:  # no link, or nothing there: the part stands for itself
            return None
