"""Host figures: recorded /proc files against their own text, names against a real node_exporter, and this machine."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import psutil
import pytest

from agent.sample import host_files, host_net
from agent.sample.host import HostSource
from agent.sample.kept import DescriptorPool
from agent.sample.settings import SampleSettings
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Labels
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import NotedFaults, Series, StrictFaults, series_of
from tests.recordings.unpack import HERE

REFERENCE = Path(__file__).parents[4] / "shared/reference/node_metrics.tsv"


def taken(series: host_files.Series) -> Series:
    return {(column.name, column.labels): value for column, value in series}


def host(root: str) -> Series:
    source = HostSource(SampleSettings(), root, "node-1", DescriptorPool(), StrictFaults())
    try:
        frame = source.look(1_700_000_000_500_000_000)
    finally:
        source.close()
    return series_of(frame)[()]


@pytest.mark.parametrize(
    ("series", "want"),
    [
        (
            host_files.stat(b"cpu  9 9\ncpu0 100 1 200 300 4 0 5 6 7 8\nintr 42 1 2\nbtime 1700\n"),
            {
                ("node_cpu_seconds_total", (("cpu", "0"), ("mode", "user"))): 1.0,
                ("node_cpu_seconds_total", (("cpu", "0"), ("mode", "steal"))): 0.06,
                ("node_cpu_guest_seconds_total", (("cpu", "0"), ("mode", "nice"))): 0.08,
                ("node_intr_total", ()): 42,
                ("node_boot_time_seconds", ()): 1700,
                ("machine_cpu_cores", ()): 1,
            },
        ),
        (
            host_files.meminfo(b"MemTotal: 2 kB\nActive(anon): 3 kB\nHugePages_Total: 4\nSwapTotal: 5 kB\nNew: 6 kB\n"),
            {
                ("node_memory_MemTotal_bytes", ()): 2048,
                ("machine_memory_bytes", ()): 2048,
                ("node_memory_Active_anon_bytes", ()): 3072,
                ("node_memory_HugePages_Total", ()): 4,
                ("node_memory_SwapTotal_bytes", ()): 5120,
                ("machine_swap_bytes", ()): 5120,
            },
        ),
        (host_files.vmstat(b"nr_free 1\npgfault 2\noom_kill 3\n"), {("node_vmstat_oom_kill", ()): 3}),
        (host_files.loadavg(b"0.50 0.25 0.10 1/234 567\n"), {("node_load15", ()): 0.1, ("node_load1", ()): 0.5}),
        (
            host_files.pressure("io", b"some avg10=0 avg60=0 avg300=0 total=2000000\nfull a=0 b=0 c=0 total=5\n"),
            {
                ("node_pressure_io_waiting_seconds_total", ()): 2.0,
                ("node_pressure_io_stalled_seconds_total", ()): 5e-6,
            },
        ),
        (
            host_files.pressure("irq", b"full avg10=0 avg60=0 avg300=0 total=7\n"),
            {("node_pressure_irq_stalled_seconds_total", ()): 7e-6},
        ),
        (
            host_files.diskstats(b" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n 7 0 loop0 1 1\n", re.compile("^loop")),
            {
                ("node_disk_read_bytes_total", (("device", "sda"),)): 3 * 512,
                ("node_disk_read_time_seconds_total", (("device", "sda"),)): 0.004,
                ("node_disk_io_time_weighted_seconds_total", (("device", "sda"),)): 0.011,
            },
        ),
        (
            host_net.netstat(b"Tcp: RtoAlgorithm ActiveOpens\nTcp: 1 42\nIcmp: InErrors\nIcmp: 3\n"),
            {("node_netstat_Tcp_ActiveOpens", ()): 42, ("node_netstat_Icmp_InErrors", ()): 3},
        ),
        (
            host_net.sockstat(b"sockets: used 290\nTCP: inuse 5 orphan 0 tw 1 alloc 7 mem 2\n"),
            {("node_sockstat_sockets_used", ()): 290, ("node_sockstat_TCP_mem", ()): 2},
        ),
        (
            host_net.sockstat(b"TCP6: inuse 3\nUDP: inuse 1 mem 2\n"),
            {
                ("node_sockstat_TCP6_inuse", ()): 3,
                ("node_sockstat_UDP_mem_bytes", ()): 2 * os.sysconf("SC_PAGE_SIZE"),
            },
        ),
        (
            host_net.snmp6(b"Ip6InOctets                     \t128\nUdpLite6InErrors \t4\nIp6InReceives 9\n"),
            {("node_netstat_Ip6_InOctets", ()): 128, ("node_netstat_UdpLite6_InErrors", ()): 4},
        ),
        (
            host_net.softnet(
                b"000000ff 00000001 00000002 0 0 0 0 0 0 0 0 0 00000000\n"
                b"00000010 00000000 00000000 0 0 0 0 0 0 0 0 0 00000003\n"
            ),
            {
                ("node_softnet_processed_total", (("cpu", "0"),)): 255,
                ("node_softnet_times_squeezed_total", (("cpu", "0"),)): 2,
                ("node_softnet_processed_total", (("cpu", "3"),)): 16,  # CPUs 1 and 2 are offline
            },
        ),
        (
            host_net.softnet(b"1 2 3 0 0 0 0 0 0 0\n4 5 6 0 0 0 0 0 0 0\n"),  # older kernels number no lines
            {("node_softnet_dropped_total", (("cpu", "1"),)): 5},
        ),
        (
            host_net.arp(b"IP address HW type\n10.0.0.1 0x1 0x2 aa * eth0\n10.0.0.2 0x1 0x2 bb * eth0\n"),
            {("node_arp_entries", (("device", "eth0"),)): 2},
        ),
        (
            host_net.conntrack_stat(
                b"entries found drop delete\n00000001 00000010 00000001 5\n00000001 00000001 0 5\n"
            ),
            {("node_nf_conntrack_stat_found", ()): 17, ("node_nf_conntrack_stat_drop", ()): 1},
        ),
        (
            host_net.udp_queues(
                "v4",
                b"  sl  local_address rem_address   st tx_queue rx_queue\n"
                b" 1: 0100007F:0035 00000000:0000 07 00000000:00000A00 00:00000000 0\n"
                b" 2: 0100007F:0036 00000000:0000 07 00000001:00000001 00:00000000 0\n",
            ),
            {
                ("node_udp_queues", (("ip", "v4"), ("queue", "tx"))): 1,
                ("node_udp_queues", (("ip", "v4"), ("queue", "rx"))): 2561,
            },
        ),
        (
            host_net.ipvs(
                b"   Total Incoming Outgoing         Incoming         Outgoing\n"
                b"   Conns  Packets  Packets            Bytes            Bytes\n"
                b" 16AA370 E33656E5        0     51D8C8883AB3                0\n\n"
                b" Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n"
                b"       4    1FB3C        0          1282A8F                0\n"
            ),
            {
                ("node_ipvs_connections_total", ()): 0x16AA370,
                ("node_ipvs_incoming_packets_total", ()): 0xE33656E5,
                ("node_ipvs_incoming_bytes_total", ()): 0x51D8C8883AB3,
                ("node_ipvs_outgoing_bytes_total", ()): 0,
            },
        ),
        (
            host_files.schedstat(b"version 15\ntimestamp 4\ncpu0 0 0 0 0 0 0 2000000000 5 7\ndomain0 3 1 2\n"),
            {
                ("node_schedstat_running_seconds_total", (("cpu", "0"),)): 2,
                ("node_schedstat_waiting_seconds_total", (("cpu", "0"),)): 5e-9,
                ("node_schedstat_timeslices_total", (("cpu", "0"),)): 7,
            },
        ),
        (host_files.file_nr(b"1024\t0\t9223372036854775807\n"), {("node_filefd_allocated", ()): 1024}),
    ],
)
def test_parsers(series: host_files.Series, want: dict[tuple[str, Labels], float]) -> None:
    got = taken(series)
    assert {key: got.get(key) for key in want} == want
    assert {name for name, _ in got} <= set(CATALOGUE)


MDSTAT = b"""Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md0 : active raid1 sdb1[1] sda1[0](F)
      104320 blocks [2/1] [_U]

