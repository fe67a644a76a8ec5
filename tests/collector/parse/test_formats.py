"""One line of each format, and what is wrong with lines."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

from itertools import pairwise

import pytest

from collector.records import FLAG_CLOCK, FLAG_INVALID_UTF8, FLAG_PARTIAL, FLAG_UNPARSED
from deckwatch.wire.model import Chunk, Format
from tests.collector.parse.feeding import RECEIVED_NS, STAMP, STAMP_NS, Feed, docker, messages, parse_all

UNPARSED = FLAG_UNPARSED | FLAG_CLOCK


@pytest.mark.parametrize(
    ("line", "message", "iostream", "ts", "flags"),
    [
        (f'{{"log":"hello\\n","stream":"stdout","time":"{STAMP}"}}', "hello", "stdout", STAMP_NS, 0),
        (f'{{"log":"hello\\n","stream":"stderr","time":"{STAMP}"}}', "hello", "stderr", STAMP_NS, 0),
        (f'{{"log":"\\n","stream":"stdout","time":"{STAMP}"}}', "", "stdout", STAMP_NS, 0),
        (f'{{"log":"cr\\r\\n","stream":"stdout","time":"{STAMP}"}}', "cr", "stdout", STAMP_NS, 0),
        (f'{{"log":"a\\rb\\r\\r\\n","stream":"stdout","time":"{STAMP}"}}', "a\rb\r", "stdout", STAMP_NS, 0),
        # further keys, another order, white space
        (f'{{"log":"x\\n","stream":"stderr","attrs":{{"a":"}}\\"","b":"[1"}},"time":"{STAMP}"}}', "x", "stderr", STAMP_NS, 0),
        (f'{{"time":"{STAMP}","stream":"stdout","log":"x\\n"}}', "x", "stdout", STAMP_NS, 0),
        (f' {{ "log" : "x\\n" , "time" : "{STAMP}", "n":[1,{{"log":2}}], "stream" : "stdout" }} ', "x", "stdout", STAMP_NS, 0),
        ('{"log":"x\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}', "x", "stdout", STAMP_NS // 10**9 * 10**9, 0),
        ('{"log":"x\\n","stream":"stdout","time":"2026-01-02T05:04:05.678901234+02:00"}', "x", "stdout", STAMP_NS, 0),
        ('{"log":"x\\n"}', "x", "", RECEIVED_NS, FLAG_CLOCK),
        ('{"log":"x\\n","stream":"stdout","time":"yesterday"}', "x", "stdout", RECEIVED_NS, FLAG_CLOCK),
        ('{"log":"x\\n","stream":"other!","time":"2026-13-02T03:04:05Z"}', "x", "", RECEIVED_NS, FLAG_CLOCK),
        # escapes
        (f'{{"log":"\\"\\\\\\/\\b\\f\\t\\u00e9\\u20ac\\u0041\\n","stream":"stdout","time":"{STAMP}"}}', '"\\/\b\f\té€A', "stdout", STAMP_NS, 0),
        (f'{{"log":"\\ud83d\\ude9a!\\n","stream":"stdout","time":"{STAMP}"}}', "🚚!", "stdout", STAMP_NS, 0),
        (f'{{"log":"\\ud83d!\\n","stream":"stdout","time":"{STAMP}"}}', "\ufffd!", "stdout", STAMP_NS, FLAG_INVALID_UTF8),
        (f'{{"log":"\\ude9a\\ud83d\\n","stream":"stdout","time":"{STAMP}"}}', "\ufffd\ufffd", "stdout", STAMP_NS, FLAG_INVALID_UTF8),
        (f'{{"log":"a\\u0000b\\n","stream":"stdout","time":"{STAMP}"}}', "a\0b", "stdout", STAMP_NS, 0),
        (f'{{"log":"Zürich 訂單 🚚\\n","stream":"stdout","time":"{STAMP}"}}', "Zürich 訂單 🚚", "stdout", STAMP_NS, 0),
        # not docker-json
        ("plain words", "plain words", "", RECEIVED_NS, UNPARSED),
        ("", "", "", RECEIVED_NS, UNPARSED),
        ('{"log":"cut', '{"log":"cut', "", RECEIVED_NS, UNPARSED),
        ('{"log":"bad \\x escape\\n","stream":"stdout"}', '{"log":"bad \\x escape\\n","stream":"stdout"}', "", RECEIVED_NS, UNPARSED),
        ('{"log":"bad \\u12g4\\n"}', '{"log":"bad \\u12g4\\n"}', "", RECEIVED_NS, UNPARSED),
        ('{"log":17}', '{"log":17}', "", RECEIVED_NS, UNPARSED),
        ('{"message":"no log"}', '{"message":"no log"}', "", RECEIVED_NS, UNPARSED),
        ('{"log":"x\\n"} trailing', '{"log":"x\\n"} trailing', "", RECEIVED_NS, UNPARSED),
    ],
)  # fmt: skip
def test_docker_line(line: str, message: str, iostream: str, ts: int, flags: int) -> None:
    data = line.encode() + b"\n"
    (record,) = parse_all(data)
    assert (record.message, record.iostream, record.ts, record.flags) == (message, iostream, ts, flags)
    assert (record.start, record.end) == (0, len(data))


@pytest.mark.parametrize(
    ("line", "message", "iostream", "ts", "flags"),
    [
        (f"{STAMP} stdout F hello", "hello", "stdout", STAMP_NS, 0),
        (f"{STAMP} stderr F ", "", "stderr", STAMP_NS, 0),
        (f"{STAMP} stderr F", "", "stderr", STAMP_NS, 0),
        (f"{STAMP} stdout F:x  two blanks", " two blanks", "stdout", STAMP_NS, 0),
        (f"{STAMP} stdout F {STAMP} stdout F x", f"{STAMP} stdout F x", "stdout", STAMP_NS, 0),
        ("2026-01-02T05:04:05.678901234+02:00 stdout F x", "x", "stdout", STAMP_NS, 0),
        (f"{STAMP} stdin F x", f"{STAMP} stdin F x", "", STAMP_NS, FLAG_UNPARSED),
        (f"{STAMP} stdout Q x", f"{STAMP} stdout Q x", "", STAMP_NS, FLAG_UNPARSED),
        ("no stamp", "no stamp", "", RECEIVED_NS, UNPARSED),
    ],
)
def test_cri_line(line: str, message: str, iostream: str, ts: int, flags: int) -> None:
    (record,) = parse_all(line.encode() + b"\n", Format.CRI)
    assert (record.message, record.iostream, record.ts, record.flags) == (message, iostream, ts, flags)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff", b"a\x80b", b"\xc3", b"caf\xe9 au lait and some more text", b"\xe2\x82", b"\xf0\x9f\x9a", b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"ok \xf0\x9f\x9a\x9a \xfe\xfe ok", bytes(range(128, 256)),
        b"x" * 15 + b"\xc3" + b"y" * 40,
    ],
)  # fmt: skip
def test_what_is_no_utf8_is_replaced_as_python_does(raw: bytes) -> None:
    assert raw.decode(errors="replace") != raw.decode(errors="ignore")
    for data, fmt in ((raw, Format.PLAIN), (b'{"log":"' + raw + b'\\n","stream":"stdout"}', Format.DOCKER_JSON)):
        (record,) = parse_all(data + b"\n", fmt)
        assert record.message == raw.decode(errors="replace")
        assert record.flags == FLAG_INVALID_UTF8 | FLAG_CLOCK


def test_binary_bytes_are_kept_line_by_line() -> None:
    data = bytes(byte for byte in range(256) if byte != 10) * 3 + b"\n\0\0\0\n"
    first, second = parse_all(data, Format.PLAIN)
    assert first.message == data[:765].decode(errors="replace")
    assert second.message == "\0\0\0"


def test_pieces_of_docker_are_joined_for_each_iostream() -> None:
    out, err = "o" * 16384, "e" * 16384
    data = docker(out) + docker(err, "stderr") + docker(out) + docker("end\n", "stderr") + docker("end\n")
    records = parse_all(data)
    assert [(r.iostream, r.message, r.flags) for r in records] == [
        ("stdout", out + out + "end", 0),
        ("stderr", err + "end", 0),
    ]
    assert records[0].start == 0
    assert records[0].end == len(data)


def test_an_unterminated_last_line_is_not_glued_to_the_next_run() -> None:
    """`docker restart` goes on in the same file: only a full piece has a rest."""
    full = "o" * 16384
    data = docker("prompt> ") + docker("hello\n") + docker(full) + docker("tail") + docker("again\n")
    assert [(r.message, r.flags) for r in parse_all(data)] == [
        ("prompt> ", 0),
        ("hello", 0),
        (full + "tail", 0),
        ("again", 0),
    ]


def test_pieces_of_cri_are_joined_even_inside_a_character() -> None:
    truck = "🚚".encode()
    data = b"%s stdout P ab%s\n%s stdout P %s\n%s stdout F c\n" % (
        STAMP.encode(), truck[:1], STAMP.encode(), truck[1:], STAMP.encode(),
    )  # fmt: skip
    (record,) = parse_all(data, Format.CRI)
    assert (record.message, record.flags) == ("ab🚚c", 0)


def test_a_last_piece_without_the_rest() -> None:
    """A container that dies inside a line leaves a short piece: complete as it is. A full piece misses something."""
    assert [(r.message, r.flags) for r in parse_all(docker("prompt> "))] == [("prompt> ", 0)]
    assert [r.flags for r in parse_all(docker("x" * 16384))] == [FLAG_PARTIAL]
    assert [r.flags for r in parse_all(f"{STAMP} stdout P x\n".encode(), Format.CRI)] == [FLAG_PARTIAL]


def test_an_unterminated_last_line_comes_with_the_end_of_the_file() -> None:
    feed = Feed(Format.PLAIN)
    assert feed.give(b"a\nb") == []  # a may go on, b has no end
    assert messages(feed.give(b"c", eof=True)) == ["a", "bc"]
    assert feed.parser.open_streams == 0


def test_a_line_of_100_mb_comes_out_in_pieces() -> None:
    feed = Feed(Format.PLAIN)
    piece = ("0123456789 é " * 100_000).encode()[: 1 << 20]
    records = [record for _ in range(100) for record in feed.give(piece)] + feed.give(b"end\nnext\n", eof=True)
    *pieces, last = records
    assert last.message == "next"
    assert [record.flags & FLAG_PARTIAL for record in pieces] == [FLAG_PARTIAL] * 100 + [0]
    assert "".join(messages(pieces)) == (piece * 100).decode(errors="replace") + "end"
    assert max(len(record.message.encode()) for record in pieces) <= 1 << 20
    assert [(a.end == b.start) for a, b in pairwise(records)] == [True] * 101


def test_a_long_cri_line_keeps_its_head_for_all_pieces() -> None:
    data = f"{STAMP} stderr F ".encode() + b"x" * (5 << 19) + b"\n" + f"{STAMP} stdout F y\n".encode()
    records = parse_all(data, Format.CRI)
    assert [(r.iostream, r.ts, r.flags & FLAG_PARTIAL) for r in records] == [
        ("stderr", STAMP_NS, 1), ("stderr", STAMP_NS, 1), ("stderr", STAMP_NS, 0), ("stdout", STAMP_NS, 0),
    ]  # fmt: skip
    assert sum(len(r.message) for r in records) == (5 << 19) + 1


def test_frames_and_skipped_chunks_are_left_out() -> None:
    feed = Feed(Format.FRAMES)
    assert feed.give(b"not for us\n", eof=True) == []
    feed = Feed(Format.PLAIN)
    data = b"one\ntwo\nthree\n"
    chunks = [Chunk(0, 0, 0, 0, data), Chunk(0, 0, 0, 0, data), Chunk(0, 14, 0, 0, b"four\n", eof=True)]
    assert messages(feed.take(feed.batch(chunks), (4, -1, 0))) == ["two", "three", "four"]
    assert messages(feed.take(feed.batch(chunks), (14, 14, 5))) == []
