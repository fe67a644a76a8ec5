"""Which streams are looked at when something is closed by time: those that are due, however many are open."""

from __future__ import annotations

import random

import pytest

from collector.parse import closing
from collector.parse.deadlines import Deadlines
from collector.parse.kernels.traces import ORDINARY
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.parse.state import OpenGroup, OpenStream, encode_state
from deckwatch.wire.model import Context

MS = 1_000_000
SINGLE, TRACE = 300 * MS, 1000 * MS


def stream(key: str, *groups: tuple[int, int]) -> OpenStream:
    """Groups as (arrival in ms, lines)."""
    made = tuple(
        OpenGroup(n, n, n + 1, 0, b"x", lines, 1, 0, False, ORDINARY, arrived_ms * MS)
        for n, (arrived_ms, lines) in enumerate(groups)
    )
    return OpenStream(key, "default", Context("host"), 3, 9, b"", None, made)


def restored(*streams: OpenStream, max_open_bytes: int = 64 << 20) -> Parser:
    parser = Parser(ParseSettings(hold_single_line_ms=300, max_open_bytes=max_open_bytes))
    parser.restore(encode_state(streams))
    return parser


def closed(parser: Parser, now_ms: int) -> set[str]:
    decision = parser.close_due(now_ms * MS)
    return set() if decision is None else {ref.key for ref in decision.groups}


def test_what_is_due_is_said_until_it_is_closed() -> None:
    parser = restored(stream("line", (0, 1)), stream("trace", (0, 2)), stream("later", (600, 1)))
    assert closed(parser, 600) == {"line"}
    assert closed(parser, 700) == {"line"}  # the disk was full: nobody closed it
    assert closed(parser, 1000) == {"line", "trace", "later"}


def test_a_line_beside_a_trace_does_not_wait_for_it() -> None:
    parser = restored(stream("both", (0, 2), (600, 1)))
    assert not closed(parser, 601)
    assert closed(parser, 900) == {"both"}


@pytest.mark.parametrize("now_ms", [100, 599])
def test_a_clock_that_went_back_closes_what_came_after_it(now_ms: int) -> None:
    assert closed(restored(stream("a", (600, 1)), stream("b", (600, 2))), now_ms) == {"a", "b"}


def test_too_much_open_text_looks_at_everything() -> None:
    parser = restored(
        *(stream(f"s{n}", *[(1000, 1)]) for n in range(3)),
        OpenStream("large", "default", Context("host"), 3, 9, b"y" * (1 << 20), None, ()),
        max_open_bytes=1 << 20,
    )
    decision = parser.close_due(1001 * MS)
    assert decision is not None
    assert decision.cut == ("large",)


def test_streams_that_are_not_due_are_not_looked_at() -> None:
    deadlines = Deadlines()
    for n in range(20_000):
        deadlines.note(stream(f"s{n}", (n % 7 + 1000, 1)))
    assert deadlines.take(1000 * MS + SINGLE - 1, SINGLE) == []
    due = deadlines.take(1000 * MS + SINGLE, SINGLE)
    assert due is not None
    assert len(due) == len(range(0, 20_000, 7))


@pytest.mark.parametrize("seed", range(20))
def test_random_lives_against_looking_at_everything(seed: int) -> None:
    rng = random.Random(seed)
    deadlines, streams, now = Deadlines(), dict[str, OpenStream](), 0
    for _ in range(300):
        now += rng.randrange(1, 200)
        if rng.random() < 0.7:
            key = f"s{rng.randrange(5)}"
            old = [(g.arrived_ns // MS, g.lines) for g in streams[key].groups] if key in streams else []
            groups = [*old[-1:], (now, rng.choice([1, 2]))] if rng.random() < 0.5 else [(now, rng.choice([1, 2]))]
            streams[key] = stream(key, *groups)
            deadlines.note(streams[key])
        found = deadlines.take(now * MS, SINGLE)
        assert found is not None
        want = {
            key
            for key, one in streams.items()
            if any(closing.is_due(g, now * MS, single_ns=SINGLE, max_age_ns=TRACE) for g in one.groups)
        }
        assert want <= set(found)
        for key in found:
            if key in want:
                del streams[key]
            elif key in streams:
                first = min(closing.due_ns(g, single_ns=SINGLE, max_age_ns=TRACE) for g in streams[key].groups)
                deadlines.again(key, first - SINGLE)
