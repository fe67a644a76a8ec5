"""The counters of one workload on this host. They only grow, whatever becomes of its containers."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from agent.sample.workload.key import WorkloadKey


class ExitReason(StrEnum):
    COMPLETED = "completed"  # exit code 0
    ERROR = "error"  # any other code that the program chose
    SIGNAL = "signal"  # code 128 + n: ended by signal n; 143 and 137 are those of a stop
    OOM_KILLED = "oom_killed"
    UNKNOWN = "unknown"  # nobody saw it: the agent was down, or the engine told nothing


def exit_reason(exit_code: int | None, *, out_of_memory: bool) -> ExitReason:
    """`out_of_memory`: the kernel killed something in this run; the main process, if SIGKILL (137) ended it."""
    if exit_code is None:
        return ExitReason.UNKNOWN
    if exit_code == 0:
        return ExitReason.COMPLETED
    if exit_code == 137 and out_of_memory:
        return ExitReason.OOM_KILLED
    return ExitReason.SIGNAL if 128 < exit_code < 128 + 65 else ExitReason.ERROR


class Totals(msgspec.Struct, kw_only=True):
    """None: the kernel has told nothing of the kind for any of its containers yet."""

    key: WorkloadKey
    active_ns: int = 0  # when it was last seen to have a container, or to have had one
    cpu_ns: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    oom_kills: int = 0
    starts: int = 0
    restarts: int = 0
    exits: dict[ExitReason, int] = {}
    run_ns: int = 0  # of the runs that have ended, from start to end


COUNTED = ("cpu_ns", "read_bytes", "written_bytes")
"""What a container's cgroup counts: fields of GroupLook and Totals alike."""


def grow(totals: Totals, field: str, by: int) -> None:
    setattr(totals, field, (getattr(totals, field) or 0) + by)
