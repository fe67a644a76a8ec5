"""Writable layers: what a folder takes as du(1) counts, a little at a time; and real containers' layers."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import pytest

from agent.model import LogSource
from agent.sample.disk_use import DiskUse, measure
from agent.sample.inventory_view import InventoryView, Running
from agent.sample.layers import LayerSource, devices, upper_directory
from agent.sample.settings import SampleSettings
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Container
from tests.agent.sample.trees import NotedFaults, Series, StaticInventory, StrictFaults, series_of
from tests.fixtures.docker_engine import Engine

OVERLAY = (
    b"109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=%s,workdir=/w\n"
    b"110 109 0:53 / /proc rw - proc proc rw\n"
)


def drawn(walk: Generator[None, None, DiskUse]) -> Generator[None, None, None]:
    """Draws a walk to its end and keeps what it found."""
    found.append((yield from walk))


found: list[DiskUse] = []


def used(top: Path) -> DiskUse:
    for _ in drawn(measure(str(top))):
        pass
    return found.pop()


def test_as_du_counts(tmp_path: Path) -> None:
    (tmp_path / "one/two").mkdir(parents=True)
    (tmp_path / "one/file").write_bytes(os.urandom(100_000))
    (tmp_path / "one/again").hardlink_to(tmp_path / "one/file")  # counts once
    (tmp_path / "one/two/sparse").touch()
    os.truncate(tmp_path / "one/two/sparse", 1 << 30)  # no blocks
    (tmp_path / "link").symlink_to("/etc")  # not followed
    os.mkfifo(tmp_path / "fifo")  # not opened
    told = int(subprocess.run(["du", "-sk", str(tmp_path)], capture_output=True, check=True).stdout.split()[0]) * 1024
    assert used(tmp_path) == DiskUse(told, 7)
    with pytest.raises(FileNotFoundError):
        used(tmp_path / "none")


def test_what_goes_meanwhile(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    walk = drawn(measure(str(tmp_path)))
    next(walk)
    for name in ("a", "b"):
        (tmp_path / name).rmdir()
    assert list(walk) == [None, None]
    assert found.pop().inodes == 3


@pytest.mark.parametrize(
    ("text", "upper"),
    [
        (OVERLAY % b"/var/lib/docker/overlay2/x/diff", "/var/lib/docker/overlay2/x/diff"),
        (OVERLAY % rb"/my\040disk/diff", "/my disk/diff"),
        (b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n", ""),
        (b"1 0 0:5 / / ro - overlay overlay ro,lowerdir=/a:/b\n", ""),  # a read-only root
        (b"", ""),
    ],
)
def test_upper_directory(text: bytes, upper: str) -> None:
    assert upper_directory(text) == upper


class Host:
    """A tree with one container's process, its layer and its log."""

    def __init__(self, root: Path, **settings: float) -> None:
        self.root = root
        self.layer = root / "layers/x/diff"
        self.layer.mkdir(parents=True)
        self.log = root / "logs/json.log"
        self.log.parent.mkdir()
        self.log.write_bytes(b"x" * 20_000)
        (root / "proc/42").mkdir(parents=True)
        (root / "proc/42/mountinfo").write_bytes(OVERLAY % b"/layers/x/diff")
        (root / "proc/1").mkdir()
        number = root.stat().st_dev
        major_minor = f"{os.major(number)}:{os.minor(number)}"
        (root / "proc/1/mountinfo").write_text(f"22 1 {major_minor} / / rw - ext4 /dev/sda1 rw\n")
        self.inventory = StaticInventory()
        self.inventory.sources = {"c/json": LogSource("c/json", str(self.log), container=Container("c"))}
        self.view = InventoryView(self.inventory)
        self.view.refresh()
        self.faults = NotedFaults()
        self.run("web")
        options = SampleSettings(layer_interval_s=settings.get("layer_interval_s", 60))
        self.source = LayerSource(options, str(root), self.view, self.faults)

    def run(self, name: str) -> None:
        self.view.running = {"/docker/c": Running("c", (("id", "/docker/c"), ("name", name)), 42)}

    def series(self) -> Series:
        frame = self.source.look(1)
        assert frame is not None
        assert {column.name for schema in frame.schemas for column in schema} <= set(CATALOGUE)
        (series,) = series_of(frame).values()
        return series


