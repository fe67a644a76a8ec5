from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.sample.filesystem import Facts, FilesystemSource, Mount, Place, Prober, ask_kernel, parse_mounts
from agent.sample.settings import FILESYSTEM_TYPES_EXCLUDE, MOUNT_POINTS_EXCLUDE, SampleSettings
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.agent.sample.trees import Series, StrictFaults, series_of

FACTS = Facts("8:1", 100, 50, 40, 10, 5)
SDA1 = (("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", "/"))
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
        self.numbers: dict[str, str] = {}
        self.let_go = threading.Event()

    def __call__(self, path: str) -> Facts:
        if path in self.hanging:
            self.let_go.wait(30)
        return msgspec.structs.replace(FACTS, number=self.numbers.get(path, FACTS.number))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def waiting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "sample-statvfs"}


NAS = Place("/nas", "0:30")


def test_a_dead_mount_is_left_alone_until_it_answers() -> None:
    servers = Servers("/nas")
    prober = Prober(servers)
    begun = time.monotonic()
    assert prober.ask(NAS, 0.1) is None
    assert prober.ask(Place("/"), 5) == FACTS  # by another thread
    assert [prober.ask(NAS, 5) for _ in range(100)] == [None] * 100
    assert time.monotonic() - begun < 5
    assert prober.stuck == {NAS}
    servers.hanging.clear()
    assert prober.ask(Place("/nas", "0:31"), 5) == FACTS  # mounted anew, from a server that lives
    assert prober.stuck == {NAS}
    servers.let_go.set()
    until(lambda: not prober.stuck)
    assert prober.ask(NAS, 5) == FACTS
    prober.close()


def test_an_error_is_a_value() -> None:
    prober = Prober()
    answer = prober.ask(Place("/no such place"), 5)
    assert isinstance(answer, OSError)
    assert answer.errno == errno.ENOENT
    assert isinstance(prober.ask(Place("/"), 5), Facts)
    prober.close()


def test_many_dead_mounts_cost_little_time_and_few_threads(tmp_path: Path) -> None:
    """Of 40 mounts of a dead server the first uses up the look's time; no more than 16 hold a thread, and local file
    systems are asked all the same, also those listed last."""
    (tmp_path / "proc/1").mkdir(parents=True)
    lines = [f"{number} 1 0:{number} / /nas{number} rw - nfs4 server:/{number} rw" for number in range(100, 140)]
    (tmp_path / "proc/1/mountinfo").write_text("\n".join([*lines, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"]))
    root = str(tmp_path)
    servers = Servers(*(f"{root}/nas{number}" for number in range(100, 140)))
    servers.numbers = {f"{root}/nas{number}": f"0:{number}" for number in range(100, 140)}
    before = waiting_threads()
    faults = Noted()
    source = FilesystemSource(SampleSettings(mount_timeout_s=0.05), root, faults, Prober(servers))
    for _ in range(3):
        begun = time.monotonic()
        series = series_of(source.look(0))[()]
        assert time.monotonic() - begun < 20 * 0.3
        assert series["node_filesystem_size_bytes", SDA1] == 100
        assert sum(name == "node_filesystem_device_error" and value == 1 for (name, _), value in series.items()) == 16
        assert len(waiting_threads() - before) == 16 + 1
    assert "/nas116: not asked while 16 other mounts do not answer" in faults.notes[0]
    servers.let_go.set()
    until(lambda: len(waiting_threads() - before) == 1)
    assert len([name for name, _ in series_of(source.look(0))[()] if name == "node_filesystem_size_bytes"]) == 41
    source.close()


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
