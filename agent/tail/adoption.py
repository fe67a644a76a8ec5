"""Whose file is it: what was found becomes a stream's file, a copy that needs no reading, or a stream of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agent.tail.claim import Candidate, is_compressed_of, is_prefix_of, match_files, whose_damaged
from agent.tail.keeper import Keeper
from agent.tail.logfile import LogFile
from agent.tail.mark import same_text
from agent.tail.rotation import Place
from agent.tail.state import StreamState
from agent.tail.tail import Tail
from deckwatch.runtime.files import told_path

if TYPE_CHECKING:
    from agent.tail.followed import Followed

_RETURN_NS = 600 * 1_000_000_000


class Adoption:
    """Of one followed log; it keeps nothing of its own."""

    def __init__(self, followed: Followed, keeper: Keeper) -> None:
        self._followed = followed
        self._keeper = keeper

    def assign(self, found: list[Candidate], now: float) -> None:
        memory, name = self._keeper.memory, self._followed.source.name
        open_now = {tail.generation: tail for tail in self._followed.tails if tail.generation}
        states = [state for tail in self._followed.tails if (state := tail.remember())]
        states += memory.waiting(name) + [state for state in memory.closed(name) if self._may_return(state)]
        opened = {tail.generation: tail.file for tail in self._followed.tails if tail.file is not None}
        match = match_files(found, states, opened)
        for i, one in enumerate(found):
            state = match.streams.get(i) or match.copies.get(i)
            self._followed.rotated.unhold(one.file.id)
            if error := match.unreadable.get(i):
                self._followed.rotated.unreadable(one.file, error)
                continue
            self._followed.rotated.readable(one.file)
            tail = open_now.get(state.generation) if state else None
            try:
                self._take(one, state, tail, now, copy=i in match.copies)
            except OSError as error:  # a bad page where nobody had to look before
                self._followed.rotated.unreadable(one.file, error)

    def _take(self, one: Candidate, state: StreamState | None, tail: Tail | None, now: float, *, copy: bool) -> None:
        """Raises OSError before anything has become of it."""
        if state is None:
            self._take_unknown(one, now)
        elif tail is not None:
            self._take_copy(one, tail, now)
        else:
            self._take_known(one, state, now, copy=copy)

    def _may_return(self, state: StreamState) -> bool:
        """A closed stream's file may be seen again under another name, compressed, just after it went."""
        return state.listed or self._keeper.now_ns() - state.closed_ns < _RETURN_NS

    def _take_copy(self, one: Candidate, tail: Tail, now: float) -> None:
        if tail.file is None:
            tail.attach(one.file, _place(one), now)
            self._followed.live = tail if one.live else self._followed.live
            self._keeper.adopted(tail, self._followed)
        else:
            self._followed.rotated.settle(one.file, tail.generation)

    def _take_known(self, one: Candidate, state: StreamState, now: float, *, copy: bool) -> None:
        grown = state.closed_ns and not one.file.path.endswith(".gz") and one.file.pread(1, state.acked.offset)
        if copy or (state.closed_ns and not one.live and not grown):
            at, mtime_ns = one.file.id, one.file.stat().mtime_ns if one.file.path.endswith(".gz") else 0
            path = told_path(one.file.path)
            known = msgspec.structs.replace(state, file=at, path=path, compared_mtime_ns=mtime_ns, listed=True)
            self._keeper.relisted(known)
            self._followed.rotated.settle(one.file, state.generation)
            return
        self._keeper.memory.take(state)
        tail = self._followed.new_tail(
            one.file, _place(one), now, msgspec.structs.replace(state, closed_ns=0, compared_mtime_ns=0)
        )
        self._followed.live = tail if one.live else self._followed.live
        self._keeper.resumed(tail)

    def _take_unknown(self, one: Candidate, now: float) -> None:
        """A rotated file that nobody saw while it was live. One that still changes may be a copy in the making."""
        if self._followed.only_known:
            one.file.close()
            return
        stat = one.file.stat()
        still = self._keeper.now_ns() - stat.mtime_ns >= self._keeper.settings.settle_s * 1e9
        if not one.live and not one.born and not self._followed.is_first and not still:
            self._followed.rotated.hold(one.file)
            return
        for tail in self._followed.tails if not one.live and not one.born else ():
            if tail.file and tail.generation and tail.read.offset and stat.size and is_prefix_of(one.file, tail.file):
                self._followed.rotated.settle(one.file, tail.generation)
                return
            if self._is_packed(one, tail):
                self._followed.rotated.settle(one.file, tail.generation)
                return
        tail = self._followed.new_tail(one.file, _place(one), now)
        self._followed.live = tail if one.live else self._followed.live
        if self._keeper.begin_at_end and stat.mtime_ns < self._keeper.started_ns:
            self._begin_at_end(tail)

    def _begin_at_end(self, tail: Tail) -> None:
        try:
            tail.begin_at_end(self._keeper.now_ns())
        except OSError as error:  # then it is read from its beginning, or as far as it can be
            self._keeper.complain(tail.path, error)

    def take_damaged(self, file: LogFile, now: float) -> None:
        """Not even its beginning can be read, or not the place by which it would be known. It is told by its inode and
        name; what is known to be read already needs no second look, and the rest is a gap."""
        names = self._followed.rotated.names
        plain = (tail for tail in self._followed.tails if is_compressed_of(file, names.get(tail.file_id, tail.path)))
        tail = next((tail for tail in plain if tail.generation), None)
        if tail is not None and tail.file is not None:
            self._followed.rotated.settle(file, tail.generation)
            return
        state = None if tail else whose_damaged(file, self._keeper.memory.of_source(self._followed.source.name), names)
        size = file.stat().size
        grown = size is not None and state is not None and size > state.acked.offset
        if state is not None and state.closed_ns and not grown and file.path != self._followed.source.path:
            self._keeper.relisted(msgspec.structs.replace(state, file=file.id, path=told_path(file.path), listed=True))
            self._followed.rotated.settle(file, state.generation)
            return
        place = Place.LIVE if file.path == self._followed.source.path else Place.ROTATED
        if tail is not None:
            tail.attach(file, place, now)
            self._keeper.adopted(tail, self._followed)
        elif state is not None:
            self._keeper.memory.take(state)
            tail = self._followed.new_tail(file, place, now, msgspec.structs.replace(state, closed_ns=0))
            self._keeper.resumed(tail)
        else:
            tail = self._followed.new_tail(file, place, now)
        self._followed.live = tail if place is Place.LIVE else self._followed.live
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
        for at, file in list(self._followed.rotated.pending.items()):
            if file.path == path:
                self._followed.rotated.unhold(at)
                self._followed.new_tail(file, Place.ROTATED, now)


def _place(one: Candidate) -> Place:
    return Place.LIVE if one.live else Place.ROTATED
