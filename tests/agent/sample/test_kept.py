from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from agent.sample.kept import DescriptorPool, KeptFile, read_once


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_reads_again_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "cpu.stat"
    path.write_text("a 1\n")
    pool = DescriptorPool()
    kept = KeptFile(str(path), pool)
    assert kept.read() == b"a 1\n"
    path.write_text("a 22\n")
    assert kept.read() == b"a 22\n"
    assert pool.kept == 1
    kept.close()
    assert pool.kept == 0


@pytest.mark.parametrize("size", [0, 1, 3071, 3072, 4096, 8191, 8192, 8193, 100_000])
def test_reads_to_the_end_however_long(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cgroup.procs"
    path.write_bytes(b"7" * size)
    kept = KeptFile(str(path), DescriptorPool())
    assert kept.read() == kept.read() == read_once(str(path)) == b"7" * size
    kept.close()


def test_missing_is_remembered_until_retried(tmp_path: Path) -> None:
    path = tmp_path / "memory.peak"
    kept = KeptFile(str(path), DescriptorPool())
    assert kept.read() is None
    path.write_text("1\n")
    assert kept.read() is None
    kept.retry()
    assert kept.read() == b"1\n"
    kept.close()


def test_without_descriptors_left_files_are_opened_for_each_read(tmp_path: Path) -> None:
    pool = DescriptorPool(1)
    files = []
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        files.append(KeptFile(str(tmp_path / name), pool))
    open_before = open_descriptors()
    assert [file.read() for file in files] == [b"a", b"b"]
    assert [file.read() for file in files] == [b"a", b"b"]
    assert pool.kept == 1
    assert open_descriptors() == open_before + 1
    for file in files:
        file.close()


def test_half_of_the_limit_by_default() -> None:
    assert DescriptorPool().limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


def test_an_end_while_open_is_absence() -> None:
    """As a removed cgroup's file answers ENODEV, so a file of an ended process answers ESRCH."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    pool = DescriptorPool()
    kept = KeptFile(f"/proc/{child.pid}/stat", pool)
    assert kept.read()
    child.communicate(b"\n")
    assert kept.read() is None
    assert pool.kept == 0


def test_a_true_failure_is_raised() -> None:
    kept = KeptFile("/proc/self/mem", DescriptorPool())  # nothing is mapped at address 0
    with pytest.raises(OSError, match="Input/output") as failure:
        kept.read()
    assert failure.value.errno == errno.EIO
    kept.close()
    with pytest.raises(IsADirectoryError):
        read_once("/proc")
