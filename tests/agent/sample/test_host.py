"""Host figures: recorded /proc files against their own text, names against a real node_exporter, and this machine."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import psutil
import pytest

from agent.sample import host_files
from agent.sample.host import HostSource
from agent.sample.kept import DescriptorPool
from agent.sample.settings import SampleSettings
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Labels
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import NotedFaults, Series, StrictFaults, series_of
from tests.recordings.unpack import HERE

NOTHING = re.compile(r"^$")


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
            host_files.netstat(b"Tcp: RtoAlgorithm ActiveOpens\nTcp: 1 42\nIcmp: InErrors\nIcmp: 3\n"),
            {("node_netstat_Tcp_ActiveOpens", ()): 42, ("node_netstat_Icmp_InErrors", ()): 3},
        ),
        (
            host_files.sockstat(b"sockets: used 290\nTCP: inuse 5 orphan 0 tw 1 alloc 7 mem 2\n"),
            {("node_sockstat_sockets_used", ()): 290, ("node_sockstat_TCP_mem", ()): 2},
        ),
        (host_files.file_nr(b"1024\t0\t9223372036854775807\n"), {("node_filefd_allocated", ()): 1024}),
    ],
)
def test_parsers(series: host_files.Series, want: dict[tuple[str, Labels], float]) -> None:
    got = taken(series)
    assert {key: got.get(key) for key in want} == want
    assert {name for name, _ in got} <= set(CATALOGUE)


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
    here = host("/")
    wrong = {
        (name, labels)
        for name, labels in here
        if name in theirs and name != "node_uname_info" and frozenset(dict(labels)) not in theirs[name]
    }
    assert not wrong


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
