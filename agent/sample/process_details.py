"""What is asked of the few processes that are shown: open descriptors, and how near they are to their limit.

By psutil, which knows the ways of /proc. Only for those: to ask it of every process would cost seven times what reading
/proc/<pid>/stat does.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

import msgspec
import psutil

MOST_PROCESSES = 64
"""Of one name. Beyond it nothing is asked: the figure of some of them would be wrong for their name."""


class Descriptors(msgspec.Struct, frozen=True):
    """Of all processes of a name: how many are open, and the greatest share of its soft limit that one of them uses.
    NaN where it can't be known."""

    open: float = nan
    worst_ratio: float = nan


UNKNOWN = Descriptors()


def descriptors(proc: str, pids: Iterable[int]) -> Descriptors:
    """What ended meanwhile is left out; other users' processes are for root alone to look into."""
    asked = tuple(pids)
    if not asked or len(asked) > MOST_PROCESSES:
        return UNKNOWN
    psutil.PROCFS_PATH = proc
    found: list[tuple[int, float]] = []
    for pid in asked:
        try:
            found.append(_of(proc, pid))
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            return UNKNOWN
    if not found:
        return UNKNOWN
    return Descriptors(sum(count for count, _ in found), max(ratio for _, ratio in found))


def _of(proc: str, pid: int) -> tuple[int, float]:
    process = psutil.Process(pid)
    count = process.num_fds()
    if proc != "/proc":
        return count, nan  # prlimit(2) takes numbers of our own namespace of processes
    soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    return count, count / soft if soft > 0 else nan
