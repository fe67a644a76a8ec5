from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from pathlib import Path

import msgspec
import pytest

from agent.sample.filesystem import Facts, FilesystemSource, Mount, Prober, ask_kernel, parse_mounts
from agent.sample.settings import FILESYSTEM_TYPES_EXCLUDE, MOUNT_POINTS_EXCLUDE, SampleSettings
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.agent.sample.trees import Series, StrictFaults, series_of

FACTS = Facts("8:1", 100, 50, 40, 10, 5)
MOUNTS = rb"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:20 / /proc rw - proc proc rw
24 22 8:2 / /my\040disk ro,relatime - xfs /dev/sda2 rw
25 22 0:30 / /nas rw - nfs4 server:/export ro,vers=4.2
26 22 0:31 / /run rw - tmpfs tmpfs rw
27 26 0:32 / /run rw,nosuid - tmpfs run rw
28 22 0:33 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
29 22 8:3 / /var/lib/docker rw - ext4 /dev/sda3 rw
"""


def test_mounts() -> None:
    types, points = re.compile(FILESYSTEM_TYPES_EXCLUDE), re.compile(MOUNT_POINTS_EXCLUDE)
    assert parse_mounts(MOUNTS, types, points) == [
        Mount("/dev/sda1", "/", "ext4", False, "8:1"),
        Mount("/dev/sda2", "/my disk", "xfs", True, "8:2"),
        Mount("server:/export", "/nas", "nfs4", True, "0:30"),
        Mount("run", "/run", "tmpfs", False, "0:32"),  # mounted over
        Mount("/dev/sda3", "/var/lib/docker", "ext4", False, "8:3"),
    ]


class Servers:
    """File systems of which those in `hanging` do not answer until they are let go."""

    def __init__(self, *hanging: str) -> None:
        self.hanging = set(hanging)
        self.let_go = threading.Event()

    def __call__(self, path: str) -> Facts:
        if path in self.hanging:
            self.let_go.wait(30)
        return FACTS


def test_a_dead_mount_is_left_alone_until_it_answers() -> None:
    servers = Servers("/nas")
    prober = Prober(0.1, servers)
    begun = time.monotonic()
    assert prober.ask("/nas") is None
    assert prober.ask("/") == FACTS  # by another thread
    assert [prober.ask("/nas") for _ in range(100)] == [None] * 100
    assert time.monotonic() - begun < 5
    assert prober.stuck == {"/nas"}
    servers.hanging.clear()
    servers.let_go.set()
    deadline = time.monotonic() + 10
    while prober.stuck and time.monotonic() < deadline:
        time.sleep(0.01)
    assert prober.ask("/nas") == FACTS
    prober.close()


def test_an_error_is_a_value() -> None:
    prober = Prober(5)
    answer = prober.ask("/no such place")
    assert isinstance(answer, OSError)
    assert answer.errno == errno.ENOENT
    assert prober.ask("/") == ask_kernel("/") or isinstance(prober.ask("/"), Facts)
    prober.close()


def test_this_machine() -> None:
    source = FilesystemSource(SampleSettings(), "/", StrictFaults())
    frame = source.look(0)
    source.close()
    series: Series = series_of(frame)[()]
    if not series:
        pytest.skip("all mounts of this machine are of types that are left out")
    assert {name for name, _ in series} <= set(CATALOGUE)
    for (name, labels), value in series.items():
        if name == "node_filesystem_size_bytes":
            point = dict(labels)["mountpoint"]
            assert value == shutil.disk_usage(point).total
            assert series["node_filesystem_device_error", labels] == 0
            assert series["node_filesystem_avail_bytes", labels] <= series["node_filesystem_free_bytes", labels]


class Noted:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, where: str, error: Exception) -> None:
        self.notes.append(f"{where}: {error}")


def test_below_another_root_only_what_is_really_mounted_there(tmp_path: Path) -> None:
    """The directory under a mount that can't be seen here must not answer in its place."""
    own = ask_kernel(str(tmp_path)).number
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "proc/1/mountinfo").write_text(
        f"22 1 {own} / / rw - ext4 /dev/sda1 rw\n23 22 250:250 / /data rw - ext4 /dev/sdb1 rw\n"
        "24 22 0:99 / /gone ro - nfs4 server:/x rw\n"
    )
    faults = Noted()
    source = FilesystemSource(SampleSettings(), str(tmp_path), faults)
    series = series_of(source.look(0))[()]
    source.close()
    sized = {dict(labels)["mountpoint"] for name, labels in series if name == "node_filesystem_size_bytes"}
    assert sized == {"/"}
    failed = {
        dict(labels)["mountpoint"]: value for (name, labels), value in series.items() if name.endswith("device_error")
    }
    assert failed == {"/": 0, "/gone": 1}
    assert len(faults.notes) == 2
    assert "/data: not to be seen below" in faults.notes[0]


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    """It is asked for by its bytes, and sent as text."""
    point = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    Path(point).mkdir()
    Path(point, "proc").mkdir()
    types, points = re.compile("^$"), re.compile("^$")
    (mount,) = parse_mounts(b"22 1 8:1 / " + os.fsencode(point) + b" rw - ext4 /dev/sda1 rw\n", types, points)
    assert ask_kernel(mount.point).size_bytes > 0
    assert dict(mount.labels())["mountpoint"] == str(tmp_path) + "/caf\N{REPLACEMENT CHARACTER}"
    assert msgspec.msgpack.encode(mount.labels())
