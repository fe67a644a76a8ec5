"""The host's /proc files as series of node_exporter's names. Pure: text in, series out.

psutil reads the same files, but each again for every figure, without the fields that it has no name for, and only
those of its own root; here each is read once, below any root, recordings included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache

from agent.sample import flat
from deckwatch.wire.host_catalogue import MEMINFO_BYTES, MEMINFO_COUNTS, VMSTAT
from deckwatch.wire.model import Column, Labels

Series = Iterator[tuple[Column, float]]

_TICKS = os.sysconf("SC_CLK_TCK")
_SECTOR_BYTES = 512  # of /proc/diskstats, whatever the device's own are


@lru_cache(maxsize=8192)
def column(name: str, labels: Labels = ()) -> Column:
    return Column(name, labels)


# /proc/stat -----------------------------------------------------------------------------------------------------

_CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_GUEST_MODES = ("user", "nice")
_STAT = {
    b"ctxt": "node_context_switches_total",
    b"btime": "node_boot_time_seconds",
    b"processes": "node_forks_total",
    b"procs_running": "node_procs_running",
    b"procs_blocked": "node_procs_blocked",
    b"intr": "node_intr_total",
}


def stat(text: bytes) -> Series:
    cores = 0
    for line in text.splitlines():
        key, _, rest = line.partition(b" ")
        if key in _STAT:
            yield column(_STAT[key]), int(rest.split(None, 1)[0])
        elif key[:3] == b"cpu" and len(key) > 3:
            cores += 1
            cpu = key[3:].decode()
            ticks = list(map(int, rest.split()))
            for mode, value in zip(_CPU_MODES, ticks, strict=False):
                yield column("node_cpu_seconds_total", (("cpu", cpu), ("mode", mode))), value / _TICKS
            for mode, value in zip(_GUEST_MODES, ticks[8:10], strict=False):
                yield column("node_cpu_guest_seconds_total", (("cpu", cpu), ("mode", mode))), value / _TICKS
    if cores:
        yield column("machine_cpu_cores"), cores


# /proc/meminfo, vmstat, loadavg, pressure ------------------------------------------------------------------------

_MEMINFO = {
    name.encode(): (f"node_memory_{name.replace('(', '_').replace(')', '')}_bytes", 1024) for name in MEMINFO_BYTES
} | {name.encode(): (f"node_memory_{name}", 1) for name in MEMINFO_COUNTS}
_MEMINFO |= {
    b"Active(anon)": _MEMINFO[b"Active_anon"],
    b"Active(file)": _MEMINFO[b"Active_file"],
    b"Inactive(anon)": _MEMINFO[b"Inactive_anon"],
    b"Inactive(file)": _MEMINFO[b"Inactive_file"],
}
_MACHINE = {b"MemTotal": "machine_memory_bytes", b"SwapTotal": "machine_swap_bytes"}


def meminfo(text: bytes) -> Series:
    for line in text.splitlines():
        name, _, rest = line.partition(b":")
        known = _MEMINFO.get(name)
        if known is not None:
            value = int(rest.split(None, 1)[0]) * known[1]
            yield column(known[0]), value
            if name in _MACHINE:
                yield column(_MACHINE[name]), value


_VMSTAT = flat.Keyed(*VMSTAT)


def vmstat(text: bytes) -> Series:
    for name, value in zip(VMSTAT, _VMSTAT.pick(text), strict=True):
        if value is not None:
            yield column(f"node_vmstat_{name}"), value


def loadavg(text: bytes) -> Series:
    for name, value in zip(("node_load1", "node_load5", "node_load15"), text.split(), strict=False):
        yield column(name), float(value)


def pressure(resource: str, text: bytes) -> Series:
    """Of the host, `full` of cpu means nothing (the kernel gives 0), and irq has only `full`."""
    some, full = flat.pressure(text)
    if some is not None:
        yield column(f"node_pressure_{resource}_waiting_seconds_total"), some / 1e6
    if full is not None and resource != "cpu":
        yield column(f"node_pressure_{resource}_stalled_seconds_total"), full / 1e6


# /proc/diskstats (Documentation/admin-guide/iostats.rst) -----------------------------------------------------------

_DISK: tuple[tuple[str, float, float], ...] = (
    # name, factor, divisor; in the order of the file's fields behind the device's name
    ("node_disk_reads_completed_total", 1, 1),
    ("node_disk_reads_merged_total", 1, 1),
    ("node_disk_read_bytes_total", _SECTOR_BYTES, 1),
    ("node_disk_read_time_seconds_total", 1, 1000),
    ("node_disk_writes_completed_total", 1, 1),
    ("node_disk_writes_merged_total", 1, 1),
    ("node_disk_written_bytes_total", _SECTOR_BYTES, 1),
    ("node_disk_write_time_seconds_total", 1, 1000),
    ("node_disk_io_now", 1, 1),
    ("node_disk_io_time_seconds_total", 1, 1000),
    ("node_disk_io_time_weighted_seconds_total", 1, 1000),
    ("node_disk_discards_completed_total", 1, 1),
    ("node_disk_discards_merged_total", 1, 1),
    ("node_disk_discarded_sectors_total", 1, 1),
    ("node_disk_discard_time_seconds_total", 1, 1000),
    ("node_disk_flush_requests_total", 1, 1),
    ("node_disk_flush_requests_time_seconds_total", 1, 1000),
)


def diskstats(text: bytes, exclude: re.Pattern[str]) -> Series:
    """Older kernels have 11 or 15 fields behind the name; those that are missing are absent."""
    for line in text.splitlines():
        _, _, name, *numbers = line.split()
        device = name.decode()
        if exclude.search(device):
            continue
        labels = (("device", device),)
        for (metric, factor, divisor), value in zip(_DISK, numbers, strict=False):
            yield column(metric, labels), int(value) * factor / divisor


# /proc/schedstat, /proc/mdstat -----------------------------------------------------------------------------------


def schedstat(text: bytes) -> Series:
    """Documentation/scheduler/sched-stats.rst: the last three of a CPU's nine fields, the first two in nanoseconds."""
    for line in text.splitlines():
        key, *fields = line.split()
        if key[:3] == b"cpu" and len(fields) >= 9:
            labels = (("cpu", key[3:].decode()),)
            yield column("node_schedstat_running_seconds_total", labels), int(fields[6]) / 1e9
            yield column("node_schedstat_waiting_seconds_total", labels), int(fields[7]) / 1e9
            yield column("node_schedstat_timeslices_total", labels), int(fields[8])


