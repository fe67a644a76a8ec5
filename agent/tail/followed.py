"""One log followed through its rotations: the file at its path, and earlier ones that are not read out yet."""

# ruff: noqa: PTH116
# Paths are plain strings here: thousands of them are looked at every few seconds.
from __future__ import annotations

import os

import msgspec

from agent.model import LogSource
from agent.tail.catcher import Caught
from agent.tail.claim import (
    Candidate,
    Fit,
    candidate,
    fit,
    is_compressed_of,
    is_prefix_of,
    match_files,
    whose_damaged,
)
from agent.tail.holes import Holes
from agent.tail.keeper import Keeper
from agent.tail.logfile import FileId, LogFile, open_log
from agent.tail.mark import START, Mark, same_text
from agent.tail.rotated import RotatedFiles
from agent.tail.rotation import Place, Step
from agent.tail.state import PlannedGap, StreamState
from agent.tail.tail import Tail
from deckwatch.runtime.files import told_path
from deckwatch.wire.identity import fingerprint
from deckwatch.wire.model import GapReason

_RETURN_NS = 600 * 1_000_000_000


class Followed:
    def __init__(self, source: LogSource, keeper: Keeper, *, only_known: bool = False) -> None:
        """`only_known`: nobody asked for this log any more, only what is known of it is read to its end."""
        self.source = source
        self.tails: list[Tail] = []  # oldest first
        self.live: Tail | None = None
        self.unopened_bytes = 0  # at its path, but it can't be opened
        self.rotated = RotatedFiles(source, keeper)
        self.next_look = 0.0
        self.quiet_since = 0.0
        self.removed = only_known  # discovery does not list it any more
        self._keeper = keeper
        self._only_known = only_known
        self._first = True
        self.from_birth = False  # its births are counted since before its first file
        self._holes = Holes(self, keeper, only_known=only_known)

    @property
    def idle(self) -> bool:
        """Nothing is left of it: no open file, nothing at its path."""
        waiting = self.rotated.pending or self.rotated.failing_bytes
        return not self.tails and not waiting and not self.unopened_bytes

    @property
    def settling(self) -> bool:
        """Something is going on that only time decides."""
        unsure = self.rotated.unsure or self._holes.unsure
        return (
            unsure
            or self._first
            or any(tail.place is not Place.LIVE or tail.failing_since is not None for tail in self.tails)
        )

    @property
    def lag_bytes(self) -> int:
        waiting = sum(max(1, file.stat().stored_bytes) for file in self.rotated.pending.values())
        return sum(tail.lag_bytes for tail in self.tails) + self.unopened_bytes + waiting + self.rotated.failing_bytes

    def look(self, now: float) -> None:
        """Look at the path, at all open files, and where something has changed at the rotated ones."""
        self._take_caught(now)
        newest = self._keeper.memory.newest(self.source.name) if self._first else None
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
            self._assign(found, now)
        while self.rotated.damaged:
            self._take_damaged(self.rotated.damaged.pop(0), now)
        if present is not None:
            self.rotated.forget_absent(present, now)
        if self._first and not self.unopened_bytes and not self.rotated.failing_bytes:
            self._first = False
            self._give_up_waiting(now)
            self._holes.check_start(newest, now)
        self._holes.settle(now)
        for tail in self.tails:
            self._declare_lost(tail, now)

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
            self._assign(self._candidates_of(caught), now)

    def _candidates_of(self, caught: Caught) -> list[Candidate]:
        held = {tail.file_id for tail in self.tails if tail.file is not None}
        live_id = self._id_at_path() if self.live is None else None
        found: list[Candidate] = []
        for file in caught.files:
            if pending := self.rotated.pending.pop(file.id, None):
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
            self._assign(found, now)
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

    # Whose file is it -------------------------------------------------------------------------------------------

    def _assign(self, found: list[Candidate], now: float) -> None:
        memory, name = self._keeper.memory, self.source.name
        open_now = {tail.generation: tail for tail in self.tails if tail.generation}
        states = [state for tail in self.tails if (state := tail.remember())]
        states += memory.waiting(name) + [state for state in memory.closed(name) if self._may_return(state)]
        opened = {tail.generation: tail.file for tail in self.tails if tail.file is not None}
        match = match_files(found, states, opened)
        for i, one in enumerate(found):
            state = match.streams.get(i) or match.copies.get(i)
            self.rotated.pending.pop(one.file.id, None)
            if error := match.unreadable.get(i):
                self.rotated.unreadable(one.file, error)
                continue
            self.rotated.readable(one.file)
            if state is None:
                self._take_unknown(one, now)
            elif tail := open_now.get(state.generation):
                self._take_copy(one, tail, now)
            else:
                self._take_known(one, state, now, copy=i in match.copies)

    def _may_return(self, state: StreamState) -> bool:
        """A closed stream's file may be seen again under another name, compressed, just after it went."""
        return state.listed or self._keeper.now_ns() - state.closed_ns < _RETURN_NS

    def _take_copy(self, one: Candidate, tail: Tail, now: float) -> None:
        if tail.file is None:
            tail.attach(one.file, self._place(one), now)
            self.live = tail if one.live else self.live
            self._keeper.adopted(tail, self)
        else:
            self.rotated.settle(one.file, tail.generation)

    def _take_known(self, one: Candidate, state: StreamState, now: float, *, copy: bool) -> None:
        grown = state.closed_ns and not one.file.path.endswith(".gz") and one.file.pread(1, state.acked.offset)
        if copy or (state.closed_ns and not one.live and not grown):
            at, mtime_ns = one.file.id, one.file.stat().mtime_ns if one.file.path.endswith(".gz") else 0
            path = told_path(one.file.path)
            known = msgspec.structs.replace(state, file=at, path=path, compared_mtime_ns=mtime_ns, listed=True)
            self._keeper.relisted(known)
            self.rotated.settle(one.file, state.generation)
            return
        self._keeper.memory.take(state)
        tail = self.new_tail(
            one.file, self._place(one), now, msgspec.structs.replace(state, closed_ns=0, compared_mtime_ns=0)
        )
        self.live = tail if one.live else self.live
        self._keeper.resumed(tail)

    def _take_unknown(self, one: Candidate, now: float) -> None:
        """A rotated file that nobody saw while it was live. One that still changes may be a copy in the making."""
        if self._only_known:
            one.file.close()
            return
        stat = one.file.stat()
        still = self._keeper.now_ns() - stat.mtime_ns >= self._keeper.settings.settle_s * 1e9
        if not one.live and not one.born and not self._first and not still:
            self.rotated.pending[one.file.id] = one.file
            return
        for tail in self.tails if not one.live and not one.born else ():
            if tail.file and tail.generation and tail.read.offset and stat.size and is_prefix_of(one.file, tail.file):
                self.rotated.settle(one.file, tail.generation)
                return
            if self._is_packed(one, tail):
                self.rotated.settle(one.file, tail.generation)
                return
        tail = self.new_tail(one.file, self._place(one), now)
        self.live = tail if one.live else self.live
        if self._keeper.begin_at_end and stat.mtime_ns < self._keeper.started_ns:
            tail.begin_at_end(self._keeper.now_ns())

    def _take_damaged(self, file: LogFile, now: float) -> None:
        """Not even its beginning can be read, or not the place by which it would be known. It is told by its inode and
        name; what is known to be read already needs no second look, and the rest is a gap."""
        names = self.rotated.names
        plain = (tail for tail in self.tails if is_compressed_of(file, names.get(tail.file_id, tail.path)))
        tail = next((tail for tail in plain if tail.generation), None)
        if tail is not None and tail.file is not None:
            self.rotated.settle(file, tail.generation)
            return
        state = None if tail else whose_damaged(file, self._keeper.memory.of_source(self.source.name), names)
        if state is not None and state.closed_ns and file.path != self.source.path:
            self._keeper.relisted(msgspec.structs.replace(state, file=file.id, path=told_path(file.path), listed=True))
            self.rotated.settle(file, state.generation)
            return
        place = Place.LIVE if file.path == self.source.path else Place.ROTATED
        if tail is not None:
            tail.attach(file, place, now)
            self._keeper.adopted(tail, self)
        elif state is not None:
            self._keeper.memory.take(state)
            tail = self.new_tail(file, place, now, msgspec.structs.replace(state, closed_ns=0))
            self._keeper.resumed(tail)
        else:
            tail = self.new_tail(file, place, now)
        self.live = tail if place is Place.LIVE else self.live
        self._keeper.pass_damage(tail)

    def _is_packed(self, one: Candidate, tail: Tail) -> bool:
        """Is it the compressed text of a file that we hold and have not begun to read? That one gets its name now."""
        if tail.file is None or tail.generation or tail.place is not Place.DELETED or not one.file.path.endswith(".gz"):
            return False
        try:
            if not one.head or not same_text(one.file, tail.file):
                return False
            tail.name_now()
        except OSError as error:
            self._keeper.complain(one.file.path, error)
            return False
        return True

    def take_pending(self, path: str, now: float) -> None:
        """It is known to be no copy in the making."""
        for at, file in list(self.rotated.pending.items()):
            if file.path == path:
                del self.rotated.pending[at]
                self.new_tail(file, Place.ROTATED, now)

    def _place(self, one: Candidate) -> Place:
        return Place.LIVE if one.live else Place.ROTATED

    def new_tail(self, file: LogFile | None, place: Place, now: float, state: StreamState | None = None) -> Tail:
        tail = Tail(self._keeper.agent, self.source, file, place, now, self._name_generation, state)
        self.tails.append(tail)
        self._keeper.adopted(tail, self)
        return tail

    def _name_generation(self, first_bytes: bytes) -> str:
        """The fingerprint, with `.n` where this source had another file that began like this."""
        base = fingerprint(first_bytes)
        taken = {tail.generation for tail in self.tails}
        name, count = base, 0
        while name in taken or self._keeper.memory.knows(self.source.name, name):
            count += 1
            name = f"{base}.{count}"
        self._keeper.named()
        return name

    # What is lost -----------------------------------------------------------------------------------------------

    def _give_up_waiting(self, now: float) -> None:
        """Known streams for which no file was found. One that had been read to its end lost nothing."""
        for state in self._keeper.memory.waiting(self.source.name):
            if (file := self._keeper.links.open(state.file)) and self._take_linked(file, state, now):
                continue
            self._keeper.memory.take(state)
            tail = self.new_tail(None, Place.GONE, now, state)
            tail.lost = GapReason.ROTATED_AWAY if self.source.rotated else GapReason.DELETED
            tail.over = state.complete and not tail.gaps and not tail.unseen
            if size := self._keeper.links.too_large(state.file):
                tail.lost, tail.size = GapReason.HELD_TOO_MUCH, size
            self._keeper.resumed(tail)

    def _take_linked(self, file: LogFile, state: StreamState, now: float) -> bool:
        """It lost its names while we were down, and our link kept it."""
        try:
            known = fit(candidate(file, live=False), state) is not Fit.NO
        except OSError as error:
            self._keeper.complain(file.path, error)
            known = False
        if not known:
            file.close()
            return False
        file.path = state.path
        self._keeper.memory.take(state)
        self._keeper.resumed(self.new_tail(file, Place.DELETED, now, state))
        return True

    def _declare_lost(self, tail: Tail, now: float) -> None:
        """Not at once: a copy with its text may be in the making."""
        if tail.lost is None or tail.over or any(gap.last for gap in tail.gaps):
            return
        if now - tail.lost_at < self._keeper.settings.settle_s:
            return
        if not tail.generation:
            tail.over = True  # nothing of it was ever read: there is no name to declare it under
            return
        whole = tail.lost in (GapReason.HELD_TOO_MUCH, GapReason.SPOOL_FULL) and tail.size is not None
        whole = whole and not tail.unseen
        end = tail.size if whole and tail.size is not None else -1
        detail = f"{told_path(tail.path)}: read to {tail.read.offset}" + (
            "" if tail.size is None else f", seen to {tail.size}"
        )
        behind = Mark(end, 0) if end >= 0 else START
        start = tail.read.offset
        tail.plan(PlannedGap(start, end, behind, tail.lost, self._keeper.now_ns(), detail, last=True))


def _size_of(path: str) -> int:
    try:
        return max(1, os.stat(path).st_size)
    except OSError:
        return 0
