from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from agent.tail.logfile import GzipFile, TornGzip, open_log

TEXT = b"".join(b"line %d of a log that is compressed\n" % i for i in range(50_000))


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    path = tmp_path / "a.log.2.gz"
    path.write_bytes(gzip.compress(TEXT))
    return path


def test_a_compressed_file_reads_as_its_text(compressed: Path) -> None:
    file = open_log(str(compressed))
    assert file.stat().size is None  # nobody knows before the end
    got, at = b"", 0
    while data := file.pread(100_003, at):
        got, at = got + data, at + len(data)
    assert got == TEXT
    assert file.stat().size == len(TEXT)
    file.close()


@pytest.mark.parametrize("offset", [0, 1, 70_000, len(TEXT) - 3, len(TEXT), len(TEXT) + 9])
def test_any_offset_forwards_and_back(compressed: Path, offset: int) -> None:
    file = GzipFile(str(compressed))
    assert file.pread(50, offset) == TEXT[offset : offset + 50]
    assert file.pread(50, 500_000) == TEXT[500_000:500_050]
    assert file.pread(50, offset) == TEXT[offset : offset + 50]
    file.close()


def test_members_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    file = GzipFile(str(path))
    assert file.pread(100, 0) == b"one\ntwo\n"
    file.close()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_torn_file_is_told_from_its_end(compressed: Path, damage: str) -> None:
    data = compressed.read_bytes()
    half = len(data) // 2
    compressed.write_bytes(data[:half] if damage == "cut" else data[:half] + b"\xff" * 50 + data[half + 50 :])
    file = GzipFile(str(compressed))
    assert file.pread(10, 0) == TEXT[:10]
    with pytest.raises(TornGzip):
        file.pread(10, len(TEXT) - 10)
    file.close()


def test_a_deleted_file_is_still_there_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    file = open_log(str(path))
    path.unlink()
    assert file.pread(10, 0) == b"one\n"
    assert file.stat().links == 0
    file.close()
    file.close()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        open_log(str(tmp_path / "pipe"))


def test_gzip_padding_is_its_end(tmp_path: Path) -> None:
    """As tapes and block devices leave it; gzip(1) passes over it too."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(TEXT) + b"\0" * 1000)
    file = GzipFile(str(path))
    assert file.pread(10, len(TEXT) - 10) == TEXT[-10:]
    assert file.pread(10, len(TEXT)) == b""
    assert file.stat().size == len(TEXT)
    file.close()


def test_gzip_what_is_before_a_damage_can_be_salvaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-8] ^= 0xFF  # its checksum
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    file = GzipFile(str(path))
    with pytest.raises(TornGzip, match="incorrect data check"):
        file.pread(len(TEXT) + 1, 0)
    assert file.salvage(len(TEXT) + 1, 0) == TEXT
    assert file.pread(100, 0) == TEXT[:100]  # what lies before it is read as ever
    path.write_bytes(gzip.compress(TEXT))  # written anew in its place
    assert file.pread(len(TEXT) + 1, 0) == TEXT
    file.close()