_MD_ARRAY = re.compile(r"^(\S+) : (active|inactive)(?: \(\S+\))*(.*)$", re.MULTILINE)
_MD_DISKS = re.compile(r"^\s+(\d+) blocks.*?(?:\[(\d+)/(\d+)\])?(?: \[[U_]+\])?\s*$", re.MULTILINE)
_MD_SYNC = re.compile(r"(recovery|resync|reshape|check)\s*=\s*(?:\S+%\s*\((\d+)/\d+\)|\S+)")
_MD_STATES = {"recovery": "recovering", "resync": "resync", "reshape": "reshaping", "check": "check"}


def mdstat(text: bytes) -> Series:
    """Arrays of md(4): `md0 : active raid1 sdb1[1] sda1[0](F)`, then `104320 blocks [2/1] [_U]`, then what runs.

    An array without redundancy has no [2/1]: it needs all of its members."""
    told = text.decode(errors="replace")
    arrays = list(_MD_ARRAY.finditer(told))
    ends = [following.start() for following in arrays[1:]] + [len(told)]
    for array, end in zip(arrays, ends, strict=False):
        yield from _md_array(array[1], array[2], array[3], told[array.end() : end])


def _md_array(device: str, state: str, members: str, body: str) -> Series:
    failed, spare = members.count("(F)"), members.count("(S)")
    sizes, sync = _MD_DISKS.search(body), _MD_SYNC.search(body)
    blocks = int(sizes[1]) if sizes else 0
    whole = members.count("[") - failed - spare
    required, active = (int(sizes[2]), int(sizes[3])) if sizes and sizes[2] else (whole, whole)
    if state == "inactive":
        active = 0
    here = (("device", device),)
    for kind, count in (("active", active), ("failed", failed), ("spare", spare)):
        yield column("node_md_disks", (*here, ("state", kind))), count
    yield column("node_md_disks_required", here), required
    now = _MD_STATES[sync[1]] if sync else state
    for kind in ("active", "inactive", *_MD_STATES.values()):
        yield column("node_md_state", (*here, ("state", kind))), float(kind == now)
    yield column("node_md_blocks", here), blocks
    yield column("node_md_blocks_synced", here), int(sync[2] or 0) if sync else blocks


# Single numbers ----------------------------------------------------------------------------------------------------


def file_nr(text: bytes) -> Series:
    """/proc/sys/fs/file-nr: allocated, free (0 since 2.6), maximum."""
    allocated, _, maximum = text.split()
    yield column("node_filefd_allocated"), int(allocated)
    yield column("node_filefd_maximum"), int(maximum)


def single(name: str, text: bytes) -> Series:
    yield column(name), int(text)
