"""Digit for digit the same figures as cAdvisor 0.60.5, which was scraped while the recorded cgroups stood frozen.

Where we differ on purpose, the reason stands in the tables below; whatever is in none of them must be equal.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import astuple

from agent.sample.network import container_counters
from agent.sample.series import INTERFACE_NAMES
from agent.sample.settings import SampleSettings
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import Series, StaticInventory, inspected, sampler, series_of

NO_SOURCE = "cAdvisor gives 0 where this kernel's cgroups have no such figure; we leave it absent"
NOT_READ = "cAdvisor gives 0 since it doesn't read the file; we give what the kernel says"
DISK = "of the whole disk (/proc/diskstats, statfs), not of the container"
CLOCK = "the clock at the scrape"
NO_LIMIT = "cAdvisor gives 0 for no limit; we leave it absent"
HOST_NETWORK = "the host's own network, which cAdvisor counts for a container in it; we leave it to the host metrics"
NETLINK = "needs cAdvisor's load reader, which was off: always 0"

NEVER_OURS: dict[str, str] = {
    "container_cpu_load_average_10s": NETLINK,
    "container_cpu_load_d_average_10s": NETLINK,
    "container_tasks_state": NETLINK,
    "container_fs_inodes_free": DISK,
    "container_fs_inodes_total": DISK,
    "container_fs_io_current": DISK,
    "container_fs_io_time_seconds_total": DISK,
    "container_fs_io_time_weighted_seconds_total": DISK,
    "container_fs_limit_bytes": DISK,
    "container_fs_read_seconds_total": DISK,
    "container_fs_reads_merged_total": DISK,
    "container_fs_sector_reads_total": DISK,
    "container_fs_sector_writes_total": DISK,
    "container_fs_usage_bytes": DISK,
    "container_fs_write_seconds_total": DISK,
    "container_fs_writes_merged_total": DISK,
    "container_health_state": "in our source `state`, only where an engine tells it",
}
OTHER_VALUE: dict[str, str] = {
    "container_last_seen": CLOCK,
    "container_start_time_seconds": "cAdvisor takes the directory's time; we the engine's word or the process's start",
    "container_creation_time_seconds": "cAdvisor takes the directory's time; we the engine's word",
}
V1_ZEROS: dict[str, str] = {
    "container_memory_events_high_total": NO_SOURCE,
    "container_memory_events_max_total": NO_SOURCE,
    "container_memory_pgscan_total": NO_SOURCE,
    "container_memory_pgsteal_total": NO_SOURCE,
    "container_memory_file_dirty_bytes": NOT_READ,
    "container_memory_file_writeback_bytes": NOT_READ,
    "container_cpu_cfs_burst_periods_total": NOT_READ,
    "container_cpu_cfs_burst_seconds_total": NOT_READ,
    "container_pressure_cpu_stalled_seconds_total": NOT_READ,
    "container_pressure_cpu_waiting_seconds_total": NOT_READ,
    "container_pressure_io_stalled_seconds_total": NOT_READ,
    "container_pressure_io_waiting_seconds_total": NOT_READ,
    "container_pressure_memory_stalled_seconds_total": NOT_READ,
    "container_pressure_memory_waiting_seconds_total": NOT_READ,
    "container_spec_memory_limit_bytes": NO_LIMIT,
    "container_spec_memory_swap_limit_bytes": NO_LIMIT,
    "container_spec_memory_reservation_limit_bytes": NO_LIMIT,
    "container_fs_reads_total": DISK,
    "container_fs_writes_total": DISK,
}
V2_ZEROS: dict[str, str] = {
    "container_memory_failcnt": NO_SOURCE,
    "container_memory_kernel_usage": NOT_READ,
    "container_spec_memory_limit_bytes": NO_LIMIT,
    "container_spec_memory_swap_limit_bytes": NO_LIMIT,
    "container_spec_memory_reservation_limit_bytes": NO_LIMIT,
}
BASE = {"id", "name", "image", "container_label_app", "container_label_tier"}

LINE = re.compile(r"^(container_\w+)\{(.*)\} (\S+)(?: \d+)?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scraped(path: Path) -> dict[str, Series]:
    """cAdvisor's series by container (its id label), without the labels that say which container."""
    containers: dict[str, Series] = {}
    for line in path.read_text().splitlines():
        if found := LINE.match(line):
            name, text, value = found.groups()
            labels = dict(LABEL.findall(text))
            own = tuple(sorted(item for item in labels.items() if item[0] not in BASE))
            containers.setdefault(labels["id"], {})[name, own] = float(value)
    return containers


def ours(root: Path, found: StaticInventory) -> dict[str, Series]:
    one = sampler(root, found, SampleSettings(sources=("cgroup",), per_cpu=True))
    try:
        (frame,) = one.sweep()
    finally:
        one.close()
    return {dict(labels)["id"]: series for labels, series in series_of(frame).items()}


