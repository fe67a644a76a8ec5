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
from agent.sample.network import parse_net_dev
from deckwatch.wire.metrics_catalogue import MEMINFO_BYTES, MEMINFO_COUNTS, NETSTAT, SOCKSTAT, VMSTAT
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


# /proc/net -------------------------------------------------------------------------------------------------------

_NET_DEV = (
    *("receive_bytes", "receive_packets", "receive_errs", "receive_drop", "receive_fifo", "receive_frame"),
    *("receive_compressed", "receive_multicast", "transmit_bytes", "transmit_packets", "transmit_errs"),
    *("transmit_drop", "transmit_fifo", "transmit_colls", "transmit_carrier", "transmit_compressed"),
)
_NET_DEV_NAMES = tuple(f"node_network_{name}_total" for name in _NET_DEV)


def net_dev(text: bytes, exclude: re.Pattern[str]) -> Series:
    for device, numbers in parse_net_dev(text).items():
        if not exclude.search(device):
            labels = (("device", device),)
            for name, value in zip(_NET_DEV_NAMES, numbers, strict=False):
                yield column(name, labels), value


_NETSTAT = frozenset(NETSTAT)
_SOCKSTAT = frozenset(SOCKSTAT)


def netstat(text: bytes) -> Series:
    """/proc/net/snmp and /proc/net/netstat: lines in pairs, `Tcp: names` and `Tcp: values`."""
    lines = text.decode().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group, *fields = names.split()
        for field, value in zip(fields, values.split()[1:], strict=False):
            name = f"{group[:-1]}_{field}"
            if name in _NETSTAT:
                yield column(f"node_netstat_{name}"), int(value)


def sockstat(text: bytes) -> Series:
    """/proc/net/sockstat: `TCP: inuse 5 orphan 0 ...`; mem is in pages."""
    for line in text.decode().splitlines():
        group, *fields = line.split()
        for field, value in zip(fields[::2], fields[1::2], strict=False):
            name = f"{group[:-1]}_{field}"
            if name in _SOCKSTAT:
                yield column(f"node_sockstat_{name}"), int(value)


# Single numbers ----------------------------------------------------------------------------------------------------


def file_nr(text: bytes) -> Series:
    """/proc/sys/fs/file-nr: allocated, free (0 since 2.6), maximum."""
    allocated, _, maximum = text.split()
    yield column("node_filefd_allocated"), int(allocated)
    yield column("node_filefd_maximum"), int(maximum)


def single(name: str, text: bytes) -> Series:
    yield column(name), int(text)
