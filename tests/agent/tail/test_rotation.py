from __future__ import annotations

import msgspec
import pytest

from agent.tail.rotation import Look, Place, Step, next_step

LIVE = Look(place=Place.LIVE, read_to=30, acked=30, size=30, probe_holds=True, still_s=60)


def look(**change: object) -> Look:
    return msgspec.structs.replace(LIVE, **change)


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (look(), Step.WAIT),
        (look(size=40), Step.READ),
        (look(size=12), Step.START_AGAIN),
        (look(size=90, probe_holds=False), Step.START_AGAIN),  # grew past it again
        (look(probe_holds=False), Step.START_AGAIN),  # to the very same size
        (look(place=Place.ROTATED, size=40, still_s=1), Step.READ),  # renamed, not read out
        (look(place=Place.ROTATED, still_s=1), Step.WAIT),  # its writer may still hold it
        (look(place=Place.ROTATED), Step.CLOSE),
        (look(place=Place.ROTATED, acked=20), Step.WAIT),  # read, but not the collector's yet
        (look(place=Place.ROTATED, size=40), Step.FINISH),  # an unterminated end, and nobody goes on with it
        (look(place=Place.ROTATED, size=12), Step.START_AGAIN),
        (look(place=Place.DELETED, size=40, still_s=1), Step.READ),  # the descriptor holds its bytes
        (look(place=Place.DELETED), Step.CLOSE),
        (look(ended=True), Step.WAIT),  # its file stays where it is
        (look(ended=True, size=40), Step.FINISH),
        (look(ended=True, size=40, still_s=0.5), Step.READ),  # the engine may still be writing
        (look(place=Place.ROTATED, size=None, still_s=1), Step.READ),  # compressed: its end was not reached yet
    ],
)
def test_next_step(seen: Look, step: Step) -> None:
    assert next_step(seen, late_write_s=5) is step
