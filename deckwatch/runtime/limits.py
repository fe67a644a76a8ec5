"""What the system lets a daemon have."""

from __future__ import annotations

import ctypes
import logging
import resource

log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # mallopt(3), glibc's malloc.h


def raise_file_limit() -> None:
    """As many open files as may be: the soft limit that a service starts with is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("at most %d files can be held open: %s", soft, error)


def use_one_heap() -> None:
    """Before threads start. glibc gives each thread a heap of its own, which keeps what was freed in it: in an agent
    that was killed and started behind a backlog, some MiB for nothing. Other C libraries have one anyway."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
