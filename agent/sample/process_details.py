"""What is asked of the few processes that are shown: open descriptors, and how near they are to their limit.

By psutil, which knows the ways of /proc. Only for those: to ask it of every process would cost seven times what reading
/proc/<pid>/stat does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import msgspec
import psutil

ProcessKey = tuple[int, int]
"""Its number, and the ticks at which it began: numbers come again."""
MOST_PROCESSES = 64
"""Of one name. Beyond it nothing is asked: the figure of some of them would be wrong for their name."""


class Descriptors(msgspec.Struct, frozen=True):
    """Of all processes of a name: how many are open, and the greatest share of its soft limit that one of them uses.
    NaN where it can't be known."""

    open: float = nan
    worst_ratio: float = nan


UNKNOWN = Descriptors()


class Details:
    """Asks the same processes again at each look: psutil's objects are kept, since to make one costs as much as to
    ask it."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._known: dict[ProcessKey, psutil.Process] = {}

    def descriptors(self, names: Mapping[str, Sequence[ProcessKey]]) -> dict[str, Descriptors]:
        """Of the processes of each name; who is not named is forgotten."""
        psutil.PROCFS_PATH = self._proc
        before, self._known = self._known, {}
        return {name: self._of_name(keys, before) for name, keys in names.items()}

    def _of_name(self, keys: Sequence[ProcessKey], before: Mapping[ProcessKey, psutil.Process]) -> Descriptors:
        """What ended meanwhile is left out; other users' processes are for root alone to look into."""
        if len(keys) > MOST_PROCESSES:
            return UNKNOWN
        found: list[tuple[int, float]] = []
        for key in keys:
            try:
                process = self._known[key] = before.get(key) or psutil.Process(key[0])
                found.append(self._of(process))
            except psutil.NoSuchProcess:
                continue
            except (psutil.Error, OSError):
                return UNKNOWN
        if not found:
            return UNKNOWN
        return Descriptors(sum(count for count, _ in found), max(ratio for _, ratio in found))

    def _of(self, process: psutil.Process) -> tuple[int, float]:
        count = process.num_fds()
        if self._proc != "/proc":
            return count, nan  # prlimit(2) takes numbers of our own namespace of processes
        soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
        return count, count / soft if soft > 0 else nan
