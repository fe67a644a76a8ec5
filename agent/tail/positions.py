"""The collector's positions against ours, over all streams: which to ask for, and what follows from the answer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from agent.tail.framing import naming_bytes, possible_generations, sniff
from agent.tail.mark import START, holds
from agent.tail.reconcile import Settlement, settle
from agent.tail.state import StreamState
from agent.tail.tail import Tail
from deckwatch.wire.identity import FINGERPRINT_BYTES, fingerprint, stream_key
from deckwatch.wire.model import Position, StreamId

if TYPE_CHECKING:
    from agent.tail.tailer import Tailer

log = logging.getLogger(__name__)

_NAMESAKES = 2
_MOST_NAMESAKES = 100
"""Files of one log that begin alike, as with a banner, are told apart by a number behind their name: at least so many
are asked for, and as many as there are files, but never more than these."""


class Positions:
    """Belongs to a tailer and its thread."""

    def __init__(self, tailer: Tailer) -> None:
        self._tailer = tailer
        self._questions: dict[str, Position] = {}  # the collector's positions of streams not found again yet
        self._resumed: list[Tail] = []

    def resumed(self, tail: Tail) -> None:
        """Taken over from the memory: to be compared when the look at its log is over."""
        self._resumed.append(tail)

    def keys(self) -> list[str]:
        """Of every stream whose position matters: open ones, those not found again yet, closed ones."""
        return [tail.key for tail in self._tailer.homes if tail.key] + [
            s.key(self._tailer.agent) for s in self._tailer.memory.all()
        ]

    def nameless(self, but: Collection[Tail] = (), most: int = 1 << 30) -> dict[Tail, dict[str, str]]:
        """At most so many tails that have no name yet, with the keys that their file may have had: generation by key.
        Raises OSError."""
        found: dict[Tail, dict[str, str]] = {}
        for tail in self._tailer.homes:
            if len(found) >= most:
                break
            if tail.generation or tail.file is None or tail in but:
                continue
            names = {stream_key(StreamId(self._tailer.agent, tail.source.name, g)): g for g in self._possible(tail)}
            if names:
                found[tail] = names
        return found

    def _possible(self, tail: Tail) -> Iterator[str]:
        """Names that its file may have had, without those that we have given to other files."""
        assert tail.file is not None  # noqa: S101 - asked by the only caller
        head, home = tail.file.pread(FINGERPRINT_BYTES, 0), self._tailer.homes[tail]
        ours = fingerprint(naming_bytes(head, tail.format or sniff(head)))
        namesakes = min(_MOST_NAMESAKES, _NAMESAKES + len(home.tails) + len(home.rotated.list_now()))
        for generation in possible_generations(head):
            for number in range(1 + (namesakes if generation == ours else _NAMESAKES)):
                name = f"{generation}.{number}" if number else generation
                if not self._is_given(tail, name):
                    yield name

    def _is_given(self, tail: Tail, name: str) -> bool:
        home = self._tailer.homes[tail]
        return any(one.generation == name for one in home.tails) or self._tailer.memory.knows(tail.source.name, name)

    def recover_all(self, asked: Mapping[Tail, Mapping[str, str]], theirs: Mapping[str, Position]) -> None:
        for tail, names in asked.items():
            if self.recover(tail, names, theirs):
                log.info("%s: the collector has it up to %d", tail.path, tail.acked.offset)

    def recover(self, tail: Tail, names: Mapping[str, str], theirs: Mapping[str, Position]) -> bool:
        """The checkpoint is lost: take the name and position that the collector knows, if the bytes are the same."""
        for key, name in names.items():
            position = theirs.get(key)
            if position is None or tail.file is None or tail.generation or self._is_given(tail, name):
                continue
            if holds(tail.file, START, position):
                tail.resume_as(name)
                tail.ack(tail.mark_at(position))
                self._tailer.named()
                return True
        return False

    def settle_all(self, asked: Collection[str], theirs: Mapping[str, Position]) -> None:
        """Compare all streams that were asked for with what the collector has; go back, go forward, or declare."""
        self._resumed.clear()
        for tail in list(self._tailer.homes):
            if tail.key in asked:
                self.settle_one(tail, theirs.get(tail.key, START.position))
        for name in self._tailer.memory.waiting_sources():
            keys = (state.key(self._tailer.agent) for state in self._tailer.memory.waiting(name))
            self._questions.update({key: theirs.get(key, START.position) for key in keys})
        for state in list(self._tailer.memory.ledger()):
            key = state.key(self._tailer.agent)
            position = theirs.get(key, START.position)
            if key in asked and position != state.acked.position:
                self._reopen(state, position)

    def _reopen(self, state: StreamState, position: Position) -> None:
        """The collector lost the end of a closed stream: send it again from its file, or declare it lost."""
        if position.offset > state.acked.offset:
            return
        followed = self._tailer.followed_or_known(state)
        tail = followed.reopen(state, self._tailer.now())
        self.settle_one(tail, position)

    def settle_resumed(self) -> None:
        """Streams of the memory whose files were found after the collector was asked."""
        while self._resumed:
            tail = self._resumed.pop()
            theirs = self._questions.pop(tail.key, None)
            if theirs is not None:
                self.settle_one(tail, theirs)

    def settle_one(self, tail: Tail, theirs: Position) -> None:
        try:
            result = settle(tail, theirs, self._tailer.now_ns())
        except OSError as error:
            self._tailer.complain(tail.path, error)
            return
        if result is Settlement.DIVERGE:
            self.diverge(tail)
        elif result is Settlement.GAP:
            log.error("%s: the collector lost bytes that are not here any more: a gap is declared", tail.path)

    def diverge(self, tail: Tail) -> None:
        log.error("%s: the collector holds other bytes under this stream; it is sent anew as another one", tail.path)
        if home := self._tailer.homes.get(tail):
            home.diverge(tail, self._tailer.now())
