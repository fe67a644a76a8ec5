"""The event stream: recorded events, and what they mean to us."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.discover.docker_events import (
    MOST_LINE_BYTES,
    OVERLAP_NS,
    REMEMBERED,
    Actor,
    EngineEvent,
    EventCursor,
    LineSplitter,
    Meaning,
    decode,
    description,
    meaning,
    wire_event,
)
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.wire.model import Container

RECORDED = (Path(__file__).parent / "data" / "events.jsonl").read_bytes()
ID = "4f" * 32
T0 = 1_700_000_000_000_000_000


def event(action: str, *, kind: str = "container", time_ns: int = T0, ident: str = ID, **told: str) -> EngineEvent:
    return EngineEvent(kind, action, Actor(ident, told), time_ns)


@pytest.mark.parametrize(
    ("what", "want"),
    [
        (event("create"), Meaning.INSPECT),
        (event("start"), Meaning.INSPECT),
        (event("die"), Meaning.INSPECT),
        (event("oom"), Meaning.INSPECT),
        (event("rename"), Meaning.INSPECT),
        (event("update"), Meaning.INSPECT),
        (event("health_status: healthy"), Meaning.INSPECT),
        (event("an action of tomorrow"), Meaning.INSPECT),
        (event("destroy"), Meaning.FORGET),
        (event("remove"), Meaning.FORGET),  # Podman
        (event("died"), Meaning.INSPECT),  # Podman
        (event("exec_create: /bin/sh -c secret"), Meaning.NOTHING),
        (event("exec_die"), Meaning.NOTHING),
        (event("top"), Meaning.NOTHING),
        (event("connect", kind="network"), Meaning.NOTHING),
        (event("create", ident="short"), Meaning.NOTHING),
    ],
)
def test_meaning(what: EngineEvent, want: Meaning) -> None:
    assert meaning(what) is want


def test_recorded_events() -> None:
    events = [decode(line) for line in LineSplitter().feed(RECORDED)]
    assert len(events) == RECORDED.count(b"\n")
    matter = [one for one in events if meaning(one) is not Meaning.NOTHING]
    words = [wire_event(one, None, "t").action for one in matter]
    assert {word: words.count(word) for word in ("create", "start", "die", "oom", "destroy", "health_status")} == {
        "create": 19, "start": 22, "die": 8, "oom": 16, "destroy": 1, "health_status": 1,
    }  # fmt: skip
    assert not any(word.startswith("exec") for word in words)


@pytest.mark.parametrize(
    ("what", "action", "attributes"),
    [
        (event("die", exitCode="137", image="i", name="n", app="x"), "die", (("exitCode", "137"),)),
        (event("kill", signal="9", secret="x"), "kill", (("signal", "9"),)),
        (event("rename", oldName="/a", name="b"), "rename", (("oldName", "/a"),)),
        (event("health_status: unhealthy"), "health_status", (("status", "unhealthy"),)),
        (event("died"), "die", ()),
    ],
)
def test_wire_event(what: EngineEvent, action: str, attributes: tuple[tuple[str, str], ...]) -> None:
    sent = wire_event(what, Container(ID), "acme")
    assert (sent.ts_ns, sent.tenant, sent.kind, sent.action, sent.attributes) == (
        T0, "acme", "container", action, attributes,
    )  # fmt: skip


def test_what_an_event_tells_of_a_container_that_is_gone() -> None:
    told = description(event("die", exitCode="0", image="nginx:1", name="web", app="shop"))
    assert (told.name, told.config.image, told.labels) == ("web", "nginx:1", {"app": "shop"})
    assert told.state.dead


def test_cursor_takes_each_event_once() -> None:
    cursor = EventCursor(T0)
    first, second = event("start", time_ns=T0), event("die", time_ns=T0 + 5)
    same_time = event("start", time_ns=T0, ident="ab" * 32)
    got = [cursor.take(one) for one in (first, second, first, same_time, second, event("start", time_ns=T0 - 1))]
    assert got == [True, True, False, True, False, False]


def test_cursor_asks_again_for_a_second() -> None:
    cursor = EventCursor(T0)
    assert cursor.since == "1699999999.000000000"
    cursor.take(event("start", time_ns=T0 + 2_000_000_001))
    assert cursor.since == "1700000001.000000001"
    assert OVERLAP_NS == 1_000_000_000


def test_cursor_is_bounded() -> None:
    cursor = EventCursor(T0)
    for number in range(REMEMBERED + 10):
        assert cursor.take(event("start", time_ns=T0 + number))
    assert not cursor.take(event("start", time_ns=T0 + 10))
    assert cursor.take(event("start", time_ns=T0))  # forgotten: far older than any overlap


def test_malformed_events() -> None:
    for line in (b"{", b'{"timeNano":"x"}', b"[]"):
        with pytest.raises(Reject, match="no event"):
            decode(line)


@pytest.mark.parametrize("size", [1, 7, 4096, len(RECORDED)])
def test_lines_in_pieces(size: int) -> None:
    splitter = LineSplitter()
    lines = [line for at in range(0, len(RECORDED), size) for line in splitter.feed(RECORDED[at : at + size])]
    assert lines == RECORDED.splitlines()


def test_a_line_without_end() -> None:
    splitter = LineSplitter()
    with pytest.raises(Retry, match="line of more than"):
        list(splitter.feed(b"x" * (MOST_LINE_BYTES + 1)))
