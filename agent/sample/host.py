"""The source `host`: CPUs, memory, load, disks, networks, pressure of the machine under node_exporter's names."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from functools import partial

from agent.sample import host_files, host_net
from agent.sample.host_files import Series, column
from agent.sample.kept import DescriptorPool, KeptFile
from agent.sample.metrics import Faults
from agent.sample.settings import SampleSettings, pattern
from agent.sample.timex import timex
from deckwatch.wire.model import Column, Samples, Target


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
        interfaces = pattern(settings, "interfaces_exclude")
        # the first process's network is the host's, also where the agent has a network of its own
        net = proc + ("/1/net" if os.access(proc + "/1/net/dev", os.R_OK) else "/net")
        read, net_read = host_files, host_net
        parsers: list[tuple[str, Callable[[bytes], Series]]] = [
            (proc + "/stat", read.stat),
            (proc + "/meminfo", read.meminfo),
            (proc + "/loadavg", read.loadavg),
            (proc + "/vmstat", read.vmstat),
            (proc + "/diskstats", partial(read.diskstats, exclude=disks)),
            (proc + "/schedstat", read.schedstat),
            (proc + "/mdstat", read.mdstat),
            (net + "/dev", partial(net_read.net_dev, exclude=interfaces)),
            (net + "/snmp", net_read.netstat),
            (net + "/netstat", net_read.netstat),
            (net + "/snmp6", net_read.snmp6),
            (net + "/sockstat", net_read.sockstat),
            (net + "/sockstat6", net_read.sockstat),
            (net + "/softnet_stat", net_read.softnet),
            (net + "/arp", net_read.arp),
            (net + "/stat/nf_conntrack", net_read.conntrack_stat),
            (net + "/ip_vs_stats", net_read.ipvs),
            (net + "/udp", partial(net_read.udp_queues, "v4")),
            (net + "/udp6", partial(net_read.udp_queues, "v6")),
            (proc + "/pressure/cpu", partial(read.pressure, "cpu")),
            (proc + "/pressure/io", partial(read.pressure, "io")),
            (proc + "/pressure/memory", partial(read.pressure, "memory")),
            (proc + "/pressure/irq", partial(read.pressure, "irq")),  # kernel 6.1
            (proc + "/sys/fs/file-nr", read.file_nr),
            (proc + "/sys/kernel/random/entropy_avail", partial(read.single, "node_entropy_available_bits")),
            (proc + "/sys/kernel/random/poolsize", partial(read.single, "node_entropy_pool_size_bits")),
            (proc + "/sys/kernel/hung_task_detect_count", partial(read.single, "node_kernel_hung_tasks_total")),
            (proc + "/sys/net/netfilter/nf_conntrack_count", partial(read.single, "node_nf_conntrack_entries")),
            (proc + "/sys/net/netfilter/nf_conntrack_max", partial(read.single, "node_nf_conntrack_entries_limit")),
        ]
        self._files = [(KeptFile(path, pool), parse) for path, parse in parsers]
        self._domain = KeptFile(proc + "/sys/kernel/domainname", pool)
        self._look = -1

    def look(self, now_ns: int) -> Samples:
        self._look += 1
        if self._look % self._settings.slow_every == 0:
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
        self._ask_kernel(series)
        target = Target((), 0, struct.pack(f"<{len(series)}d", *series.values()))
        return Samples(self.name, now_ns, self._settings.tenant, (tuple(series),), (target,))

    def close(self) -> None:
        for file, _ in self._files:
            file.close()
        self._domain.close()

    def _ask_kernel(self, series: dict[Column, float]) -> None:
        """What no file tells: of this kernel, which is the host's, and of this process's time zone."""
        uname = os.uname()
        domain = (self._domain.read() or b"").decode(errors="replace").strip()
        labels = (
            *((("domainname", domain),) if domain else ()),
            ("machine", uname.machine),
            ("nodename", self._host),
            ("release", uname.release),
            ("sysname", uname.sysname),
            ("version", uname.version),
        )
        series[column("node_uname_info", labels)] = 1
        try:
            series.update(timex())
        except OSError as error:
            self._faults.note("the kernel's clock", error)
        if self._own_root:
            here = time.localtime()
            series[column("node_time_zone_offset_seconds", (("time_zone", here.tm_zone),))] = here.tm_gmtoff
