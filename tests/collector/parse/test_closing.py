"""What time, gaps and ends close; what is saved and restored."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from collector.parse.closing import decide, is_due
from collector.parse.input import Accepted
from collector.parse.kernels.traces import ORDINARY, PY_TRACE
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.parse.state import CloseDecision, GroupRef, OpenGroup, OpenStream, decode_state, encode_state
from collector.records import FLAG_PARTIAL
from deckwatch.runtime.faults import Reject
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import (
    VERSION,
    Batch,
    Chunk,
    Container,
    Context,
    Format,
    StreamId,
    StreamInfo,
)
from tests.collector.parse.feeding import Feed, docker, docker_lines, messages, parse_all, records_of

MS = 1_000_000


def group(**changes: object) -> OpenGroup:
    plain = OpenGroup(1, 0, 10, 0, b"x", 1, 1, 0, False, ORDINARY, 1_000 * MS)
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("changes", "age_ms", "due"),
    [
        ({}, 299, False),
        ({}, 300, True),
        ({}, -1, True),  # the clock went back
        ({"state": PY_TRACE}, 300, False),
        ({"state": PY_TRACE}, 1000, True),
        ({"lines": 2}, 999, False),
        ({"lines": 2}, 1000, True),
        ({"more": True}, 999, False),
        ({"more": True}, 1000, True),
    ],
)
def test_when_a_group_is_due(changes: dict[str, object], age_ms: int, due: bool) -> None:
    now_ns = (1_000 + age_ms) * MS
    assert is_due(group(**changes), now_ns, single_ns=300 * MS, max_age_ns=1000 * MS) is due


def opened(key: str, *groups: OpenGroup, rest: bytes = b"") -> OpenStream:
    return OpenStream(key, "default", Context("h"), 1, 100, rest, None, groups)


def test_the_largest_are_cut_where_the_open_text_is_too_much() -> None:
    streams = [opened("small", group(text=b"x" * 10)), opened("rest", rest=b"x" * 60), opened("big", rest=b"x" * 90)]
    now = {"now_ns": 1_000 * MS, "single_ns": 300 * MS, "max_age_ns": 1000 * MS}
    assert decide(streams, max_open_bytes=160, **now) is None
    assert decide(streams, max_open_bytes=159, **now) == CloseDecision((), ("big",))
    assert decide(streams, max_open_bytes=50, **now) == CloseDecision((), ("big", "rest"))
    late = now | {"now_ns": 2_000 * MS}
    assert decide(streams, max_open_bytes=150, **late) == CloseDecision((GroupRef("small", 1, 0, 10),), ())


def test_a_single_line_is_there_after_300_ms_and_a_trace_after_a_second() -> None:
    feed = Feed()
    assert feed.give(docker_lines("one")) == []
    assert feed.close(299 * MS) == []
    assert messages(feed.close(300 * MS)) == ["one"]
    assert feed.parser.open_streams == 0
    feed.give(docker_lines("Traceback (most recent call last):"))
    assert feed.close(999 * MS) == []
    assert messages(feed.close(1000 * MS)) == ["Traceback (most recent call last):"]


def test_a_record_that_has_grown_since_the_decision_is_left_open() -> None:
    feed = Feed()
    feed.give(docker_lines("one"))
    decision = feed.parser.close_due(feed.received_ns + 10**9)
    assert decision is not None
    feed.give(docker_lines("\tat two"))
    assert feed.parser.close(9, 9, decision).rows.is_empty()
    assert messages(feed.close()) == ["one\n\tat two"]
    assert feed.parser.close(10, 10, decision).rows.is_empty()


def test_closing_one_iostream_leaves_the_other_and_the_line_without_end() -> None:
    feed = Feed()
    feed.give(docker("out\n", "stdout") + docker("Traceback (most recent call last):\n", "stderr") + b'{"log":"in')
    assert messages(feed.close(300 * MS)) == ["out"]
    line = b'side\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n'
    assert messages(feed.give(line, docker_lines("  x", iostream="stderr"), eof=True)) == [
        "Traceback (most recent call last):\n  x",
        "inside",
    ]


def test_text_that_is_cut_for_want_of_memory_is_partial_and_nothing_is_lost() -> None:
    feed = Feed(Format.PLAIN, ParseSettings(max_open_bytes=1 << 20))
    feed.give(b"line\n" + b"a" * (1 << 20))
    decision = feed.parser.close_due(feed.received_ns)
    assert decision is not None
    assert decision.cut
    records = records_of(feed.parser.close(2, 2, decision))
    assert [(r.message[:4], r.flags & FLAG_PARTIAL) for r in records] == [("line", 0), ("aaaa", FLAG_PARTIAL)]
    assert feed.parser.open_bytes == 0
    assert messages(feed.give(b"bbb\n", eof=True)) == ["bbb"]


def test_open_bytes_are_those_of_what_is_kept_whatever_happened_to_it() -> None:
    feed = Feed(Format.PLAIN)
    steps: list[Callable[[], object]] = [
        lambda: feed.give(b"one\n"),
        lambda: feed.give(b"two\n  and more\nunfin"),
        lambda: feed.give(b"ished\nTraceback (most recent call last):\n  x\n"),
        lambda: feed.parser.restore(feed.parser.state()),
        lambda: feed.parser.close(9, 9, feed.parser.close_due(1 << 62) or CloseDecision(())),
        lambda: feed.give(b"three\nrest"),
        lambda: feed.gap(500),
        lambda: feed.give(b"four\nfive"),
        lambda: feed.end(),
    ]
    seen = []
    for step in steps:
        step()
        seen.append(feed.parser.open_bytes)
        assert seen[-1] == sum(stream.size_bytes for stream in feed.parser._open.values())
    assert seen[-1] == 0
    assert max(seen) > 20


def test_a_gap_closes_what_is_open() -> None:
    feed = Feed()
    feed.give(docker_lines("one"), b'{"log":"cut')
    records = feed.gap(500)
    assert [(r.message, r.flags & FLAG_PARTIAL) for r in records] == [("one", 0), ('{"log":"cut', FLAG_PARTIAL)]
    start = feed.position
    assert feed.give(docker_lines("\tat the other side")) == []
    assert [(r.message, r.start) for r in feed.end()] == [("\tat the other side", start)]


def test_missing_bytes_between_two_chunks_are_a_gap_as_well() -> None:
    feed = Feed()
    feed.give(docker_lines("one"))
    feed.position += 1000
    assert messages(feed.give(docker_lines("\tat two"))) == ["one"]


def test_a_gap_or_an_end_that_was_sent_again_closes_nothing() -> None:
    feed = Feed()
    feed.give(docker_lines("one", "two"))
    at, feed.position = feed.position, 20
    assert feed.gap(10) == []
    feed.position = 30
    assert feed.end() == []
    feed.position = at
    assert messages(feed.give(docker_lines("\tat three"), eof=True)) == ["two\n\tat three"]


def test_records_say_where_they_come_from() -> None:
    contexts = (Context("h", container=Container("c1", "web")), Context("h", container=Container("c2", "db")))
    ids = (StreamId("a", "c1/json", "1"), StreamId("a", "c2/json", "1"))
    infos = tuple(StreamInfo(ids[n], f"t{n}", Format.DOCKER_JSON, n) for n in (0, 1))
    first, second = docker_lines('{"a":1}', '{"a":2}'), docker_lines('{"b":1}')
    chunks = (Chunk(0, 0, 0, 0, first), Chunk(1, 0, 0, 0, second), Chunk(0, len(first), 0, 0, first))
    frame = Parser(ParseSettings()).parse(
        Accepted(3, 4, Batch(VERSION, "a", "h", 0, contexts, infos, chunks), (0, 0, 0))
    )
    assert (frame.seq, frame.received_ns) == (3, 4)
    assert [(o.key, o.tenant, o.context) for o in frame.origins] == [
        (stream_key(ids[0]), "t0", contexts[0]),
        (stream_key(ids[1]), "t1", contexts[1]),
    ]
    assert frame.rows["origin"].to_list() == [0, 0, 0, 0, 1]


def test_a_replay_of_entries_and_decisions_gives_the_very_same() -> None:
    """Saved between any two of them, too."""
    steps: list[bytes | None] = [
        docker_lines("a", "Traceback (most recent call last):"),
        docker_lines("  x"),
        None,
        docker_lines("ValueError: y", "b"),
        docker("piece"),
        None,
        docker(" more\n") + docker_lines("\tat c", "d"),
        None,
    ]

    def run(restart_behind: int | None) -> list[list[str]]:
        feed = Feed()
        out = []
        for n, step in enumerate(steps):
            feed.received_ns += 10 * MS
            out.append(messages(feed.close() if step is None else feed.give(step)))
            if n == restart_behind:
                feed.restart()
        return out

    expected = run(None)
    assert sum(map(len, expected)) == 7
    assert all(run(n) == expected for n in range(len(steps)))


def test_state_of_another_version_or_damaged_is_refused() -> None:
    saved = encode_state((opened("k", group()),))
    assert decode_state(saved) == (opened("k", group()),)
    parser = Parser(ParseSettings())
    with pytest.raises(Reject, match="has version 99, this program reads 1"):
        parser.restore(msgspec.msgpack.encode((99, [])))
    for damaged in (b"", b"\xc1", saved[:-1], msgspec.msgpack.encode((1, [1]))):
        with pytest.raises(Reject, match="is damaged"):
            parser.restore(damaged)


def test_an_entry_without_records_gives_an_empty_frame_of_the_right_columns() -> None:
    assert parse_all(b"") == []
    feed = Feed()
    assert feed.take(feed.batch()) == []
