from __future__ import annotations

import re

from agent.sample.settings import SampleSettings, pattern
from deckwatch.wire.metrics_catalogue import CATALOGUE, MetricType
from tests.agent.sample.conftest import Recordings


def test_types_are_cadvisors(recording: Recordings) -> None:
    text = (recording("cadvisor-parity-cgroup1") / "cadvisor-0.60.5-default.prom").read_text()
    text += (recording("cadvisor-parity-cgroup2") / "cadvisor-0.60.5-raw.prom").read_text()
    theirs = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    ours = {name: info.type.value for name, info in CATALOGUE.items() if name in theirs}
    assert len(ours) > 50
    assert ours == {name: theirs[name] for name in ours}


def test_entries_are_of_one_form() -> None:
    for name, info in CATALOGUE.items():
        assert re.fullmatch(r"[a-zA-Z_]\w*", name)
        assert info.help.endswith("."), name
        assert "\n" not in info.help
        if info.type is MetricType.GAUGE:
            assert not name.endswith("_total") or name == "container_fs_inodes_total"  # cAdvisor's own name
        if name.endswith(("_bytes", "_seconds")):
            assert info.unit == name.rpartition("_")[2], name


def test_default_expressions_are_valid() -> None:
    for option in ("filesystem_types_exclude", "mount_points_exclude", "disks_exclude", "interfaces_exclude"):
        assert pattern(SampleSettings(), option).pattern
    assert pattern(SampleSettings(), "disks_exclude").search("nvme0n1p1")
    assert not pattern(SampleSettings(), "disks_exclude").search("nvme0n1")
    assert pattern(SampleSettings(), "interfaces_exclude").search("veth1a2b3c")
    assert not pattern(SampleSettings(), "interfaces_exclude").search("eth0")
    assert pattern(SampleSettings(), "mount_points_exclude").search("/var/lib/docker/overlay2/x/merged")
    assert not pattern(SampleSettings(), "mount_points_exclude").search("/var/lib/docker")
