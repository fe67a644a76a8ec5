"""Slices and services: which they are, and what they use, on recorded trees of both formats."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.sample.hierarchy import find_hierarchies
from agent.sample.kept import DescriptorPool
from agent.sample.readers import CgroupReaders
from agent.sample.settings import SampleSettings
from agent.sample.units import Unit, UnitSource, find_units, unit_of
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Labels, Samples
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import Series, StrictFaults, series_of

EVERY = SampleSettings(interval_s=1, unit_interval_s=1, slow_every=1)
ID = "a1" * 32
POD = "kubepods-burstable-pod11111111_2222_3333_4444_555555555551.slice"


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/system.slice", "system.slice", "slice"),
        ("/system.slice/ssh.service", "ssh.service", "service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "service"),
        ("/system.slice/a\\x2db.service", "a-b.service", "service"),
        ("/user.slice/user-1000.slice", "user-1000.slice", "slice"),
        ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service", "service"),
        ("/init.scope", "init.scope", "scope"),
        ("/docker", "docker", "cgroup"),
        ("/kubepods", "kubepods", "cgroup"),
        ("/kubepods.slice", "kubepods.slice", "slice"),
        # what is a container's, a pod's, a session's or inside of something else
        (f"/system.slice/docker-{ID}.scope", "", ""),
        (f"/docker/{ID}", "", ""),
        (f"/kubepods.slice/{POD}", "", ""),
        ("/user.slice/user-1000.slice/session-2.scope", "", ""),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "", ""),
        (f"/docker/{ID}/inner.service", "", ""),
        ("/docker/sub", "", ""),
        (f"/{ID}", "", ""),
    ],
)
def test_unit_of(path: str, name: str, kind: str) -> None:
    assert unit_of(path) == (Unit(path, name, kind) if kind else None)


class LeftOut:
    def __init__(self) -> None:
        self.count = -1

    def __call__(self, source: str, count: int) -> None:
        assert source == "unit"
        self.count = count


class Looked:
    """A source of units over a tree."""

    def __init__(self, root: Path, settings: SampleSettings = EVERY) -> None:
        self.pool = DescriptorPool()
        self.left_out = LeftOut()
        readers = CgroupReaders(find_hierarchies(str(root)), self.pool, StrictFaults())
        self.source = UnitSource(settings, readers, StrictFaults(), self.left_out)

    def frame(self) -> Samples:
        frame = self.source.look(1)
        assert frame is not None
        return frame

    def units(self) -> dict[str, Series]:
        return {dict(labels)["id"]: series for labels, series in series_of(self.frame()).items()}


def test_recorded_slices_of_v2(recording: Recordings) -> None:
    """Their sums are the kernel's own: a slice holds at least what its services use."""
    root = recording("cgroup2") / "t0"
    looked = Looked(root)
    units = looked.units()
    looked.source.close()
    assert looked.pool.kept == 0
    assert {"/system.slice", "/user.slice", "/init.scope", "/kubepods.slice"} <= set(units)
    services = [path for path in units if path.startswith("/system.slice/") and path.endswith(".service")]
    assert len(services) > 3
    used = ("systemd_unit_cpu_usage_seconds_total", ())
    assert sum(units[path][used] for path in services) <= units["/system.slice"][used]
    for path in ("/system.slice", services[0]):
        folder = root / f"sys/fs/cgroup{path}"
        cpu = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
        assert units[path][used] == int(cpu["usage_usec"]) / 1e6
        if (folder / "memory.current").exists():
            assert units[path]["systemd_unit_memory_usage_bytes", ()] == int((folder / "memory.current").read_text())
        assert units[path]["systemd_unit_threads", ()] == int((folder / "pids.current").read_text())
    assert {name for series in units.values() for name, _ in series} <= set(CATALOGUE)
    assert not [path for path in units if ID[:8] in path or "docker-" in path]


@pytest.fixture
def host(tmp_path: Path, recording: Recordings) -> Path:
    return Path(shutil.copytree(recording("cgroup1-mini") / "t0", tmp_path / "host", symlinks=True))


def test_v1_and_its_end(host: Path) -> None:
    """The groups at the top of a tree without systemd; one that goes is ended, once."""
    looked = Looked(host)
    units = looked.units()
    assert set(units) == {"/docker", "/kubepods"}
    docker = host / "sys/fs/cgroup/cpu,cpuacct/docker"
    usage = units["/docker"]["systemd_unit_cpu_usage_seconds_total", ()]
    assert usage == int((docker / "cpuacct.usage").read_text()) / 1e9
    for folder in (host / "sys/fs/cgroup").iterdir():
        if not folder.is_symlink() and (folder / "kubepods").is_dir():
            shutil.rmtree(folder / "kubepods")
    gone: Labels = (("id", "/kubepods"), ("type", "cgroup"), ("unit", "kubepods"))
    assert looked.frame().ended == (gone,)
    assert looked.frame().ended == ()
    looked.source.close()


def test_limit_and_turns(recording: Recordings) -> None:
    root = recording("cgroup2") / "t0"
    every = len(find_units(str(root / "sys/fs/cgroup"), StrictFaults()))
    few = Looked(root, SampleSettings(interval_s=10, unit_interval_s=30, max_units=3))
    assert {path.count("/") for path in few.units()} == {1}  # the top of the tree first
    assert few.left_out.count == every - 3
    assert [few.source.look(1) is not None for _ in range(4)] == [False, False, True, False]
    few.source.close()
