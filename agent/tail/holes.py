"""Generations of a followed log that nobody could open: between two looks, or while the agent was down.

Where the kernel told of every birth (`births`), their number is known. Else the chain is looked at: the newest file
that is known, and those that came after it. A hole is put behind the stream before it, and declared as a gap when that
one is read to its end.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.tail.birthtime import born_ns
from agent.tail.catcher import Caught
from agent.tail.keeper import Keeper
from agent.tail.logfile import PlainFile
from agent.tail.rotation import Place
from agent.tail.state import StreamState
from agent.tail.tail import Tail
from deckwatch.wire.model import Format

if TYPE_CHECKING:
    from agent.tail.followed import Followed

log = logging.getLogger(__name__)


class Chain(msgspec.Struct, frozen=True):
    """The newest known file of a log, after another one took its place."""

    present: bool  # it, or a copy of it, still has a name: whatever came later is younger, and is there as well
    newer: int  # rotated files that are younger
    max_files: int  # see LogSource
    born_since: int | None = None  # files there that were created since it was deleted; None: nobody can tell


def may_have_hole(chain: Chain) -> bool:
    """Can it be excluded that a generation came and went behind the known file? An engine deletes the oldest file only
    where it has as many as it may keep: with fewer younger ones there, the known file was deleted by somebody else.
    Without a known limit (logrotate), any rotated file that is younger may have pushed others out.

    The oldest goes first: as long as the known file was there, all that came after it were. Each rotation since then
    has created a file. Docker deletes the oldest before it creates the live one, logrotate after that: one file, or
    none, that is younger than the deletion says that nothing else was deleted."""
    if chain.present:
        return False
    if chain.born_since is not None and chain.max_files != 1 and chain.born_since <= (1 if chain.max_files else 0):
        return False
    return chain.newer >= chain.max_files - 1 if chain.max_files else chain.newer > 0


def has_lost_its_first(max_files: int, rotated: int, born_ns: int | None, started_ns: int | None) -> bool:
    """Can it be that of a log that nobody knew the first file is gone? It is the first to go: while there is room for
    one more it is there. An engine that keeps the live file alone deletes it at each rotation, and no other file tells
    of that; but it made the first one before the container was started."""
    if max_files == 1:
        return born_ns is not None and started_ns is not None and born_ns > started_ns
    return max_files > 1 and rotated >= max_files - 1


def missing_numbers(live: str, known: str, listed: Iterable[str]) -> list[int]:
    """Numbers of rotated files that must have been there, younger than the known one, and that are not."""
    number = re.compile(re.escape(live) + r"\.(\d{1,3})(\.gz)?")  # more digits are a date
    there = {int(found[1]) for path in listed if (found := number.fullmatch(path))}
    at = number.fullmatch(known)
    return [n for n in range(1, int(at[1])) if n not in there] if at else []


def told_numbers(missing: Sequence[int]) -> str:
    numbers = ", ".join(f".{n}" for n in missing)
    return f"rotated files were removed that nobody could read: {numbers}"


def told(count: int) -> str:
    many = "a file was" if count == 1 else f"{count} files were"
    return f"{many} written, rotated and deleted faster than it could be opened"


UNKNOWN = "files may have been written, rotated and deleted while nobody could count them"


class Doubt(msgspec.Struct, frozen=True):
    """A live file that is gone; `newer` rotated files were there that are younger."""

    tail: Tail
    since: float
    newer: int
    born_since: int | None


class Holes:
    """Of one followed log, which keeps the doubts."""

    def __init__(self, followed: Followed, keeper: Keeper) -> None:
        self._followed = followed
        self._keeper = keeper

    @property
    def _ours(self) -> bool:
        """Files that nobody else rotates, or that nobody asked about any more."""
        return self._followed.only_known or self._followed.source.format is Format.FRAMES

    def take(self, caught: Caught, moved: Tail | None, now: float) -> None:
        """`moved`: the live file until now, which is not at its path any more. To be called before what was caught is
        adopted: it is younger than the hole."""
        tails = self._followed.tails
        if caught.unseen:
            self._note(told(caught.unseen), tails[-1] if tails else None, now)
        elif moved is not None and (caught.uncounted or not self._keeper.catcher.covers(self._followed.source.name)):
            self._doubt(moved, now)

    def _doubt(self, moved: Tail, now: float) -> None:
        """Nobody counted what took its place. Decided later: a copy of it may be in the making."""
        if moved.file is None or self._ours or moved.file.stat().links:
            return
        newer = self._followed.rotated.younger_than(moved.file.stat().mtime_ns)
        self._followed.doubts += (Doubt(moved, now, newer, self._born_since_deletion(moved)),)

    def settle(self, now: float) -> None:
        due = [one for one in self._followed.doubts if now - one.since >= self._keeper.settings.settle_s]
        self._followed.doubts = tuple(one for one in self._followed.doubts if one not in due)
        for doubt in due:
            copied = self._followed.rotated.has_copy(doubt.tail.generation)
            if may_have_hole(Chain(copied, doubt.newer, self._followed.source.max_files, doubt.born_since)):
                self._note(UNKNOWN, doubt.tail if doubt.tail in self._followed.tails else None, now)

    def check_start(self, newest: StreamState | None, now: float) -> None:
        """At the first look: is what is there now the direct successor of what was known?"""
        if self._ours:
            return
        if newest is None:
            self._check_beginning(now)
            return
        followed = self._followed
        tail = next((tail for tail in followed.tails if tail.generation == newest.generation), None)
        covered = tail is not None and not tail.over and tail.place is not Place.DELETED  # there, or a gap to its end
        present = covered or followed.rotated.has_copy(newest.generation)
        newer = followed.rotated.younger_than(0)
        since = self._born_since_deletion(tail) if tail else None
        if (newer or followed.live) and may_have_hole(Chain(present, newer, followed.source.max_files, since)):
            self._note(UNKNOWN, tail, now)
        elif missing := missing_numbers(
            followed.source.path, followed.rotated.name_of(newest), followed.rotated.list_now()
        ):
            self._note(told_numbers(missing), tail, now)

    def _born_since_deletion(self, tail: Tail) -> int | None:
        """How many of the files that are there now. What changed a file's inode last is the loss of its name."""
        if not isinstance(tail.file, PlainFile) or tail.file.stat().links:
            return None
        deleted_ns = os.fstat(tail.file.fileno()).st_ctime_ns
        births = [born_ns(path) for path in (self._followed.source.path, *self._followed.rotated.list_now())]
        known = [birth for birth in births if birth is not None]
        return sum(birth >= deleted_ns for birth in known) if len(known) == len(births) else None

    def _check_beginning(self, now: float) -> None:
        """A container that was created while we ran, and whose log was found when it had been rotated as often as its
        engine keeps files: the first may be gone."""
        followed, source = self._followed, self._followed.source
        if followed.from_birth or (source.created_ns or 0) < self._keeper.started_ns:
            return
        born = born_ns(source.path) if source.max_files == 1 else None
        if has_lost_its_first(source.max_files, followed.rotated.younger_than(0), born, source.started_ns):
            self._note(UNKNOWN, followed.new_tail(None, Place.GONE, now), now)

    def _note(self, why: str, before: Tail | None, now: float) -> None:
        """Behind the stream before the hole; where none was ever known, under a name of no bytes."""
        log.error("%s: %s: a gap is declared", self._followed.source.path, why)
        tail = before or self._reopen_newest(now)
        tail.unseen = f"{tail.unseen}; {why}" if tail.unseen else why
        tail.over = False
        if not tail.generation and tail.file is None:
            tail.take_name(b"")
        self._keeper.named()  # to be remembered before anything younger is sent

    def _reopen_newest(self, now: float) -> Tail:
        state = self._keeper.memory.newest(self._followed.source.name)
        if state is None:
            return self._followed.new_tail(None, Place.GONE, now)
        self._keeper.memory.take(state)
        known = msgspec.structs.replace(state, closed_ns=0, compared_mtime_ns=0)
        return self._followed.new_tail(None, Place.GONE, now, known)
