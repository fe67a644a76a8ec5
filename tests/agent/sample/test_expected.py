"""Every figure that the recordings' expected.json files hold, derived by our readers from the recorded trees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.sample import flat
from agent.sample.hierarchy import Layout, find_hierarchies
from agent.sample.reading import CgroupReading, CpuReading, DeviceIo
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import (
    StaticInventory,
    by_source,
    inspected,
    reader,
    sampler,
    series_of,
)

CGROUP = "/sys/fs/cgroup"

PAIRS = [
    ("cgroup1", "t0", "t1", "expected.json"),
    ("cgroup1", "t1", "t2", "expected-t1-t2.json"),
    ("cgroup2", "t0", "t1", "expected.json"),
    ("cgroup2", "t1", "t2", "expected-t1-t2.json"),
    ("cgroup1-mini", "t0", "t1", "expected.json"),
    ("cgroup2-mini", "t0", "t1", "expected.json"),
]

LEAST = {"cgroup1": 265, "cgroup2": 836, "cgroup1-mini": 264, "cgroup2-mini": 303}
"""At least so many figures must have been compared, or the test has gone blind."""

ENGINE = {"id", "status", "exit_code", "oom_killed_flag", "restart_count", "health"}
"""Keys that the engine tells, not the cgroup: see test_engine_figures."""


@pytest.mark.parametrize(("name", "before", "after", "expected"), PAIRS)
def test_figures(
    recording: Recordings, capsys: pytest.CaptureFixture[str], name: str, before: str, after: str, expected: str
) -> None:
    root = recording(name)
    wanted = json.loads((root / expected).read_text())
    compared = 0
    wrong: list[str] = []
    for label, figures in {**wanted["containers"], **wanted["kube"]}.items():
        if "path" not in figures:  # it never ran, or has ended: no cgroup
            continue
        got = derive(root, before, after, figures["path"].removeprefix(CGROUP))
        for key, value in figures.items():
            if key in ENGINE:
                continue
            compared += 1
            if key not in got or got[key] != value:
                wrong.append(f"{label}: {key}: {got.get(key, 'missing')} is not {value}")
    for resource, (first, second) in wanted.get("host_pressure", {}).items():
        for moment, lines in ((before, first), (after, second)):
            text = (root / moment / "proc/pressure" / resource).read_bytes()
            compared += 1
            if flat.pressure(text)[0] != int(lines[0].rpartition("=")[2]):
                wrong.append(f"host pressure {resource} at {moment}")
    with capsys.disabled():
        print(f"\n{name} {before}->{after}: {compared} figures compared, {len(wrong)} differ")
    assert not wrong, "\n".join(wrong)
    assert compared >= LEAST[name]


def derive(root: Path, before: str, after: str, path: str) -> dict[str, Any]:
    layout = find_hierarchies(str(root / after)).layout
    one = reader(root / before, path).read(limits=True)
    two = reader(root / after, path).read(limits=True)
    assert one is not None
    assert two is not None
    seconds = gap_s(root, before, after, path, layout)
    common = derive_common(one, two, seconds)
    if layout is Layout.V2:
        return common | {"path": CGROUP + path} | derive_v2(one, two)
    return common | {"path": path} | derive_v1(one, two)


def gap_s(root: Path, before: str, after: str, path: str, layout: Layout) -> float:
    """Between the moments at which the group's directory was read, as the recorder noted them."""
    places = [CGROUP + path] if layout is Layout.V2 else [f"{CGROUP}/{at}{path}" for at in ("cpuacct", "cpu,cpuacct")]
    at: list[int] = []
    for moment in (before, after):
        stamps = {}
        for line in (root / moment / "stamps.jsonl").read_text().splitlines():
            stamp = json.loads(line)
            if stamp["what"] == "cgroup":
                stamps[stamp["path"]] = stamp["mono_ns"]
        at.append(next(stamps[place] for place in places if place in stamps))
    return (at[1] - at[0]) / 1e9


def derive_common(one: CgroupReading, two: CgroupReading, seconds: float) -> dict[str, Any]:
    assert one.cpu.usage_ns is not None
    assert two.cpu.usage_ns is not None
    used_ns = two.cpu.usage_ns - one.cpu.usage_ns
    figures: dict[str, Any] = {"seconds_between": round(seconds, 3)}
    if used_ns < 0:  # the group was made anew: what counts is the new counter itself
        figures["counter_reset"] = True
        used_ns = two.cpu.usage_ns
    figures["cpu_seconds"] = round(used_ns / 1e9, 6)
    figures["cpu_percent_of_one_cpu"] = round(100 * figures["cpu_seconds"] / seconds, 2)
    # Without a quota our reading has nothing, where the recorder's plain difference is 0.
    assert (two.cpu.periods is None) == (two.limits.cpu_quota_us is None)
    since = CpuReading() if "counter_reset" in figures else one.cpu
    periods = (two.cpu.periods or 0) - (since.periods or 0)
    throttled = (two.cpu.throttled_periods or 0) - (since.throttled_periods or 0)
    throttled_ns = (two.cpu.throttled_ns or 0) - (since.throttled_ns or 0)
    figures |= {
        "periods": periods,
        "throttled_periods": throttled,
        "throttled_seconds": round(throttled_ns / 1e9, 6),
        "throttled_share_of_periods": round(throttled / periods, 4) if periods else None,
        "memory_bytes": two.memory.usage_bytes,
        "working_set_bytes": two.memory.working_set_bytes,
        "oom_kill": [one.memory.oom_kill, two.memory.oom_kill],
        "pids": two.tasks.threads,
        "pids_events_max": [one.tasks.threads_limit_hits, two.tasks.threads_limit_hits],
        "pids.max": text_of_limit(two.limits.threads),
    }
    return figures


