"""What is known of streams: what is durable, and what is on its way to the disk."""

from __future__ import annotations

from collector.intake.positions import Positions
from deckwatch.wire.model import Position

GAP = ("a", 7)


def test_what_was_submitted_is_seen_by_the_next_batch_and_not_told_before_it_is_durable() -> None:
    positions = Positions({"a": Position(4, 1)})
    positions.submitted({"a": Position(7, 2)}, [GAP])
    assert (positions.of("a"), positions.durable_of("a")) == (Position(7, 2), Position(4, 1))
    assert positions.declared(GAP)
    positions.confirmed({"a": Position(7, 2)}, [GAP])
    assert positions.durable_of("a") == Position(7, 2)
    positions.failed()
    assert (positions.of("a"), positions.declared(GAP)) == (Position(7, 2), True)


def test_a_failed_write_takes_back_what_was_submitted() -> None:
    positions = Positions({})
    positions.submitted({"a": Position(7, 2)}, [GAP])
    positions.failed()
    assert (positions.of("a"), positions.declared(GAP)) == (None, False)


def test_what_is_forgotten_is_forgotten_with_its_gaps() -> None:
    positions = Positions({"a": Position(7, 2), "b": Position(1, 1)}, [GAP, ("b", 1)])
    positions.forget(["a"])
    assert (positions.of("a"), positions.declared(GAP)) == (None, False)
    assert (positions.of("b"), positions.declared(("b", 1))) == (Position(1, 1), True)
