"""Targets by address, and from files that are read again when they change."""

from __future__ import annotations

import asyncio
import glob
from collections.abc import Iterable
from pathlib import Path

from agent.scrape.find.discovery import Look
from agent.scrape.find.groups import TargetGroup, group_targets, read_groups
from agent.scrape.settings import FileSd, StaticConfig
from agent.scrape.target import Found
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Reject

_NEVER_S = 86_400.0


class StaticTargets:
    name = "static"
    interval_s = _NEVER_S

    def __init__(self, configs: Iterable[StaticConfig]) -> None:
        self._found = [
            found for config in configs for found in group_targets(TargetGroup(config.targets, {**config.labels}))
        ]

    async def look(self) -> Look:
        return Look(self._found)

    async def close(self) -> None:
        return


class FileTargets:
    """A file is read when its size, time or inode is another. What a broken file said before it broke stays."""

    name = "file"

    def __init__(self, config: FileSd) -> None:
        self.interval_s = duration_s(config.refresh_interval) or 5.0
        self._globs = config.files
        self._read: dict[str, tuple[tuple[int, int, int], list[Found]]] = {}

    async def look(self) -> Look:
        return await asyncio.to_thread(self._look)

    async def close(self) -> None:
        return

    def _look(self) -> Look:
        paths = sorted({path for pattern in self._globs for path in glob.glob(pattern, recursive=True)})  # noqa: PTH207
        faults = []
        for path in paths:
            try:
                self._look_at(path)
            except FileNotFoundError:
                self._read.pop(path, None)
            except (OSError, Reject) as error:
                faults.append(str(error))
        for gone in self._read.keys() - set(paths):
            del self._read[gone]
        return Look([found for path in sorted(self._read) for found in self._read[path][1]], "; ".join(faults))

    def _look_at(self, path: str) -> None:
        about = Path(path).stat()
        mark = (about.st_mtime_ns, about.st_size, about.st_ino)
        known = self._read.get(path)
        if known is None or known[0] != mark:
            self._read[path] = (mark, read_groups(Path(path).read_bytes(), json=path.endswith(".json"), path=path))
