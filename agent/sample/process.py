"""When the host and a process began, from /proc."""

from __future__ import annotations

import os

from agent.sample.kept import read_once

_TICKS = os.sysconf("SC_CLK_TCK")


def boot_time_s(proc: str) -> float | None:
    """`btime` of /proc/stat in Unix seconds."""
    text = read_once(proc + "/stat")
    if text is None:
        return None
    _, found, rest = text.partition(b"\nbtime ")
    return float(rest.split(None, 1)[0]) if found else None


def start_time_s(proc: str, pid: int, boot_s: float) -> float | None:
    """Field 22 of /proc/<pid>/stat, in ticks since the boot. The name in brackets, field 2, may hold anything."""
    try:
        text = read_once(f"{proc}/{pid}/stat")
    except PermissionError:
        return None  # /proc mounted with hidepid: not for us to know
    if text is None:
        return None
    fields = text[text.rfind(b")") + 2 :].split()
    return boot_s + int(fields[19]) / _TICKS if len(fields) > 19 else None
