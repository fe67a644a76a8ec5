"""How a reader takes what kernels and races do to it; its figures are in test_expected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.sample.cgroup1 import Cgroup1Reader, Formats1
from agent.sample.cgroup2 import Cgroup2Reader, Formats2
from agent.sample.hierarchy import find_hierarchies
from agent.sample.kept import DescriptorPool
from agent.sample.reading import Limits, MemoryReading, PressureReading
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import NotedFaults, StrictFaults, reader


def v2(directory: Path, pool: DescriptorPool | None = None, faults: NotedFaults | None = None) -> Cgroup2Reader:
    return Cgroup2Reader(str(directory), Formats2(), pool or DescriptorPool(), faults or StrictFaults())


@pytest.fixture
def group(tmp_path: Path, recording: Recordings) -> Path:
    """A copy of one recorded group of cgroup v2, to be broken."""
    mini = recording("cgroup2-mini") / "t0/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice"
    (found,) = mini.glob("*/cri-containerd-d4d4*.scope")
    return Path(shutil.copytree(found, tmp_path / "group"))


def test_gone_and_come_again(group: Path) -> None:
    """With plain files, whose descriptors outlive them; what a kernel answers is in test_docker."""
    pool = DescriptorPool()
    looked = v2(group, pool)
    assert looked.read(limits=False) is not None
    assert pool.kept > 10
    shutil.rmtree(group)
    looked.close()
    assert looked.read(limits=False) is None
    assert pool.kept == 0
    group.mkdir()
    (group / "cgroup.procs").write_text("1\n")
    (group / "cpu.stat").write_text("usage_usec 7\nuser_usec 3\nsystem_usec 4\n")
    again = looked.read(limits=False)
    assert again is not None
    assert again.cpu.usage_ns == 7000
    assert again.memory == MemoryReading()
    assert again.limits == Limits()


def test_a_part_that_fails_leaves_the_others(group: Path) -> None:
    (group / "memory.stat").write_text("anon many\n")
    (group / "cpu.pressure").unlink()
    (group / "cpu.pressure").mkdir()
    faults = NotedFaults()
    reading = v2(group, faults=faults).read(limits=True)
    assert reading is not None
    assert reading.memory == MemoryReading()
    assert reading.pressure == PressureReading()
    assert reading.cpu.usage_ns is not None
    assert reading.io
    assert faults.noted == ["group (memory): ValueError", "group (pressure): IsADirectoryError"]


def test_what_a_kernel_lacks_is_absent_not_zero(group: Path) -> None:
    for name in ("memory.peak", "memory.swap.current", "io.stat", "cpu.pressure", "pids.current", "pids.events"):
        (group / name).unlink()
    stat = (group / "memory.stat").read_text().splitlines()
    (group / "memory.stat").write_text("\n".join(line for line in stat if not line.startswith(("pgscan ", "kernel "))))
    reading = v2(group).read(limits=True)
    assert reading is not None
    assert reading.memory.usage_bytes is not None
    absent = (
        *(reading.memory.max_usage_bytes, reading.memory.swap_bytes, reading.memory.pgscan),
        *(reading.memory.kernel_bytes, reading.pressure.cpu_some_us),
        *(reading.tasks.threads, reading.tasks.threads_limit_hits),
    )
    assert absent == (None,) * 7
    assert reading.io == ()
    assert reading.pressure.io_some_us is not None


def test_working_set_is_never_below_zero(group: Path) -> None:
    (group / "memory.current").write_text("4096\n")
    (group / "memory.stat").write_text("inactive_file 8192\n")
    reading = v2(group).read(limits=True)
    assert reading is not None
    assert reading.memory.working_set_bytes == 0


def test_throttling_only_with_a_quota_and_limits_in_their_turn(group: Path) -> None:
    (group / "cpu.stat").write_text("usage_usec 9\nuser_usec 9\nsystem_usec 0\nnr_periods 5\nnr_throttled 2\n")
    (group / "cpu.max").write_text("max 100000\n")
    looked = v2(group)
    first = looked.read(limits=True)
    assert first is not None
    assert (first.cpu.periods, first.limits.cpu_quota_us, first.limits.cpu_period_us) == (None, None, 100000)
    (group / "cpu.max").write_text("5000 100000\n")
    kept = looked.read(limits=False)
    assert kept is not None
    assert kept.cpu.periods is None
    fresh = looked.read(limits=True)
    assert fresh is not None
    assert (fresh.cpu.periods, fresh.cpu.throttled_periods, fresh.limits.cpu_quota_us) == (5, 2, 5000)
    assert fresh.cpu.throttled_ns is None


def test_processes_one_level_down(group: Path) -> None:
    """Podman: the scope itself is empty, its `container` has the processes."""
    (group / "cgroup.procs").write_text("")
    (group / "container").mkdir()
    (group / "container/cgroup.procs").write_text("41\n42\n")
    reading = v2(group).read(limits=True)
    assert reading is not None
    assert reading.tasks.processes == 2
    assert reading.pids == (41, 42)


def test_v1_disks_that_nobody_counts(recording: Recordings) -> None:
    """Without a throttle rule v1 lists the device, all zeros, while the container writes: not to be called `no I/O`."""
    root = recording("cgroup1-mini") / "t1"
    silent = reader(root, "/docker/" + "d4" * 32).read(limits=True)
    counted = reader(root, "/docker/" + "29" * 32).read(limits=True)
    nothing = reader(root, "/docker/" + "a1" * 32).read(limits=True)
    assert silent is not None
    assert counted is not None
    assert nothing is not None
    assert [device.counted for device in silent.io] == [False]
    assert [(device.device, device.counted) for device in counted.io] == [("254:16", True)]
    assert nothing.io == ()


def test_v1_pressure_comes_from_the_v2_mount(recording: Recordings) -> None:
    root = recording("cgroup1") / "t0"
    (path,) = [f"/docker/{one.name}" for one in (root / "sys/fs/cgroup/cpu/docker").glob("551bb8862066*")]
    hybrid = reader(root, path).read(limits=True)
    assert hybrid is not None
    assert hybrid.pressure.cpu_some_us is not None
    assert hybrid.pressure.cpu_some_us > 0
    pure = reader(recording("cgroup1-mini") / "t0", "/docker/" + "a1" * 32).read(limits=True)
    assert pure is not None
    assert pure.pressure == PressureReading()


def test_v1_controllers_that_are_not_mounted(tmp_path: Path, recording: Recordings) -> None:
    mini = recording("cgroup1-mini") / "t0/sys/fs/cgroup"
    base = tmp_path / "sys/fs/cgroup"
    for controller in ("cpu,cpuacct", "memory"):
        shutil.copytree(mini / controller, base / controller)
    path = "/docker/" + "c3" * 32
    reading = Cgroup1Reader(
        find_hierarchies(str(tmp_path)), path, Formats1(), DescriptorPool(), StrictFaults(), per_cpu=True
    ).read(limits=True)
    assert reading is not None
    assert reading.io == ()
    assert (reading.tasks.threads, reading.limits.threads, reading.limits.frozen) == (None, None, None)
    assert sum(reading.cpu.per_cpu_ns) == reading.cpu.usage_ns
    assert reading.memory.oom_kill == 3
