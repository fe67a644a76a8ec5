"""One log followed through its rotations: the file at its path, and earlier ones that are not read out yet."""

# ruff: noqa: PTH116
# Paths are plain strings here: thousands of them are looked at every few seconds.
from __future__ import annotations

import os

import msgspec

from agent.model import LogSource
from agent.tail.adoption import Adoption
from agent.tail.catcher import Caught
from agent.tail.claim import (
    Candidate,
    Fit,
    candidate,
    fit,
)
from agent.tail.holes import Doubt, Holes
from agent.tail.keeper import Keeper
from agent.tail.logfile import FileId, LogFile, open_log
from agent.tail.losses import Losses
from agent.tail.rotated import RotatedFiles
from agent.tail.rotation import Place, Step
from agent.tail.state import StreamState
from agent.tail.tail import Tail
from deckwatch.wire.identity import fingerprint
from deckwatch.wire.model import GapReason


class Followed:
    __slots__ = ("_keeper", "doubts", "from_birth", "is_first", "live", "next_look", "only_known", "quiet_since",
                 "removed", "rotated", "source", "tails", "unopened_bytes")  # fmt: skip

    def __init__(self, source: LogSource, keeper: Keeper, *, only_known: bool = False) -> None:
        """`only_known`: nobody asked for this log any more, only what is known of it is read to its end."""
        self.source = source
        self.only_known = only_known
        self.tails: list[Tail] = []  # oldest first
        self.live: Tail | None = None
        self.unopened_bytes = 0  # at its path, but it can't be opened
        self.rotated = RotatedFiles(source, keeper)
        self.next_look = 0.0
        self.quiet_since = 0.0
        self.removed = only_known  # discovery does not list it any more
        self._keeper = keeper
        self.is_first = True  # nothing was looked at yet
        self.from_birth = False  # its births are counted since before its first file
        self.doubts: tuple[Doubt, ...] = ()

    # Made when they are asked: of thousands of logs most have nothing to be decided.

    @property
    def adoption(self) -> Adoption:
        return Adoption(self, self._keeper)

    @property
    def _holes(self) -> Holes:
        return Holes(self, self._keeper)

    @property
    def _losses(self) -> Losses:
        return Losses(self, self._keeper)

    @property
    def idle(self) -> bool:
        """Nothing is left of it: no open file, nothing at its path."""
        waiting = self.rotated.pending or self.rotated.failing_bytes
        return not self.tails and not waiting and not self.unopened_bytes

    @property
    def settling(self) -> bool:
        """Something is going on that only time decides."""
        return (
            self.rotated.unsure
            or bool(self.doubts)
            or self.is_first
            or any(tail.place is not Place.LIVE or tail.failing_since is not None for tail in self.tails)
        )

    @property
    def lag_bytes(self) -> int:
        waiting = sum(max(1, file.stat().stored_bytes) for file in self.rotated.pending.values())
        return sum(tail.lag_bytes for tail in self.tails) + self.unopened_bytes + waiting + self.rotated.failing_bytes

    def look(self, now: float) -> None:
        """Look at the path, at all open files, and where something has changed at the rotated ones."""
        self._take_caught(now)
        newest = self._keeper.memory.newest(self.source.name) if self.is_first else None
        for tail in list(self.tails):
            self._look_at(tail, now)
        found: list[Candidate] = []
        present: set[FileId] | None = None
        if self.rotated.due or self.rotated.unsure or any(tail.file is None for tail in self.tails):
            self.rotated.due = False
            found, present = self._open_rotated()
        if self.live is None:
            found += self._open_live()
        if found:
            self.adoption.assign(found, now)
        while (damaged := self.rotated.next_damaged()) is not None:
            self.adoption.take_damaged(damaged, now)
        if present is not None:
            self.rotated.forget_absent(present, now)
        if self.is_first and not self.unopened_bytes and not self.rotated.failing_bytes:
            self.is_first = False
            self._losses.give_up_waiting(now)
            self._holes.check_start(newest, now)
        if self.doubts:
            self._holes.settle(now)
        for tail in self.tails:
            if tail.lost is not None:
                self._losses.declare(tail, now)

    def poll(self, now: float) -> None:
        """A look that does not rely on having been told of new names in the folder."""
        self.rotated.poll()
        self.look(now)

    # Open files -------------------------------------------------------------------------------------------------

    def _take_caught(self, now: float) -> None:
        """Files that were opened the moment they were born; what was born and could not be opened is a hole before."""
        caught, live = self._keeper.catcher.take(self.source.name), self.live
        self._notice_move(now)
        moved = live if self.live is None else None
        self._holes.take(caught, moved, now)
        if caught.files:
            self.adoption.assign(self._candidates_of(caught), now)

    def _candidates_of(self, caught: Caught) -> list[Candidate]:
        held = {tail.file_id for tail in self.tails if tail.file is not None}
        live_id = self._id_at_path() if self.live is None else None
        found: list[Candidate] = []
        for file in caught.files:
            if pending := self.rotated.unhold(file.id):
                pending.close()
            if file.id in held or not self._keeper.may_have(file.id, self):
                file.close()
                continue
            held.add(file.id)
            found += self.rotated.candidates([file], live=file.id == live_id, born=True)
        return found

    def _id_at_path(self) -> FileId | None:
        """None: nothing is there. What can't be looked at is taken for the live file, if there is one."""
        try:
            found = os.stat(self.source.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._keeper.complain(self.source.path, error)
            return self.live.file_id if self.live else None
        return FileId(found.st_dev, found.st_ino)

    def _notice_move(self, now: float) -> None:
        if self.live is None or self._id_at_path() == self.live.file_id:
            return
        self.live.place, self.live.changed_at = Place.ROTATED, now
        self.live, self.rotated.due = None, True

    def _look_at(self, tail: Tail, now: float) -> None:
        try:
            step = tail.look(now, self._keeper.settings.late_write_s)
        except OSError as error:
            self._keeper.complain(tail.path, error)
            return
        if step is Step.CLOSE:
            if not tail.declare_unseen(self._keeper.now_ns()):
                self._close(tail)
        elif step is Step.START_AGAIN:
            self.start_again(tail, now)
        elif step is Step.FINISH:
            tail.seen = tail.read.offset

    def _close(self, tail: Tail) -> None:
        listed = False
        if tail.file is not None:
            tail.file_id, listed = self.rotated.close_file(tail.file, tail.generation)
        self._drop(tail, listed=listed)

    def _drop(self, tail: Tail, *, listed: bool) -> None:
        self.tails.remove(tail)
        self.live = None if self.live is tail else self.live
        self._keeper.let_go(tail, listed=listed)
        tail.close()

    def start_again(self, tail: Tail, now: float) -> None:
        """It was cut and written anew: what is there now is another stream. The old text may stand in a copy."""
        place, was_live = tail.place, self.live is tail
        self.rotated.unsettle(tail.generation)
        file = tail.lose(GapReason.TRUNCATED, now)
        if file is None:
            return
        fresh = self.new_tail(file, place, now)
        self.live = fresh if was_live else self.live

    def diverge(self, tail: Tail, now: float) -> None:
        """The collector has other bytes under this stream's name: the whole file goes as a new stream."""
        file, place, was_live = tail.file, tail.place, self.live is tail
        tail.file = None
        self._drop(tail, listed=False)
        if file is not None:
            fresh = self.new_tail(file, place, now)
            fresh.unseen = tail.unseen
            self.live = fresh if was_live else self.live

    def reopen(self, state: StreamState, now: float) -> Tail:
        """A closed stream is wanted again: in one of the rotated files, or where it was seen last."""
        self.rotated.unsettle(state.generation)
        self._keeper.memory.take(state)
        tail = self.new_tail(
            None, Place.GONE, now, msgspec.structs.replace(state, closed_ns=0, compared_mtime_ns=0, listed=True)
        )
        if found := self._open_rotated()[0]:
            self.adoption.assign(found, now)
        if tail.file is None and (file := self.rotated.open(state.path)):
            one = candidate(file, live=False)
            if file.id in {t.file_id for t in self.tails if t.file} or fit(one, state) is Fit.NO:
                file.close()
            else:
                tail.attach(file, Place.ROTATED, now)
                self._keeper.adopted(tail, self)
        return tail

    # Finding files ----------------------------------------------------------------------------------------------

    def _open_live(self) -> list[Candidate]:
        path = self.source.path
        self.unopened_bytes = 0
        try:
            file = open_log(path)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._keeper.complain(path, error)
            self.unopened_bytes = _size_of(path)
            return []
        if any(tail.file is not None and tail.file_id == file.id for tail in self.tails):
            file.close()  # renamed back: its tail goes on as the live one
            self.live = next(tail for tail in self.tails if tail.file_id == file.id)
            self.live.place = Place.LIVE
            return []
        if self.rotated.is_resting(file.id) or not self._keeper.may_have(file.id, self):
            file.close()
            return []
        return self.rotated.candidates([file], live=True)

    def _open_rotated(self) -> tuple[list[Candidate], set[FileId]]:
        return self.rotated.open_new({tail.file_id for tail in self.tails if tail.file is not None}, self)

    # Streams ------------------------------------------------------------------------------------------------------

    def new_tail(self, file: LogFile | None, place: Place, now: float, state: StreamState | None = None) -> Tail:
        tail = Tail(self._keeper.agent, self.source, file, place, now, self, state)
        self.tails.append(tail)
        self._keeper.adopted(tail, self)
        return tail

    def name_generation(self, first_bytes: bytes) -> str:
        """The fingerprint, with `.n` where this source had another file that began like this."""
        base = fingerprint(first_bytes)
        taken = {tail.generation for tail in self.tails}
        name, count = base, 0
        while name in taken or self._keeper.memory.knows(self.source.name, name):
            count += 1
            name = f"{base}.{count}"
        self._keeper.named()
        return name


def _size_of(path: str) -> int:
    try:
        return max(1, os.stat(path).st_size)
    except OSError:
        return 0
