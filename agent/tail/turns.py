"""Whose turn it is to be read: one piece of each log after another, and what becomes of those that can't be read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.tail.tail import Piece, Tail, Truncated

if TYPE_CHECKING:
    from agent.tail.followed import Followed
    from agent.tail.tailer import Tailer

log = logging.getLogger(__name__)

_MOST_PIECES = 250
"""In one batch: each is an object with its stream, and many small ones would take more memory than the bytes do."""


class Turns:
    """Belongs to a tailer and its thread."""

    def __init__(self, tailer: Tailer) -> None:
        self._tailer = tailer
        self._ready: dict[Followed, None] = {}  # in the order of their turns

    def __bool__(self) -> bool:
        return bool(self._ready)

    def add(self, followed: Followed) -> None:
        """It may have something to read; where it waits already, it keeps its place."""
        self._ready.setdefault(followed)

    def forget(self, followed: Followed) -> None:
        self._ready.pop(followed, None)

    def pieces(self, limit_bytes: int, chunk_bytes: int) -> Iterator[Piece]:
        """Up to `limit_bytes` and so many, one piece of each log in turn, the oldest file of a log first. A piece is
        never cut shorter to fit: a line is."""
        now, taken, pieces = self._tailer.now(), 0, 0
        while self._ready and pieces < _MOST_PIECES and (not taken or taken + chunk_bytes <= limit_bytes):
            followed = next(iter(self._ready))
            del self._ready[followed]
            piece = self._piece_of(followed, chunk_bytes, now)
            if any(tail.unread for tail in followed.tails):
                self._ready[followed] = None
            elif not self._ready:
                self._ready = {}  # an empty one keeps the room of all that were in it
            if piece is not None:
                taken += len(piece.data)
                pieces += 1
                yield piece

    def _piece_of(self, followed: Followed, chunk_bytes: int, now: float) -> Piece | None:
        for tail in [tail for tail in followed.tails if tail.unread]:
            try:
                piece = tail.next_piece(chunk_bytes, now, self._tailer.settings.late_write_s)
            except Truncated:
                followed.start_again(tail, now)
                self._tailer.look(followed, now)
                return None
            except OSError as error:
                self._fail(tail, error, now)
                continue
            if tail.failing_since is not None:
                tail.failing_since = None
                self._tailer.complain(tail.path, None)
            if piece is not None:
                return piece
        return None

    def _fail(self, tail: Tail, error: OSError, now: float) -> None:
        """It is tried again for a while: a disk may recover, and a compressed file may still be being written."""
        self._tailer.complain(tail.path, error)
        if tail.fail(now, self._tailer.settings.poll_s) >= self._tailer.settings.unreadable_s:
            self.pass_damage(tail)

    def pass_damage(self, tail: Tail) -> None:
        """What of it can't be read is given up."""
        try:
            declared = tail.pass_damage(self._tailer.now_ns())
        except OSError as error:
            self._tailer.complain(tail.path, error)
            return
        self.add(self._tailer.homes[tail])
        if declared:
            self._tailer.named()  # where it is must be remembered before it is sent: a restart can't read across it
            waited_s = self._tailer.settings.unreadable_s
            log.error("%s: unreadable for %g s: a gap is declared", tail.path, waited_s)
