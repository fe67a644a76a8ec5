from __future__ import annotations

from pathlib import Path

import pytest

from agent.tail.damage import next_readable, survey
from agent.tail.logfile import BLOCK_BYTES, PlainFile


@pytest.mark.parametrize(
    ("bad", "blocks", "found"),
    [
        (range(3, 4), 10, 4),
        (range(3, 9), 10, 9),
        (range(3, 10), 10, None),
        (range(1000), 5000, 1000),  # the border behind a skipped stretch
        (range(4999), 5000, 4999),  # the last one is never skipped
        (range(5000), 5000, None),
        (range(1), 1, None),
    ],
)
def test_next_readable(bad: range, blocks: int, found: int | None) -> None:
    tried: list[int] = []

    def can_read(offset: int) -> bool:
        tried.append(offset)
        return offset // BLOCK_BYTES not in bad

    size = (blocks - 1) * BLOCK_BYTES + 1
    at = next_readable(can_read, bad.start * BLOCK_BYTES + 17, size)
    assert at == (None if found is None else found * BLOCK_BYTES)
    assert len(tried) < 100  # each may take a disk seconds


def test_a_whole_file_has_no_damage(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"line\n" * 200_000 + b"unterminated")
    file = PlainFile(str(tmp_path / "a"))
    assert survey(file, 5) is None
    file.close()