md1 : active (auto-read-only) raid5 sdd1[3] sdc1[2](S) sdb2[1] sda2[0]
      200000 blocks super 1.2 level 5, 64k chunk, algorithm 2 [3/2] [UU_]
      [==>..................]  recovery = 12.6% (25200/200000) finish=127.5min speed=33440K/sec
      bitmap: 1/1 pages [4KB], 65536KB chunk

md2 : active raid0 sdf1[1] sde1[0]
      300000 blocks super 1.2 512k chunks

md127 : inactive sdg[0](S)
      312 blocks super 1.2

unused devices: <none>
"""


@pytest.mark.parametrize(
    ("device", "required", "active", "failed", "spare", "state", "blocks", "synced"),
    [
        ("md0", 2, 1, 1, 0, "active", 104320, 104320),
        ("md1", 3, 2, 0, 1, "recovering", 200000, 25200),
        ("md2", 2, 2, 0, 0, "active", 300000, 300000),
        ("md127", 0, 0, 0, 1, "inactive", 312, 312),
    ],
)
def test_raid(
    device: str, required: int, active: int, failed: int, spare: int, state: str, blocks: int, synced: int
) -> None:
    got = taken(host_files.mdstat(MDSTAT))
    here = ("device", device)
    disks = {kind: got["node_md_disks", (here, ("state", kind))] for kind in ("active", "failed", "spare")}
    assert disks == {"active": active, "failed": failed, "spare": spare}
    assert got["node_md_disks_required", (here,)] == required
    states = {
        dict(labels)["state"]: value
        for (name, labels), value in got.items()
        if name == "node_md_state" and here in labels
    }
    assert [name for name, value in states.items() if value] == [state]
    assert len(states) == 6
    assert (got["node_md_blocks", (here,)], got["node_md_blocks_synced", (here,)]) == (blocks, synced)


def test_no_raid() -> None:
    assert taken(host_files.mdstat(b"Personalities : \nunused devices: <none>\n")) == {}


def test_left_out_devices_and_full_of_cpu() -> None:
    disks = taken(host_files.diskstats(b" 8 0 sda 1\n 7 0 loop0 1\n", re.compile("^loop")))
    assert {dict(labels)["device"] for _, labels in disks} == {"sda"}
    assert set(disks) == {("node_disk_reads_completed_total", (("device", "sda"),))}  # fields that are missing
    both = b"some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0 avg60=0 avg300=0 total=2\n"
    assert [name for name, _ in taken(host_files.pressure("cpu", both))] == ["node_pressure_cpu_waiting_seconds_total"]


@pytest.mark.parametrize(
    ("name", "cores"), [("cgroup1/t0", 2), ("cgroup2/t1", 2), ("cgroup1-mini/t0", 1), ("cgroup2-mini/t1", 1)]
)
def test_a_recorded_host(recording: Recordings, name: str, cores: int) -> None:
    archive, _, moment = name.partition("/")
    root = recording(archive) / moment
    series = host(str(root))
    assert len(series) > 100
    assert {metric for metric, _ in series} <= set(CATALOGUE)
    text = (root / "proc/meminfo").read_text()
    total = int(re.search(r"MemTotal:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]
    assert series["node_memory_MemTotal_bytes", ()] == series["machine_memory_bytes", ()] == total
    assert series["machine_cpu_cores", ()] == cores
    assert series["node_time_seconds", ()] == 1_700_000_000.5
    assert ("machine_cpu_physical_cores", ()) not in series  # that would be this machine's


@pytest.mark.parametrize("scrape", ["node_exporter-1.5.0.prom"])
def test_names_types_and_labels_are_node_exporters(scrape: str) -> None:
    """What we have of it, we have under its names, with its types and its labels."""
    theirs: dict[str, set[frozenset[str]]] = {}
    types: dict[str, str] = {}
    for line in (HERE / scrape).read_text().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif not line.startswith("#"):
            name, _, labels = line.rpartition(" ")[0].partition("{")
            theirs.setdefault(name, set()).add(frozenset(re.findall(r'(\w+)="', labels)))
    ours = {name: info for name, info in CATALOGUE.items() if name.startswith("node_") and name in types}
    assert len(ours) > 150
    assert {name: info.type.value for name, info in ours.items()} == {name: types[name] for name in ours}
    assert set(types) & {name for name in types if name.startswith("node_")} - set(CATALOGUE) == {
        *("node_exporter_build_info", "node_scrape_collector_duration_seconds", "node_scrape_collector_success"),
        "node_textfile_scrape_error",
    }
    wrong = {
        (name, labels) for name, labels in host("/") if name in theirs and frozenset(dict(labels)) not in theirs[name]
    }
    assert not wrong


def test_every_main_metric_of_node_exporter_is_ours_or_left_out_on_purpose() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the list of node_exporter's metrics is not at {REFERENCE}")
    rows = [line.split("\t") for line in REFERENCE.read_text().splitlines() if not line.startswith("#")]
    names = {row[0] for row in rows[1:]}
    assert len(names) > 200
    assert names - set(CATALOGUE) == LEFT_OUT


LEFT_OUT = {
    # of node_exporter itself
    *("node_exporter_build_info", "node_scrape_collector_duration_seconds", "node_scrape_collector_success"),
    "node_textfile_scrape_error",
    # off by default, or of another system
    *("node_cpu_info", "node_softirqs_total", "node_filesystem_purgeable_bytes"),
    # what systemd says by D-Bus; what units use is systemd_unit_*
    "node_systemd_unit_state",
    # newer than 1.5, of few machines
    *("node_cpu_isolated", "node_cpu_online"),
    # a series for each server that is balanced to
    *(f"node_ipvs_backend_{name}" for name in ("connections_active", "connections_inactive", "weight")),
}


def test_this_machine_against_psutil() -> None:
    series = host("/")
    memory, cpu = psutil.virtual_memory(), psutil.cpu_times(percpu=True)
    assert series["node_memory_MemTotal_bytes", ()] == memory.total
    assert series["machine_cpu_cores", ()] == len(cpu)
    assert series["node_boot_time_seconds", ()] == int(psutil.boot_time())
    user = series["node_cpu_seconds_total", (("cpu", "0"), ("mode", "user"))]
    assert abs(user + series["node_cpu_guest_seconds_total", (("cpu", "0"), ("mode", "user"))] - cpu[0].user) < 5
    received = {dict(labels)["device"] for name, labels in series if name == "node_network_receive_bytes_total"}
    assert received <= set(psutil.net_io_counters(pernic=True))
    assert series["node_uname_info", _uname_labels(series)] == 1
    assert dict(_uname_labels(series))["nodename"] == "node-1"


def _uname_labels(series: Series) -> Labels:
    return next(labels for name, labels in series if name == "node_uname_info")


def test_one_broken_file_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: lots kB\n")
    (tmp_path / "proc/loadavg").write_text("1 2 3\n")
    faults = NotedFaults()
    source = HostSource(SampleSettings(), str(tmp_path), "node-1", DescriptorPool(), faults)
    frame = source.look(0)
    source.close()
    assert faults.noted == ["meminfo: ValueError"]
    assert series_of(frame)[()]["node_load5", ()] == 2
    assert len(frame.targets[0].values) == struct.calcsize("d") * len(frame.schemas[0])


@pytest.mark.parametrize("option", ["disks_exclude", "interfaces_exclude"])
def test_a_bad_expression_is_named(option: str) -> None:
    with pytest.raises(Unusable, match=rf"agent\.sample\.{option}: '\(' is no regular expression"):
        HostSource(SampleSettings(**{option: "("}), "/", "node-1", DescriptorPool(), StrictFaults())  # type: ignore[arg-type]
