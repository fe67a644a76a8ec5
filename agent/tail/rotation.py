"""What to do with an open log file after a look at it and at its path. Pure: the tailer acts on it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Place(StrEnum):
    """Where the open file stands now."""

    LIVE = "live"  # at the path of its source
    ROTATED = "rotated"  # another file, or nothing, is at the path; this one has another name
    DELETED = "deleted"  # no name is left: its bytes live as long as it is held open
    GONE = "gone"  # nothing could be opened: the file went while nobody held it


class Look(msgspec.Struct, frozen=True):
    """One look at an open file."""

    place: Place
    read_to: int  # bytes that were handed on
    acked: int
    size: int | None  # None: a compressed file whose end was not reached yet
    probe_holds: bool  # the KiB before read_to is what was read
    still_s: float  # seconds since it last grew
    ended: bool = False  # its source says that nobody writes any more


class Step(StrEnum):
    READ = "read"  # more bytes are there
    WAIT = "wait"  # nothing new, or the end of it is not acked yet
    FINISH = "finish"  # an unterminated last line is complete now
    CLOSE = "close"  # all of it is acked and nothing will follow
    START_AGAIN = "start again"  # truncated in place: a new generation, with a gap for what was not read


ENDED_STILL_S = 1.0
"""An engine may still be writing down what a container said last when it reports its end."""


def is_final(look: Look, late_write_s: float) -> bool:
    """Will the file grow no more? A writer may hold a rotated or deleted file for a while."""
    if look.place is Place.LIVE:
        return look.ended and look.still_s >= min(ENDED_STILL_S, late_write_s)
    return look.place is Place.GONE or look.still_s >= late_write_s


def next_step(look: Look, late_write_s: float) -> Step:
    """Docker renames at max-size, the kubelet at 10 MiB; copytruncate keeps the inode, so only size and probe
    betray it. Unread bytes always come before anything else."""
    if look.size is not None and (look.size < look.read_to or not look.probe_holds):
        return Step.START_AGAIN
    if look.size is None or look.size > look.read_to:
        return Step.FINISH if is_final(look, late_write_s) else Step.READ
    if look.place is not Place.LIVE and look.acked == look.size and is_final(look, late_write_s):
        return Step.CLOSE
    return Step.WAIT
