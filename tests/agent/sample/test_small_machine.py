"""Our cgroup v2 reader on a real kernel: equal to the files, and to the work that was done."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.fixtures import small_machine

pytestmark = pytest.mark.timeout(600)  # a machine in software, on one that may be busy

SCRIPT = Path(small_machine.__file__).parent / "guest/work.py"
NAMES = ("busy", "quota", "memory", "oom", "pids", "disk", "frozen", "empty")
PATHS = {name: f"/docker/{f'{number:x}' * 64}" for number, name in enumerate(NAMES, start=1)}
SERVICE = "/system.slice/worker.service"
MIB = 1 << 20

Labels = tuple[tuple[str, str], ...]
Files = dict[str, dict[str, str]]


class Told(msgspec.Struct):
    """What came out of the machine."""

    layout: str
    known: dict[str, str]
    before: Files
    after: Files
    series: dict[str, dict[str, list[tuple[str, dict[str, str], float]]]]
    ended: list[list[tuple[str, str]]]
    faults: list[dict[str, str]]

    def of(self, name: str) -> dict[tuple[str, Labels], float]:
        rows = self.series["cgroup"][PATHS[name]]
        return {(metric, tuple(sorted(labels.items()))): value for metric, labels, value in rows}

    def value(self, name: str, metric: str) -> float:
        return self.of(name)[metric, ()]

    def unit(self, path: str) -> dict[str, float]:
        return {metric: value for metric, _, value in self.series["unit"][path]}


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    machine = small_machine.build(request.config.cache.mkdir("deckwatch-machine"))
    return msgspec.json.decode(small_machine.run(machine, tmp_path_factory.mktemp("machine"), SCRIPT), type=Told)


def keyed(text: str) -> dict[str, int]:
    return {key: int(value) for key, value in (line.split() for line in text.splitlines())}


def pressure(text: str) -> dict[str, float]:
    return {line.split()[0]: int(line.rpartition("total=")[2]) / 1e6 for line in text.splitlines()}


def expected(files: dict[str, str]) -> dict[tuple[str, Labels], float]:
    """From the raw files of one group by the shortest code that can be."""
    cpu, memory, events = keyed(files["cpu.stat"]), keyed(files["memory.stat"]), keyed(files["memory.events"])
    usage = int(files["memory.current"])
    want: dict[str, float] = {
        "container_cpu_user_seconds_total": cpu["user_usec"] / 1e6,
        "container_cpu_system_seconds_total": cpu["system_usec"] / 1e6,
        "container_memory_usage_bytes": usage,
        "container_memory_working_set_bytes": max(0, usage - memory["inactive_file"]),
        "container_memory_rss": memory["anon"],
        "container_memory_cache": memory["file"],
        "container_memory_mapped_file": memory["file_mapped"],
        "container_memory_shmem_bytes": memory["shmem"],
        "container_memory_total_active_file_bytes": memory["active_file"],
        "container_memory_total_inactive_file_bytes": memory["inactive_file"],
        "container_memory_file_dirty_bytes": memory["file_dirty"],
        "container_memory_kernel_usage": memory["kernel"],
        "container_memory_max_usage_bytes": int(files["memory.peak"]),
        "container_memory_events_high_total": events["high"],
        "container_memory_events_max_total": events["max"],
        "container_oom_events_total": events["oom_kill"],
        "container_threads": int(files["pids.current"]),
        "container_processes": len(files["cgroup.procs"].split()),
        "container_threads_limit_hits_total": keyed(files["pids.events"])["max"],
        "container_frozen": keyed(files["cgroup.events"])["frozen"],
        "container_spec_cpu_shares": 2 + (int(files["cpu.weight"]) - 1) * 262142 // 9999,
    }
    for kind in ("cpu", "memory", "io"):
        told = pressure(files[f"{kind}.pressure"])
        want[f"container_pressure_{kind}_waiting_seconds_total"] = told["some"]
        want[f"container_pressure_{kind}_stalled_seconds_total"] = told["full"]
    quota, period = files["cpu.max"].split()
    if quota != "max":
        want |= {
            "container_cpu_cfs_periods_total": cpu["nr_periods"],
            "container_cpu_cfs_throttled_periods_total": cpu["nr_throttled"],
            "container_cpu_cfs_throttled_seconds_total": cpu["throttled_usec"] / 1e6,
            "container_spec_cpu_quota": int(quota),
            "container_spec_cpu_period": int(period),
        }
    for file, name in (
        ("memory.max", "container_spec_memory_limit_bytes"),
        ("memory.swap.max", "container_spec_memory_swap_limit_bytes"),
        ("pids.max", "container_threads_max"),
    ):
        if files.get(file, "max\n") != "max\n":
            want[name] = int(files[file])
    series: dict[tuple[str, Labels], float] = {(name, ()): value for name, value in want.items()}
    series["container_cpu_usage_seconds_total", (("cpu", "total"),)] = cpu["usage_usec"] / 1e6
    return series


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_the_kernels_files(told: Told, name: str) -> None:
    """Every figure lies between what the files said just before and just after; what they lack is absent."""
    before, after = expected(told.before[PATHS[name]]), expected(told.after[PATHS[name]])
    got = told.of(name)
    assert len(before) >= 28
    wrong = {
        key: (before[key], got.get(key), after[key])
        for key in before
        if key not in got or not min(before[key], after[key]) <= got[key] <= max(before[key], after[key])
    }
    assert wrong == {}
    limits = {
        key for key in got if key[0].startswith(("container_spec_", "container_cpu_cfs", "container_threads_max"))
    }
    assert limits - set(before) - {("container_cpu_cfs_burst_periods_total", ())} <= {
        ("container_cpu_cfs_burst_seconds_total", ()),
        ("container_spec_cpu_period", ()),
        ("container_spec_memory_reservation_limit_bytes", ()),
    }
    standing = [key for key in before if before[key] == after[key]]
    assert len(standing) > 25  # else this test would say little


def test_known_work(told: Told) -> None:
    spent = float(told.known["busy"])
    used = told.of("busy")["container_cpu_usage_seconds_total", (("cpu", "total"),)]
    assert spent >= 1
    assert spent <= used <= spent + 1  # the interpreter's start counts too; the machine is an emulated one
    assert told.value("quota", "container_spec_cpu_quota") / told.value("quota", "container_spec_cpu_period") == 0.2
    throttled = told.value("quota", "container_cpu_cfs_throttled_periods_total")
    assert 5 <= throttled <= told.value("quota", "container_cpu_cfs_periods_total")
    assert told.value("quota", "container_cpu_cfs_throttled_seconds_total") > 0.5
    held = int(told.known["memory"])
    assert held == 40 * MIB
    assert held <= told.value("memory", "container_memory_rss") <= held + 16 * MIB
    assert told.value("memory", "container_memory_working_set_bytes") >= held
    assert told.known["oom"] == "killed"
    assert told.value("oom", "container_oom_events_total") == 2
    assert told.value("oom", "container_spec_memory_limit_bytes") == 48 * MIB
    assert int(told.known["pids"]) == told.value("pids", "container_threads_limit_hits_total") == 3
    assert told.value("pids", "container_threads_max") == told.value("pids", "container_threads") == 3
    assert told.value("frozen", "container_frozen") == 1
    assert told.value("busy", "container_frozen") == 0
    assert told.value("empty", "container_processes") == 0


def test_bytes_on_the_disk(told: Told) -> None:
    """/dev/vdb is the only disk with writes; io.stat of the group, device by device."""
    written = int(told.known["disk"])
    files = told.before[PATHS["disk"]]["io.stat"]
    want: dict[str, float] = {}
    for line in files.splitlines():
        _, *fields = line.split()
        for field in fields:
            key, _, value = field.partition("=")
            want[key] = want.get(key, 0) + int(value)
    got = told.of("disk")
    device = (("device", "/dev/vdb"),)
    assert got["container_fs_writes_bytes_total", device] == want["wbytes"]
    assert written <= want["wbytes"] <= written * 1.2
    assert got["container_fs_writes_total", device] == want["wios"]


def test_units_and_ends(told: Told) -> None:
    assert told.layout == "cgroup v2"
    assert told.faults == []
    service, slice_ = told.unit(SERVICE), told.unit("/system.slice")
    cpu = keyed(told.before[SERVICE]["cpu.stat"])["usage_usec"] / 1e6
    assert service["systemd_unit_cpu_usage_seconds_total"] == cpu >= float(told.known["service"])
    assert slice_["systemd_unit_cpu_usage_seconds_total"] >= cpu
    assert told.unit("/docker")["systemd_unit_oom_events_total"] == 2  # v2 counts those below
    assert [dict(labels)["id"] for labels in told.ended] == [PATHS["empty"]]
