"""What is lost of a log: streams whose file was not found again, and the gaps that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.tail.claim import Fit, candidate, fit
from agent.tail.keeper import Keeper
from agent.tail.logfile import LogFile
from agent.tail.mark import START, Mark
from agent.tail.rotation import Place
from agent.tail.state import PlannedGap, StreamState
from agent.tail.tail import Tail
from deckwatch.runtime.files import told_path
from deckwatch.wire.model import GapReason

if TYPE_CHECKING:
    from agent.tail.followed import Followed


class Losses:
    """Of one followed log; it keeps nothing of its own."""

    def __init__(self, followed: Followed, keeper: Keeper) -> None:
        self._followed = followed
        self._keeper = keeper

    def give_up_waiting(self, now: float) -> None:
        """Known streams for which no file was found. One that had been read to its end lost nothing."""
        for state in self._keeper.memory.waiting(self._followed.source.name):
            if (file := self._keeper.links.open(state.file)) and self._take_linked(file, state, now):
                continue
            self._keeper.memory.take(state)
            tail = self._followed.new_tail(None, Place.GONE, now, state)
            tail.lost = GapReason.ROTATED_AWAY if self._followed.source.rotated else GapReason.DELETED
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
        self._keeper.resumed(self._followed.new_tail(file, Place.DELETED, now, state))
        return True

    def declare(self, tail: Tail, now: float) -> None:
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
