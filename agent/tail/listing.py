"""Rotated files of a log: names under a glob, from listings that are shared by all logs of a folder."""

# ruff: noqa: PTH116, PTH118, PTH120, PTH207, PTH208
# Paths are plain strings here: thousands of them are looked at every few seconds.
from __future__ import annotations

import fnmatch
import glob
import os
import re
import time
from bisect import bisect_left

import msgspec

_WILD = re.compile(r"[*?\[]")
_FRESH_NS = 100_000_000
"""A folder changed so recently may change again within one tick of the file system's clock."""


class Found(msgspec.Struct, frozen=True):
    path: str
    stat: os.stat_result


class Listings:
    """What a folder holds is read once for all of its logs that are looked at in one round."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[int, list[str]]] = {}  # folder -> its mtime, sorted names

    def forget(self) -> None:
        """After a round of looks: the names of thousands of files are not kept for the next one."""
        self._names.clear()

    def changed_ns(self, pattern: str) -> int:
        """When the folder of a pattern last got or lost a name; -1 where that can't be told."""
        folder = os.path.dirname(pattern)
        if not pattern or _WILD.search(folder):
            return -1
        try:
            return os.stat(folder).st_mtime_ns
        except OSError:
            return -1

    def rotated(self, pattern: str, live: str) -> list[Found]:
        """Files under the glob but for the live one, the oldest first. Half-written `.tmp` files are left out."""
        found = []
        for path in self._paths(pattern) if pattern else ():
            if path == live or path.endswith(".tmp"):
                continue
            try:
                found.append(Found(path, os.stat(path)))
            except OSError:
                continue  # rotated away between listing and look
        return sorted(found, key=lambda one: one.stat.st_mtime_ns)

    def _paths(self, pattern: str) -> list[str]:
        folder, name = os.path.split(pattern)
        if _WILD.search(folder):
            return glob.glob(pattern)
        names = self._listed(folder)
        prefix = _WILD.split(name, maxsplit=1)[0]
        at = bisect_left(names, prefix)
        alike = []
        while at < len(names) and names[at].startswith(prefix):
            alike.append(names[at])
            at += 1
        if not alike:  # as with most of thousands of logs: to compile a pattern for each would take most of a look
            return []
        matches = re.compile(fnmatch.translate(name)).match
        return [os.path.join(folder, one) for one in alike if matches(one)]

    def _listed(self, folder: str) -> list[str]:
        try:
            changed_ns = os.stat(folder).st_mtime_ns
            kept = self._names.get(folder)
            if kept and kept[0] == changed_ns:
                return kept[1]
            names = sorted(os.listdir(folder))
        except OSError:
            self._names.pop(folder, None)
            return []
        if time.time_ns() - changed_ns > _FRESH_NS:
            self._names[folder] = (changed_ns, names)
        return names
