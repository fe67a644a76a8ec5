from __future__ import annotations

from pathlib import Path

import pytest

from agent.sample.hierarchy import Hierarchies, Layout, find_hierarchies
from tests.agent.sample.conftest import Recordings


@pytest.mark.parametrize(
    ("name", "layout", "joined"),
    [
        ("cgroup1/t0", Layout.HYBRID, False),
        ("cgroup2/t0", Layout.V2, False),
        ("cgroup1-mini/t0", Layout.V1, True),
        ("cgroup2-mini/t0", Layout.V2, False),
        ("cadvisor-parity-cgroup1", Layout.V1, False),  # its unified mount's root was not recorded
        ("cadvisor-parity-cgroup2", Layout.V2, False),
    ],
)
def test_recorded_layouts(recording: Recordings, name: str, layout: Layout, joined: bool) -> None:
    archive, _, moment = name.partition("/")
    found = find_hierarchies(str(recording(archive) / moment))
    assert found.layout is layout
    assert (found.v1.get("cpu") == found.v1.get("cpuacct")) == (joined or layout is Layout.V2)
    assert Path(found.walked()).is_dir()
    assert found.describe().startswith("cgroup v2" if layout is Layout.V2 else "cgroup v1")


def test_mount_table_before_names(tmp_path: Path) -> None:
    """Mounted elsewhere, with a space in its name; what the table lists but can't be seen here is left out."""
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "my cgroups/cpu").mkdir(parents=True)
    (tmp_path / "proc/1/mountinfo").write_text(
        "31 23 0:28 / /sys rw - sysfs sysfs rw\n"
        "32 31 0:29 / /my\\040cgroups/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /gone/memory rw - cgroup cgroup rw,memory\n"
    )
    mount = str(tmp_path / "my cgroups/cpu")
    assert find_hierarchies(str(tmp_path)) == Hierarchies(Layout.V1, {"cpu": mount, "cpuacct": mount})


def test_by_names_alone(tmp_path: Path) -> None:
    base = tmp_path / "sys/fs/cgroup"
    (base / "cpu,cpuacct").mkdir(parents=True)
    (base / "cpu").symlink_to("cpu,cpuacct")
    (base / "memory").mkdir()
    (base / "systemd").mkdir()
    (base / "unified").mkdir()
    found = find_hierarchies(str(tmp_path))
    assert found.layout is Layout.V1  # an empty `unified` is no mount
    assert found.v1["cpu"] == found.v1["cpuacct"] == str(base / "cpu,cpuacct")
    assert found.v1["name=systemd"] == str(base / "systemd")
    (base / "unified/cgroup.controllers").touch()
    assert find_hierarchies(str(tmp_path)).layout is Layout.HYBRID


def test_none(tmp_path: Path) -> None:
    assert find_hierarchies(str(tmp_path)).layout is Layout.NONE


def test_this_machine() -> None:
    found = find_hierarchies("/")
    if found.layout is Layout.NONE:
        pytest.skip("no cgroups are mounted here")
    names = ("cgroup.controllers",) if found.layout is Layout.V2 else ("cgroup.procs",)
    assert all((Path(found.walked()) / name).exists() for name in names)