DEVICE = (("device", "/dev/sda1"),)


def test_layer_and_logs(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (host.layer / "file").write_bytes(b"y" * 50_000)
    series = host.series()
    logs = used(host.log.parent).bytes
    assert series["container_fs_usage_bytes", DEVICE] == used(host.layer).bytes + logs
    assert series["container_fs_inodes_total", DEVICE] == 2
    facts = os.statvfs(host.layer)
    assert series["container_fs_limit_bytes", DEVICE] == facts.f_blocks * facts.f_frsize
    (host.layer / "more").write_bytes(b"z" * 50_000)
    assert host.source.look(2) is None  # nothing new
    looks = [frame for _ in range(6) if (frame := host.source.look(3)) is not None]
    assert [series_of(frame) for frame in looks] == [{host.view.running["/docker/c"].labels: series}]  # once a minute


def test_a_new_name_and_the_end(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.series()
    host.run("renamed")
    frame = host.source.look(2)
    assert frame is not None
    assert frame.ended == ((("id", "/docker/c"), ("name", "web")),)
    host.view.running = {}
    frame = host.source.look(3)
    assert frame is not None
    assert frame.ended == ((("id", "/docker/c"), ("name", "renamed")),)
    assert host.source.look(4) is None


def test_a_great_layer_takes_many_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look walks for a slice of time only, and what is found is told when it is whole."""
    host = Host(tmp_path)
    for number in range(30):
        (host.layer / f"folder-{number}").mkdir()
    monkeypatch.setattr("agent.sample.layers._SLICE_S", 0.0)
    looks = 0
    while (frame := host.source.look(1)) is None:
        looks += 1
    assert looks >= 30
    assert series_of(frame)[host.view.running["/docker/c"].labels]["container_fs_inodes_total", DEVICE] == 31


def test_no_layer_is_no_figure(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "proc/42/mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert host.source.look(1) is None
    assert host.faults.noted == []


def test_devices() -> None:
    assert devices(b"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\n") == {"8:1": "/dev/sda1"}


@pytest.mark.docker
def test_a_real_container(docker_engine: Engine) -> None:
    """What it writes is found, in its layer and in its log; with a storage driver that is no overlay, nothing is."""
    ident = docker_engine.run(
        f"dw-layer-{uuid.uuid4().hex[:12]}",
        "dd if=/dev/zero of=/big bs=1M count=5 2>/dev/null; for i in 1 2 3; do echo line; done; echo done; sleep 1000",
    )
    try:
        deadline = time.monotonic() + 30
        while b"done" not in docker_engine.logs(ident)[0]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        told = docker_engine.api.get(f"/containers/{ident}/json")
        pid = told["State"]["Pid"]
        if not upper_directory(Path(f"/proc/{pid}/mountinfo").read_bytes()):
            pytest.skip("this engine's storage driver is no overlay")
        inventory = StaticInventory()
        inventory.sources = {"x": LogSource("x", told["LogPath"], container=Container(ident))}
        view = InventoryView(inventory)
        view.refresh()
        view.running = {"/docker/x": Running(ident, (("id", "/docker/x"),), pid)}
        source = LayerSource(SampleSettings(), "/", view, StrictFaults())
        frame = None
        while frame is None:
            frame = source.look(1)
        (series,) = series_of(frame).values()
        by_name = {name: value for (name, _), value in series.items()}
        assert 5 << 20 <= by_name["container_fs_usage_bytes"] < 6 << 20
        assert by_name["container_fs_inodes_total"] >= 2
        assert by_name["container_fs_limit_bytes"] > 5 << 20
    finally:
        docker_engine.rm(ident)
