"""A child that must not outlive its supervisor, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

from deckwatch.runtime.faults import Unusable

SUPERVISOR_VARIABLE = "DECKWATCH_SUPERVISOR"
"""Process id of the supervisor, set for its children: they die with it and write their log lines as JSON."""

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, kill -9 included.

    SIGKILL, since a clean stop is the supervisor's work; what is durable needs none. Raises Unusable where the parent
    is already gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise Unusable(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}; this needs Linux")
    if os.getppid() != parent_pid:  # it ended before prctl could tell
        raise Unusable(f"the supervisor (process {parent_pid}) is gone")