@pytest.mark.parametrize(
    ("name", "scrape", "zeros", "containers", "least"),
    [
        ("cadvisor-parity-cgroup1", "cadvisor-0.60.5-docker-only.prom", V1_ZEROS, 8, 217),
        ("cadvisor-parity-cgroup1", "cadvisor-0.60.5-default.prom", V1_ZEROS, 8, 217),
        ("cadvisor-parity-cgroup2", "cadvisor-0.60.5-raw.prom", V2_ZEROS, 4, 147),
    ],
)
def test_parity(
    recording: Recordings,
    capsys: pytest.CaptureFixture[str],
    name: str,
    scrape: str,
    zeros: dict[str, str],
    containers: int,
    least: int,
) -> None:
    root = recording(name)
    inspect = root / "inspect.json"
    inventory = StaticInventory(*(inspected(inspect) if inspect.exists() else []))
    host_network = next(
        (f"/docker/{one.container.id}" for one in inventory.containers.values() if one.network_mode == "host"), ""
    )
    theirs = {ident: series for ident, series in scraped(root / scrape).items() if len(ident) > 60}
    mine = ours(root, inventory)
    assert set(mine) == set(theirs)
    assert len(mine) == containers
    equal = 0
    wrong: list[str] = []
    differences: Counter[str] = Counter()
    for ident, series in theirs.items():
        for key, value in series.items():
            reason = NEVER_OURS.get(key[0]) or OTHER_VALUE.get(key[0])
            got = mine[ident].get(key)
            if reason is not None:
                differences[reason] += 1
                assert key[0] in OTHER_VALUE or got is None, f"{key} is ours after all"
            elif got == value:
                equal += 1
            elif ident == host_network and key[0].startswith("container_network_"):
                differences[HOST_NETWORK] += 1
                assert got is None
            elif key[0] in zeros and (value == 0 or zeros[key[0]] is DISK):
                differences[zeros[key[0]]] += 1
            else:
                wrong.append(f"{ident[:20]} {key}: {got} is not {value}")
    with capsys.disabled():
        print(f"\n{name}, {scrape}: {equal} figures equal")
        for reason, count in sorted(differences.items()):
            print(f"  {count:4} differ on purpose: {reason}")
    assert not wrong, "\n".join(wrong)
    assert equal >= least


def test_network_figures(recording: Recordings) -> None:
    """The one recorded namespace with more than `lo` is the host's: the parser's figures against cAdvisor's."""
    root = recording("cadvisor-parity-cgroup1")
    (host,) = [one for one in inspected(root / "inspect.json") if one.network_mode == "host"]
    theirs = {
        (name, dict(labels)["interface"]): value
        for (name, labels), value in scraped(root / "cadvisor-0.60.5-default.prom")[
            f"/docker/{host.container.id}"
        ].items()
        if name.startswith("container_network_")
    }
    counters = container_counters((root / f"proc/{host.pid}/net/dev").read_bytes())
    mine = {
        (name, one.interface): value
        for one in counters
        for name, value in zip(INTERFACE_NAMES, astuple(one)[1:], strict=True)
    }
    assert mine == theirs
    assert len(mine) == 24


def test_what_we_have_and_cadvisor_has_not(recording: Recordings) -> None:
    """New names only where the catalogue says so; a CPU that was never used is a true 0, which cAdvisor leaves out."""
    root = recording("cadvisor-parity-cgroup1")
    theirs = scraped(root / "cadvisor-0.60.5-docker-only.prom")
    mine = ours(root, StaticInventory(*inspected(root / "inspect.json")))
    more = {key[0] for ident, series in mine.items() for key in series if key not in theirs[ident]}
    assert more == {
        "container_cpu_usage_seconds_total",  # cpu01 of one container: 0
        "container_processes",  # off by default in cAdvisor
        "container_threads",
        "container_threads_max",
        "container_threads_limit_hits_total",
        "container_memory_shmem_bytes",
        "container_frozen",
    }
    unused = [
        value
        for ident, series in mine.items()
        for key, value in series.items()
        if key[0] == "container_cpu_usage_seconds_total" and key not in theirs[ident]
    ]
    assert unused == [0.0]


def test_oom_kill_of_a_child(recording: Recordings) -> None:
    """Docker's own flag says nothing of a killed child; the cgroup does, in both formats."""
    first = recording("cadvisor-parity-cgroup1")
    names = {one["Id"]: one["Name"] for one in json.loads((first / "inspect.json").read_text())}
    kills = {
        names[ident.rpartition("/")[2]]: series["container_oom_events_total", ()]
        for ident, series in ours(first, StaticInventory()).items()
    }
    assert kills == {name: float(name == "/oom") for name in names.values()}
    second = ours(recording("cadvisor-parity-cgroup2"), StaticInventory())
    assert sorted(series["container_oom_events_total", ()] for series in second.values())[-1] >= 1