def derive_v2(one: CgroupReading, two: CgroupReading) -> dict[str, Any]:
    limits, memory = two.limits, two.memory
    has_memory = memory.usage_bytes is not None
    return {
        # None: the cpu controller isn't switched on for this group
        "cpu.max": limits.cpu_period_us and f"{text_of_limit(limits.cpu_quota_us)} {limits.cpu_period_us}",
        "cpu.weight": limits.cpu_weight and str(limits.cpu_weight),
        "memory.max": text_of_limit(limits.memory_bytes),
        "memory.swap.max": text_of_limit(limits.memory_swap_bytes),
        "memory.low": text_of_limit(limits.memory_low_bytes),
        "cgroup.freeze": str(limits.frozen),
        "frozen": limits.frozen,
        "anon": memory.anon_bytes,
        "file": memory.file_bytes,
        "shmem": memory.shmem_bytes,
        "swap_bytes": memory.swap_bytes if has_memory else None,
        "oom_group_kill": [one.memory.oom_group_kill, memory.oom_group_kill],
        "io": {device.device: io_difference(device, one, V2_IO) for device in two.io},
    }


def derive_v1(one: CgroupReading, two: CgroupReading) -> dict[str, Any]:
    limits, memory = two.limits, two.memory
    return {
        "cpu.cfs_quota_us": "-1" if limits.cpu_quota_us is None else str(limits.cpu_quota_us),
        "cpu.cfs_period_us": str(limits.cpu_period_us),
        "cpu.shares": str(limits.cpu_shares),
        "memory.limit_in_bytes": str(9223372036854771712 if limits.memory_bytes is None else limits.memory_bytes),
        "freezer.state": "FROZEN" if limits.frozen else "THAWED",
        "rss": memory.anon_bytes,
        "cache": memory.file_bytes,
        "swap": memory.swap_bytes,
        "failcnt": [one.memory.failcnt, memory.failcnt],
        "io_bytes": {device.device: io_difference(device, one, V1_IO) for device in two.io},
    }


V2_IO = {
    "rbytes": "read_bytes",
    "wbytes": "write_bytes",
    "rios": "reads",
    "wios": "writes",
    "dbytes": "discard_bytes",
    "dios": "discards",
}
V1_IO = {
    "Read": "read_bytes",
    "Write": "write_bytes",
    "Sync": "sync_bytes",
    "Async": "async_bytes",
    "Discard": "discard_bytes",
    "Total": "total_bytes",
}


def io_difference(device: DeviceIo, one: CgroupReading, names: dict[str, str]) -> dict[str, int]:
    before = next((other for other in one.io if other.device == device.device), None)
    return {
        name: getattr(device, field) - (0 if before is None else getattr(before, field))
        for name, field in names.items()
    }


def text_of_limit(value: int | None) -> str:
    return "max" if value is None else str(value)


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("cgroup1", "t1", "expected.json"),
        ("cgroup1", "t2", "expected-t1-t2.json"),
        ("cgroup2", "t1", "expected.json"),
        ("cgroup2", "t2", "expected-t1-t2.json"),
    ],
)
def test_engine_figures(
    recording: Recordings, capsys: pytest.CaptureFixture[str], name: str, after: str, expected: str
) -> None:
    """State, exit code, restarts, health of all containers, those without a cgroup too, through a whole sweep."""
    root = recording(name)
    wanted = json.loads((root / expected).read_text())["containers"]
    inventory = StaticInventory(*inspected(root / after / "docker/inspect.json"))
    one = sampler(root / after, inventory)
    try:
        frames = by_source(one.sweep())
    finally:
        one.close()
    targets = {dict(labels)["name"]: (dict(labels), series) for labels, series in series_of(frames["state"]).items()}
    measured = {dict(labels)["name"] for labels in series_of(frames["cgroup"]) if "name" in dict(labels)}
    compared = 0
    for container, figures in wanted.items():
        labels, series = targets[container]
        running = figures["status"] in ("running", "paused")
        assert labels["id"].endswith(figures["id"]) or figures["id"] in labels["id"]
        assert series["container_state", (("state", figures["status"]),)] == 1
        assert sum(value for (metric, _), value in series.items() if metric == "container_state") == 1
        assert series.get(("container_exit_code", ())) == (
            figures["exit_code"] if figures["status"] in ("exited", "dead") else None
        )
        assert series["container_oom_killed", ()] == figures["oom_killed_flag"]
        assert series["container_restarts_total", ()] == figures["restart_count"]
        assert series["container_health_state", ()] == {"healthy": 1, "unhealthy": 0, None: -1}[figures["health"]]
        assert (container in measured) == running
        compared += len(ENGINE)
    with capsys.disabled():
        print(f"\n{name} {after}: {compared} figures of the engine compared")
    assert compared >= 60
