"""However the bytes of a stream are cut into chunks and batches, and wherever the parser is started anew, the records
are the same. Compared with an own, slow reading of docker-json, too."""

from __future__ import annotations

import json
import random
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.parse.settings import JoinSettings, ParseSettings
from deckwatch.wire.model import Format
from tests.bench.generate import write_docker_json
from tests.collector.parse.feeding import Feed, Record, docker, parse_all

TEXTS = (
    "plain", "", "  indented", "\tat a.b.C(D.java:1)", "Caused by: x", "Traceback (most recent call last):",
    '  File "a.py", line 1', "ValueError: x", "During handling of the above exception, another exception occurred:",
    "panic: x", "goroutine 1 [running]:", "main.main()", "created by x", "ERROR failed", '{"level":"warn"}', "a=1 b=2",
    "ünï 🚚", "thread 'main' panicked at a.rs:1:", "stack backtrace:", "note: run with `RUST_BACKTRACE=1`",
    "2026-01-02 03:04:05 INFO done status=200", '{"time":"2026-01-02T03:04:05Z","n":1}', "Jan  2 03:04:05 host x[1]: y",
    "\ud800", "cr\r", "a\0b", "7 seven",
)  # fmt: skip
CUTS = st.lists(st.integers(0, 10_000), max_size=12)
SMALL = ParseSettings(max_joined_lines=5, max_joined_bytes=1024)


@st.composite
def docker_files(draw: st.DrawFn) -> bytes:
    lines: list[bytes] = []
    for _ in range(draw(st.integers(0, 25))):
        text = draw(st.sampled_from(TEXTS))
        match draw(st.integers(0, 9)):
            case 0:
                lines.append(text.encode(errors="surrogatepass").replace(b"\n", b"") + b"\n")
            case 1:
                lines.append(docker(text, draw(st.sampled_from(("stdout", "stderr")))))  # a piece
            case _:
                lines.append(docker(text + "\n", draw(st.sampled_from(("stdout", "stdout", "stderr")))))
    return b"".join(lines)


@st.composite
def text_files(draw: st.DrawFn) -> bytes:
    head = draw(st.sampled_from(("", "2026-01-01T00:00:00Z stdout F ", "2026-01-01T00:00:00Z stderr P ")))
    texts = draw(st.lists(st.sampled_from(TEXTS), max_size=25))
    data = b"".join((head + text).encode(errors="surrogatepass") + b"\n" for text in texts)
    return data + draw(st.sampled_from((b"", b"no end", b"\xff\xf0\x9f")))


def feed_cut(data: bytes, fmt: Format, cuts: list[int], rng: random.Random, config: ParseSettings) -> list[Record]:
    """Cut anywhere, some chunks together in a batch, sometimes with a restart between."""
    feed = Feed(fmt, config)
    records: list[Record] = []
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    while pieces:
        count = rng.randint(1, 3)
        now, pieces = pieces[:count], pieces[count:]
        records += feed.give(*now, eof=not pieces)
        if rng.random() < 0.5:
            feed.restart()
    assert feed.parser.open_streams == 0
    return records


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=docker_files(), cuts=CUTS, seed=st.integers(0, 1000))
def test_docker_json_cut_anywhere(data: bytes, cuts: list[int], seed: int) -> None:
    whole = parse_all(data, Format.DOCKER_JSON, SMALL)
    pieces = feed_cut(data, Format.DOCKER_JSON, cuts, random.Random(seed), SMALL)
    assert sorted(pieces) == whole
    assert_all_there(data, whole)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=text_files(), cuts=CUTS, seed=st.integers(0, 1000), fmt=st.sampled_from((Format.PLAIN, Format.CRI)))
def test_text_cut_anywhere(data: bytes, cuts: list[int], seed: int, fmt: Format) -> None:
    whole = parse_all(data, fmt, SMALL)
    assert sorted(feed_cut(data, fmt, cuts, random.Random(seed), SMALL)) == whole
    assert_all_there(data, whole)


def assert_all_there(data: bytes, records: list[Record]) -> None:
    """In the order of start, and each line begins or ends inside exactly one record of its iostream."""
    starts = [record.start for record in records]
    assert starts == sorted(set(starts))
    if data:
        assert records[0].start == 0
        assert max(record.end for record in records) == len(data)
    for record in records:
        assert record.start == 0 or data[record.start - 1 : record.start] == b"\n"
        assert record.end == len(data) or data[record.end - 1 : record.end] == b"\n"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fmt", [Format.PLAIN, Format.CRI, Format.DOCKER_JSON])
def test_long_lines_cut_anywhere(seed: int, fmt: Format) -> None:
    """Lines of several MiB, in which the places where they are cut into records must not depend on the chunks."""
    rng = random.Random(seed)
    head = b"" if fmt is Format.PLAIN else b"2026-01-01T00:00:00Z stderr F "
    pattern = "€🚚ä ".encode()
    sizes = [rng.choice((10, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_500_000)) for _ in range(3)]
    data = b"".join(head + (pattern * (size // 8 + 1))[:size].replace(b"\n", b" ") + b"\r\n" for size in sizes)
    cuts = [rng.randrange(len(data)) for _ in range(6)] + [1 << 20, (1 << 20) + 1, 1 << 21]
    assert sorted(feed_cut(data, fmt, cuts, rng, ParseSettings())) == parse_all(data, fmt)


def test_whole_files_cut_at_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "c-json.log"
    write_docker_json(path, lines=20_000, seed=5)
    data = path.read_bytes()
    whole = parse_all(data)
    rng = random.Random(5)
    ends = [n + 1 for n, byte in enumerate(data) if byte == 10]
    cuts = rng.sample(ends, 300)
    assert sorted(feed_cut(data, Format.DOCKER_JSON, cuts, rng, ParseSettings())) == whole


def test_like_a_reading_line_by_line(tmp_path: Path) -> None:
    """Text, time and place of every record against json.loads and strptime, with nothing joined but pieces."""
    path = tmp_path / "c-json.log"
    write_docker_json(path, lines=20_000, seed=7)
    data = path.read_bytes()
    off = ParseSettings(docker_json=JoinSettings(traces=False, indented=False))
    found = [(r.start, r.end, r.ts, r.iostream, r.message) for r in parse_all(data, Format.DOCKER_JSON, off)]
    expected: list[tuple[int, int, int, str, str]] = []
    begun: dict[str, tuple[int, int, str]] = {}
    at = 0
    for line in data.splitlines(keepends=True):
        fields = json.loads(line)
        start, ts, text = begun.pop(fields["stream"], (at, nanoseconds(fields["time"]), ""))
        text, at = text + fields["log"], at + len(line)
        if text.endswith("\n"):
            expected.append((start, at, ts, fields["stream"], text[:-1]))
        else:
            begun[fields["stream"]] = (start, ts, text)
    assert found == sorted(expected)


def nanoseconds(stamp: str) -> int:
    seconds, _, fraction = stamp.rstrip("Z").partition(".")
    whole = int(datetime.fromisoformat(seconds + "+00:00").timestamp())
    return whole * 10**9 + int(fraction.ljust(9, "0"))
