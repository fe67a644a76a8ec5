"""The host's files below /proc/net as series of node_exporter's names. Pure: text in, series out."""

from __future__ import annotations

import os
import re
from collections import Counter

from agent.sample.host_files import Series, column
from agent.sample.network import parse_net_dev
from deckwatch.wire.host_catalogue import CONNTRACK_STAT, NETSTAT, SOCKSTAT

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

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


def snmp6(text: bytes) -> Series:
    """/proc/net/snmp6: `Ip6InOctets 128` a line."""
    for line in text.decode().splitlines():
        key, _, value = line.partition(" ")
        group, six, field = key.strip().partition("6")
        name = f"{group}{six}_{field}"
        if name in _NETSTAT:
            yield column(f"node_netstat_{name}"), int(value)


def sockstat(text: bytes) -> Series:
    """/proc/net/sockstat and sockstat6: `TCP: inuse 5 orphan 0 ...`; mem is in pages."""
    for line in text.decode().splitlines():
        group, *fields = line.split()
        for field, value in zip(fields[::2], fields[1::2], strict=False):
            name = f"{group[:-1]}_{field}"
            if name in _SOCKSTAT:
                yield column(f"node_sockstat_{name}"), int(value)
                if field == "mem":
                    yield column(f"node_sockstat_{name}_bytes"), int(value) * _PAGE_BYTES


_SOFTNET = ("node_softnet_processed_total", "node_softnet_dropped_total", "node_softnet_times_squeezed_total")
_SOFTNET_CPU = 12


def softnet(text: bytes) -> Series:
    """/proc/net/softnet_stat: a line of hexadecimal numbers a CPU that is online; since 5.10 the 13th is its number."""
    for number, line in enumerate(text.splitlines()):
        fields = line.split()
        cpu = int(fields[_SOFTNET_CPU], 16) if len(fields) > _SOFTNET_CPU else number
        for name, value in zip(_SOFTNET, fields, strict=False):
            yield column(name, (("cpu", str(cpu)),)), int(value, 16)


def arp(text: bytes) -> Series:
    """/proc/net/arp: a line of titles, then an entry a line, the device at its end."""
    entries = Counter(line.split()[-1].decode() for line in text.splitlines()[1:] if line)
    for device, count in entries.items():
        yield column("node_arp_entries", (("device", device),)), count


def conntrack_stat(text: bytes) -> Series:
    """/proc/net/stat/nf_conntrack: a line of names, then one of hexadecimal numbers a CPU, summed here."""
    names, *cpus = (line.split() for line in text.decode().splitlines())
    for name, *values in zip(names, *cpus, strict=False):
        if name in CONNTRACK_STAT:
            yield column(f"node_nf_conntrack_stat_{name}"), sum(int(value, 16) for value in values)


def udp_queues(ip: str, text: bytes) -> Series:
    """/proc/net/udp and udp6: bytes that wait in sockets' queues, `tx:rx` in hexadecimal, summed."""
    waiting = [0, 0]
    for line in text.splitlines()[1:]:
        for place, size in enumerate(line.split(None, 5)[4].split(b":")):
            waiting[place] += int(size, 16)
    for queue, total in zip(("tx", "rx"), waiting, strict=True):
        yield column("node_udp_queues", (("ip", ip), ("queue", queue))), total


_IPVS = (
    "node_ipvs_connections_total",
    "node_ipvs_incoming_packets_total",
    "node_ipvs_outgoing_packets_total",
    "node_ipvs_incoming_bytes_total",
    "node_ipvs_outgoing_bytes_total",
)


def ipvs(text: bytes) -> Series:
    """/proc/net/ip_vs_stats: two lines of titles, then the totals in hexadecimal. It is there only with ip_vs."""
    for name, value in zip(_IPVS, text.splitlines()[2].split(), strict=True):
        yield column(name), int(value, 16)
