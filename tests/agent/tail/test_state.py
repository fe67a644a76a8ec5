from __future__ import annotations

import msgspec

from agent.tail.logfile import FileId
from agent.tail.state import StreamMemory, StreamState
from deckwatch.wire.model import Format

OPEN = StreamState("s", "4-a", Format.PLAIN, "/a.log", FileId(1, 2))


def closed(generation: str, at_ns: int, *, listed: bool = False) -> StreamState:
    return msgspec.structs.replace(OPEN, generation=generation, closed_ns=at_ns, listed=listed)


def test_open_ones_wait_and_closed_ones_are_the_ledger() -> None:
    memory = StreamMemory([OPEN, closed("4-b", 5)])
    assert memory.waiting("s") == [OPEN]
    assert memory.closed("s") == [closed("4-b", 5)]
    assert memory.knows("s", "4-b")
    memory.put(msgspec.structs.replace(OPEN, closed_ns=9))
    assert not memory.waiting_sources()
    assert len(memory.closed("s")) == 2
    memory.take(OPEN)
    assert not memory.knows("s", "4-a")


def test_the_ledger_forgets_the_oldest_that_have_no_file() -> None:
    many = [closed(f"4-{i}", i + 1) for i in range(5)]
    memory = StreamMemory([*many, closed("4-listed", 1, listed=True)])
    assert memory.trim(10, entries=3, age_s=1) == 3
    assert {state.generation for state in memory.closed("s")} == {"4-3", "4-4", "4-listed"}


def test_the_ledger_forgets_what_is_too_old() -> None:
    memory = StreamMemory([closed("4-a", 1), closed("4-b", 5_000_000_000), closed("4-listed", 1, listed=True)])
    assert memory.trim(6_000_000_000, entries=100, age_s=2) == 1
    assert {state.generation for state in memory.closed("s")} == {"4-b", "4-listed"}
