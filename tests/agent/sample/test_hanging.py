"""What hangs holds up nobody but itself: a source, a FIFO in the place of a file, a mount whose server is gone."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.sample.app import Sampler
from agent.sample.filesystem import ask_kernel
from agent.sample.hardware import HardwareSource
from agent.sample.settings import SampleSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Samples
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import Series, StaticInventory, by_source, series_of
from tests.fixtures.hung_mount import hung_mount, with_mounts_of_its_own

BUDGET_S = 3.0
"""Far more than a look takes, also on a machine that has much to do."""


class Timed:
    """A sampler of a tree; each frame with the time after the sweep's begin at which it came."""

    def __init__(self, root: str, **options: object) -> None:
        self.registry = CollectorRegistry()
        settings = SampleSettings(budget_s=BUDGET_S, slow_every=1, **options)  # type: ignore[arg-type]
        self.sampler = Sampler(settings, StaticInventory(), root, SystemClock(), "here", registry=self.registry)
        self.took_s = 0.0

    def sweep(self) -> dict[str, tuple[float, Samples]]:
        begun = time.monotonic()
        frames: dict[str, tuple[float, Samples]] = {}
        for some in self.sampler.frames():
            for frame in some:  # of a source that was late both: the old one, and one of now
                frames.setdefault(frame.source, (time.monotonic() - begun, frame))
        self.took_s = time.monotonic() - begun
        return frames

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"deckwatch_agent_sample_{name}", labels) or 0


@pytest.fixture
def host(tmp_path: Path, recording: Recordings) -> Path:
    return Path(shutil.copytree(recording("cgroup1-mini") / "t0", tmp_path / "host", symlinks=True))


def test_a_source_that_hangs_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' frames come at once, also in the sweep in which it begins to hang; later ones don't wait for it; it
    keeps one thread, however many sweeps pass; and it is measured again when it answers at last."""
    let_go = threading.Event()
    look = HardwareSource.look

    def hang(source: HardwareSource, now_ns: int) -> Samples:
        let_go.wait(60)
        return look(source, now_ns)

    monkeypatch.setattr(HardwareSource, "look", hang)
    timed = Timed("/", sources=("cgroup", "state", "host", "hardware"))
    first = timed.sweep()
    assert set(first) >= {"host"}
    assert "hardware" not in first
    assert max(at for at, _ in first.values()) < BUDGET_S / 2
    assert timed.took_s >= BUDGET_S
    threads = threading.active_count()
    begun = time.monotonic()
    for sweep in range(20):
        frames = timed.sweep()
        assert set(frames) == set(first), sweep
    assert time.monotonic() - begun < BUDGET_S * 5  # 20 sweeps that wait would take 20 budgets
    assert threading.active_count() == threads
    assert timed.metric("looks_total", source="hardware", outcome="late") == 21
    assert timed.metric("looks_total", source="host", outcome="done") == 21
    assert timed.metric("last_success_timestamp_seconds", source="hardware") == 0
    assert timed.metric("last_success_timestamp_seconds", source="host") > 0
    let_go.set()
    deadline = time.monotonic() + 10
    while "hardware" not in (frames := timed.sweep()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert frames["hardware"][1].ts_ns == first["host"][1].ts_ns  # its own time: when it was asked
    assert "hardware" in timed.sweep()
    timed.sampler.close()


MOUNT_TIMEOUT_S = 1.0
MEMORY = ("container_memory_rss", ())
CPU = ("container_cpu_usage_seconds_total", (("cpu", "total"),))


def of(frames: dict[str, tuple[float, Samples]], ident: str) -> Series:
    (series,) = [one for labels, one in series_of(frames["cgroup"][1]).items() if ident in dict(labels)["id"]]
    return series


def test_a_fifo_in_the_place_of_a_file(host: Path) -> None:
    """Nobody will ever write into it. Only what stood in that file is missing, and it comes back with the file."""
    ident, other = "a1" * 32, "c3" * 32
    file = host / "sys/fs/cgroup/memory/docker" / ident / "memory.stat"
    text = file.read_text()
    replace_by_fifo(file)
    replace_by_fifo(host / "proc/loadavg")
    timed = Timed(str(host), sources=("cgroup", "host", "unit", "process"))
    for _ in range(3):
        frames = timed.sweep()
        assert timed.took_s < BUDGET_S
        assert {"cgroup", "host"} <= set(frames)
        assert MEMORY not in of(frames, ident)
        assert CPU in of(frames, ident)
        assert MEMORY in of(frames, other)
        names = {name for name, _ in series_of(frames["host"][1])[()]}
        assert "node_load1" not in names
        assert "node_memory_MemTotal_bytes" in names
    assert timed.metric("faults_total", reason="ESPIPE") >= 6
    file.unlink()
    file.write_text(text)
    assert MEMORY in of(timed.sweep(), ident)
    timed.sampler.close()


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def test_a_mount_whose_server_is_gone(tmp_path: Path) -> None:
    """A real one: it is reported, the others have their figures, and sweeps go on without waiting for it."""
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "nas").mkdir()
    (tmp_path / "proc/loadavg").write_text("1 2 3\n")
    (tmp_path / "proc/1/mountinfo").write_text(
        f"22 1 {ask_kernel(str(tmp_path)).number} / / rw - ext4 /dev/sda1 rw\n"
        "23 22 0:99 / /nas rw - fuse.sshfs server rw\n"
    )

    def body() -> None:
        with hung_mount(tmp_path / "nas"):
            timed = Timed(str(tmp_path), sources=("host", "filesystem"), mount_timeout_s=MOUNT_TIMEOUT_S)
            try:
                sweeps(timed)
            finally:
                timed.sampler.close()

    def sweeps(timed: Timed) -> None:
        threads = None
        for sweep in range(5):
            frames = timed.sweep()
            assert timed.took_s < BUDGET_S
            if not sweep:  # it is asked, and waited for
                assert frames["host"][0] < MOUNT_TIMEOUT_S <= frames["filesystem"][0]
            series = series_of(frames["filesystem"][1])[()]
            assert failed(series) == {"/": 0, "/nas": 1}
            assert [name for name, _ in series].count("node_filesystem_size_bytes") == 1
            threads = threads or threading.active_count()
            assert threading.active_count() == threads, sweep

    with_mounts_of_its_own(body)


def failed(series: Series) -> dict[str, float]:
    return {
        dict(labels)["mountpoint"]: value
        for (name, labels), value in series.items()
        if name == "node_filesystem_device_error"
    }


def test_frames_of_all_sources_come_without_waiting_for_each_other() -> None:
    timed = Timed("/")
    frames = by_source([frame for _, frame in timed.sweep().values()])
    assert {"host", "hardware", "filesystem", "process"} <= set(frames)
    assert timed.took_s < BUDGET_S
    timed.sampler.close()
