"""Under the kernels: whatever the bytes are, nothing breaks and nothing is lost; stale code is dropped."""

# ruff: noqa: E501 - rows of a table

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba.core import caching

from collector.parse.input import Accepted
from collector.parse.kernels import drop_stale
from collector.parse.kernels.compiling import kernel
from collector.parse.kernels.words import AMBIGUOUS, WORDS, kernel_word_level
from collector.parse.scratch import Scratch
from collector.parse.settings import JoinSettings, ParseSettings
from deckwatch.wire.model import Chunk, Format
from tests.collector.parse.feeding import Feed, parse_all

PARTS = (
    b'{"log":"', b'\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}', b'{"time":', b'"', b"\\", b"\\u", b"\\ud83d",
    b"{", b"}", b"[", b"]", b":", b",", b"\n", b"\r\n", b"\0", b"\xff", b"\xf0\x9f", b"2026-01-01T00:00:00", b" stdout F ",
    b"<", b"E0102 ", b"level=", b'"level":', b"ERROR", b"Traceback (most recent call last):", b"goroutine 1 [", b"\x1b[",
    b"Exception", b"fatal error", b"a" * 119, b"D/", b"panic: ", b" ", b"\t", b"1", b"x" * 15,
)  # fmt: skip
NOTHING_JOINED = ParseSettings(plain=JoinSettings(traces=False, indented=False))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=4)), max_size=12))
def test_any_bytes(parts: list[bytes]) -> None:
    data = b"".join(parts)
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    expected = [line.removesuffix(b"\r").decode(errors="replace") for line in lines]
    assert [record.message for record in parse_all(data, Format.PLAIN, NOTHING_JOINED)] == expected
    for fmt in (Format.DOCKER_JSON, Format.CRI):
        records = parse_all(data, fmt)
        assert sorted((record.start, record.end) for record in records)[:1] == ([(0, records[0].end)] if data else [])


def test_every_level_word_is_found_and_others_are_not() -> None:
    def found(word: str) -> int:
        return kernel_word_level(np.frombuffer(bytearray(word.encode() + bytes(32)), np.uint8), 0, len(word))

    long = {"informat": ("information", "informational"), "emergenc": ("emergency",)}
    for word, code in WORDS.items():
        for spelling in long.get(word, (word, word.upper(), word.capitalize())):
            assert found(spelling) == code
    for word in ("informat", "emergenc", "errors", "in", "", "warnings", "criticalx", "order", "informationalx"):
        assert found(word) == 0
    assert {code & ~AMBIGUOUS for code in WORDS.values()} == set(range(1, 8))


def test_compiled_code_older_than_a_source_is_dropped(tmp_path: Path) -> None:
    source, cache = tmp_path / "a.py", tmp_path / "__pycache__"
    cache.mkdir()
    source.write_text("")
    old, new = cache / "a.f-1.py311.nbi", cache / "b.g-1.py311.nbi"
    for path in (old, new, cache / "a.f-1.py311.1.nbc", cache / "b.g-1.py311.1.nbc"):
        path.write_text("")
    os.utime(source, (1000, 1000))
    os.utime(old, (999, 999))
    os.utime(new, (1001, 1001))
    assert drop_stale(tmp_path) == 1
    assert sorted(path.name for path in cache.iterdir()) == ["b.g-1.py311.1.nbc", "b.g-1.py311.nbi"]
    assert drop_stale(tmp_path) == 0


def test_scratch_is_used_again_unless_it_is_large() -> None:
    scratch = Scratch()
    byte = np.dtype(np.uint8)
    first = scratch.take("a", 1000, byte)
    assert len(first) == 1000
    assert np.shares_memory(first, scratch.take("a", 1200, byte))
    assert not np.shares_memory(first, scratch.take("b", 10, byte))
    large = scratch.take("a", 40 << 20, byte)
    assert len(large) == 40 << 20
    assert np.shares_memory(first, scratch.take("a", 10, byte))


def test_frames_do_not_refer_to_memory_that_is_used_again() -> None:
    feed = Feed(Format.PLAIN, NOTHING_JOINED)
    lines = [b"line %d of the first entry, \xff\n" % n for n in range(100)]
    frame = feed.parser.parse(Accepted(1, 1, feed.batch([Chunk(0, 0, 0, 0, b"".join(lines))]), (0,)))
    before = frame.rows.to_dicts()
    for n in range(5):
        feed.parser.parse(Accepted(n, 1, feed.batch([Chunk(0, 0, 0, 0, b"other\n" * 1000)]), (0,)))
    assert frame.rows.to_dicts() == before
    assert before[7]["message"] == "line 7 of the first entry, \ufffd"


def test_warm_up_leaves_nothing_to_be_compiled() -> None:
    """In a process of its own: here others have been before."""
    code = """
from collector.parse.kernels import describe, join, lines
from collector.parse.parser import warm_up
warm_up()
kernels = [lines.read_lines, join.join_lines, join.gather, join.list_open, describe.describe, describe.repair]
print([len(kernel.signatures) for kernel in (*kernels, describe.fill)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 1, 1, 1, 1, 1, 1]\n"


def test_where_no_folder_can_be_written_kernels_are_compiled_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])

    def double(number: int) -> int:
        return 2 * number

    assert kernel(double)(21) == 42
