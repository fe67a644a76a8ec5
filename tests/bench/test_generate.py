"""The generator of bench input: what it writes is valid docker-json, repeatable, and never twice the same."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from tests.bench.generate import REAL_LOGS, parse_size, real_lines, write_docker_json


class DockerLine(msgspec.Struct, forbid_unknown_fields=True):
    log: str
    stream: str
    time: datetime


def read(path: Path) -> list[DockerLine]:
    return [msgspec.json.decode(line, type=DockerLine) for line in path.read_bytes().splitlines()]


def test_lines_are_docker_json_in_order_of_time_with_valid_bodies(tmp_path: Path) -> None:
    path = tmp_path / "c-json.log"
    assert write_docker_json(path, lines=20_000, seed=3) == path.stat().st_size
    lines = read(path)
    assert len(lines) == 20_000
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert {line.stream for line in lines} == {"stdout", "stderr"}
    bodies = [line.log for line in lines if line.log.startswith('{"')]
    assert len(bodies) > 2_000
    for body in bodies:
        msgspec.json.decode(body)
    assert len({line.log for line in lines}) > 15_000
    assert any("Traceback" in line.log for line in lines)
    assert any(not line.log.endswith("\n") for line in lines), "pieces of a line of more than 16 KiB"


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_docker_json(tmp_path / name, size_bytes=500_000, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()
    assert 500_000 <= (tmp_path / "a").stat().st_size < 520_000


def test_real_lines_repeat_with_other_digits() -> None:
    if not REAL_LOGS.exists():
        pytest.skip(f"{REAL_LOGS} with real logs is not there")
    lines = b"".join(real_lines(REAL_LOGS, 45_000, seed=1)).splitlines()
    assert len(lines) == 45_000
    first, again = (msgspec.json.decode(line, type=DockerLine).log for line in (lines[0], lines[20_000]))
    assert first != again
    assert "".join(c for c in first if not c.isalnum()) == "".join(c for c in again if not c.isalnum())


@pytest.mark.parametrize(
    ("text", "size"), [("200MB", 200_000_000), ("64KiB", 65_536), ("1.5G", 1_500_000_000), ("7", 7)]
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size
