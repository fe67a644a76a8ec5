"""The source `host`: CPUs, memory, load, disks, networks, pressure of the machine under node_exporter's names."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import partial

import psutil

from agent.sample import host_files
from agent.sample.host_files import Series, column
from agent.sample.kept import DescriptorPool, KeptFile
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings, pattern
from deckwatch.wire.model import Column, Samples, Target

_MEGABIT_BYTES = 125_000


class HostSource:
    """Each file fails alone: its series are absent, the others come."""

    name = "host"

    def __init__(
        self, settings: SampleSettings, host_root: str, host: str, pool: DescriptorPool, faults: Faults
    ) -> None:
        self._settings = settings
        self._host = host
        self._faults = faults
        self._own_root = host_root.rstrip("/") == ""
        proc = host_root.rstrip("/") + "/proc"
        disks = pattern(settings, "disks_exclude")
        self._interfaces_exclude = pattern(settings, "interfaces_exclude")
        # the first process's network is the host's, also where the agent has a network of its own
        net = proc + ("/1/net" if os.access(proc + "/1/net/dev", os.R_OK) else "/net")
        read = host_files
        parsers: list[tuple[str, Callable[[bytes], Series]]] = [
            (proc + "/stat", read.stat),
            (proc + "/meminfo", read.meminfo),
            (proc + "/loadavg", read.loadavg),
            (proc + "/vmstat", read.vmstat),
            (proc + "/diskstats", partial(read.diskstats, exclude=disks)),
            (net + "/dev", partial(read.net_dev, exclude=self._interfaces_exclude)),
            (net + "/snmp", read.netstat),
            (net + "/netstat", read.netstat),
            (net + "/sockstat", read.sockstat),
            (proc + "/pressure/cpu", partial(read.pressure, "cpu")),
            (proc + "/pressure/io", partial(read.pressure, "io")),
            (proc + "/pressure/memory", partial(read.pressure, "memory")),
            (proc + "/pressure/irq", partial(read.pressure, "irq")),  # kernel 6.1
            (proc + "/sys/fs/file-nr", read.file_nr),
            (proc + "/sys/kernel/random/entropy_avail", partial(read.single, "node_entropy_available_bits")),
            (proc + "/sys/net/netfilter/nf_conntrack_count", partial(read.single, "node_nf_conntrack_entries")),
            (proc + "/sys/net/netfilter/nf_conntrack_max", partial(read.single, "node_nf_conntrack_entries_limit")),
        ]
        self._files = [(KeptFile(path, pool), parse) for path, parse in parsers]
        self._slow: dict[Column, float] = {}
        self._look = -1

    def look(self, now_ns: int) -> Samples:
        self._look += 1
        if self._look % self._settings.slow_every == 0:
            self._slow = self._read_slowly()
            for file, _ in self._files:
                file.retry()
        series = {column("node_time_seconds"): now_ns / 1e9}
        for file, parse in self._files:
            try:
                text = file.read()
                if text:
                    series.update(parse(text))
            except (OSError, ValueError, IndexError) as error:
                self._faults.note(file.path, error)
        series |= self._slow
        target = Target((), 0, struct.pack(f"<{len(series)}d", *series.values()))
        return Samples(self.name, now_ns, self._settings.tenant, (tuple(series),), (target,))

    def close(self) -> None:
        for file, _ in self._files:
            file.close()

    def _read_slowly(self) -> dict[Column, float]:
        """What hardly changes. psutil asks the kernel for it with ioctl(2), so only about the namespace it runs in."""
        uname = os.uname()
        labels = (
            ("machine", uname.machine),
            ("nodename", self._host),
            ("release", uname.release),
            ("sysname", uname.sysname),
            ("version", uname.version),
        )
        series: dict[Column, float] = {Column("node_uname_info", labels): 1}
        if self._own_root:
            cores = psutil.cpu_count(logical=False)
            if cores:
                series[Column("machine_cpu_physical_cores")] = cores
            series |= self._interfaces()
        return series

    def _interfaces(self) -> dict[Column, float]:
        series: dict[Column, float] = {}
        try:
            interfaces = psutil.net_if_stats()
        except OSError as error:  # an interface that went between being listed and asked
            self._faults.note("network interfaces", error)
            return series
        for device, facts in interfaces.items():
            if not self._interfaces_exclude.search(device):
                labels = (("device", device),)
                series[Column("node_network_up", labels)] = float(facts.isup)
                series[Column("node_network_mtu_bytes", labels)] = facts.mtu
                if facts.speed > 0:  # 0: not known (virtual interfaces)
                    series[Column("node_network_speed_bytes", labels)] = facts.speed * _MEGABIT_BYTES
        return series
