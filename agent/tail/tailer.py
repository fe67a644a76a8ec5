"""All followed logs, in turn. Everything here runs in one thread, the tailer's; others ask through the pipe."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from agent.model import LogSource
from agent.tail.catcher import Catcher
from agent.tail.changes import Changes
from agent.tail.followed import Followed
from agent.tail.links import Links
from agent.tail.listing import Listings
from agent.tail.logfile import FileId, PlainFile
from agent.tail.positions import Positions
from agent.tail.rotation import Place
from agent.tail.settings import Begin, TailSettings
from agent.tail.state import StreamMemory, StreamState
from agent.tail.tail import Piece, Tail
from agent.tail.turns import Turns
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Format, GapReason

log = logging.getLogger(__name__)

LEAST_POLL_S = 0.05
_QUIET_AFTER_S = 60.0
_QUIET_FACTOR = 6
"""A file that inotify covers and that has been quiet for a while is polled this much more rarely."""


class Closed(msgspec.Struct, frozen=True):
    """A stream that was let go, or whose file has gone now: to be told to the collector."""

    state: StreamState
    key: str


class Tailer:
    def __init__(
        self,
        settings: TailSettings,
        agent: str,
        memory: StreamMemory,
        clock: Clock,
        *,
        first_start: bool = True,
        links_dir: Path | None = None,
    ) -> None:
        """`links_dir`: where hard links stand unless the settings say otherwise."""
        self.settings = settings
        self.agent = agent
        self.memory = memory
        self.changes = Changes(enabled=settings.inotify)
        self.catcher = Catcher(enabled=settings.inotify)
        self.links = Links(settings.links, links_dir)
        self.links.begin(state.file for state in memory.all() if not state.closed_ns)
        self.closed: dict[str, Closed] = {}  # not told to the collector yet
        self.listings = Listings()
        self.started_ns = clock.now_ns()
        self.begin_at_end = first_start and settings.begin is Begin.END
        self.has_new_names = False  # the checkpoint must be written before they are sent
        self.hidden: frozenset[str] = frozenset()  # sources that are not logs: they don't count as lag
        self.homes: dict[Tail, Followed] = {}
        self.positions = Positions(self)
        self._clock = clock
        self._started = clock.monotonic()
        self._followed: dict[str, Followed] = {}
        self.turns = Turns(self)
        self._owners: dict[FileId, Followed] = {}
        self._complained: set[str] = set()
        self._link_at = 0.0  # when links are looked at next

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def now(self) -> float:
        return self._clock.monotonic()

    # What is followed -------------------------------------------------------------------------------------------

    def sync(self, sources: Mapping[str, LogSource]) -> None:
        """Take discovery's list over. A log that left it is still read to the end of what is there."""
        now = self.now()
        known = {source for source in self.memory.waiting_sources() if source in sources}
        for name in sorted(sources, key=lambda name: name not in known):
            source, followed = sources[name], self._followed.get(name)
            if followed is None:
                self._follow(source, now)
            elif followed.source != source or followed.removed:
                followed.removed = False
                self._change(followed, source, now)
        for name, followed in list(self._followed.items()):
            if name not in sources and not followed.removed:
                followed.removed = True
                self._change(followed, msgspec.structs.replace(followed.source, ended=True), now)
        self.listings.forget()

    def _follow(self, source: LogSource, now: float) -> None:
        followed = self._followed[source.name] = Followed(source, self)
        self._watch(followed)
        self.look(followed, now)

    def _watch(self, followed: Followed) -> None:
        source = followed.source
        self.changes.follow(source.name, source.path)
        if source.format is not Format.FRAMES:  # our own files: nobody rotates them behind our back
            followed.from_birth = self.catcher.follow(source.name, source.path) and not os.path.lexists(source.path)

    def _change(self, followed: Followed, source: LogSource, now: float) -> None:
        moved = source.path != followed.source.path
        followed.source = followed.rotated.source = source
        if moved:
            self._watch(followed)
        for tail in followed.tails:
            tail.source = source
        self.look(followed, now)

    def look(self, followed: Followed, now: float, *, poll: bool = False) -> None:
        """`poll`: without relying on having been told of new names."""
        before = followed.lag_bytes
        if poll:
            followed.poll(now)
        else:
            followed.look(now)
        self.positions.settle_resumed()
        busy = followed.lag_bytes != before or any(tail.unread for tail in followed.tails)
        if busy:
            followed.quiet_since = now
        if any(tail.unread for tail in followed.tails):
            self.turns.add(followed)
        followed.next_look = now + self._wait_s(followed, now)
        if followed.removed and followed.idle:
            self.changes.forget(followed.source.name)
            self.catcher.forget(followed.source.name)
            del self._followed[followed.source.name]
            self.turns.forget(followed)

    def _wait_s(self, followed: Followed, now: float) -> float:
        if followed.settling:
            return min(self.settings.poll_s, 1.0)
        quiet = now - followed.quiet_since > _QUIET_AFTER_S and self.changes.fileno() >= 0
        return self.settings.poll_s * (_QUIET_FACTOR if quiet else 1)

    def take_changes(self) -> None:
        """Look at what the kernel told of."""
        now = self.now()
        changed = self.changes.read()
        if changed.everything:
            log.warning("inotify: events were lost; looking at all %d logs", len(self._followed))
        names: Iterable[str] = list(self._followed) if changed.everything else changed.files
        for name in names:
            if followed := self._followed.get(name):
                if changed.everything or name in changed.names:
                    followed.rotated.due = True
                    self._watch(followed)
                self.look(followed, now)
        self.listings.forget()

    def poll(self) -> None:
        """Look at what is due, and at what nobody asked about any more."""
        now = self.now()
        for followed in [f for f in self._followed.values() if f.next_look <= now]:
            if followed.live is None:
                self._watch(followed)  # its folder may have come, or come anew
            self.look(followed, now, poll=True)
        self._drop_held(now)
        if now >= self._link_at:
            self._link(now)
        if now - self._started >= self.settings.absent_s:
            self._give_up_absent(now)
        self.memory.trim(self.now_ns(), entries=self.settings.ledger_entries, age_s=self.settings.ledger_s)
        self.listings.forget()

    def next_poll_in(self) -> float:
        """Seconds; the least where something is due already."""
        now = self.now()
        due = min((f.next_look for f in self._followed.values()), default=now + self.settings.poll_s)
        return min(max(LEAST_POLL_S, min(due, self._link_at) - now), self.settings.poll_s)

    def _give_up_absent(self, now: float) -> None:
        """Logs of the checkpoint that discovery does not know any more: their files may still be there."""
        for name in [n for n in self.memory.waiting_sources() if n not in self._followed]:
            state = self.memory.waiting(name)[-1]
            self.look(self._follow_known(state), now)

    def _follow_known(self, state: StreamState) -> Followed:
        source = LogSource(state.source, state.path, "", state.format, state.container, state.tenant, ended=True)
        followed = self._followed[state.source] = Followed(source, self, only_known=True)
        return followed

    def followed_or_known(self, state: StreamState) -> Followed:
        return self._followed.get(state.source) or self._follow_known(state)

    def drop(self, source: str, path: str, reason: GapReason) -> None:
        """Give a file up: what of it is not acked becomes a gap. Named first, so that the gap has a stream."""
        now = self.now()
        followed = self._followed[source]
        followed.rotated.due = True
        self.look(followed, now)
        followed.adoption.take_pending(path, now)
        for tail in [tail for tail in followed.tails if tail.path == path and tail.file is not None]:
            self._give_up(tail, reason, now)

    def _give_up(self, tail: Tail, reason: GapReason, now: float) -> None:
        try:
            tail.name_now()
        except OSError as error:
            self.complain(tail.path, error)
        if file := tail.lose(reason, now):
            file.close()

    def _drop_held(self, now: float) -> None:
        """Deleted files that are held open fill a disk where nobody finds them: the oldest go, as declared gaps."""
        held = [t for t in self.homes if t.place is Place.DELETED and t.file is not None and t.lag_bytes]
        total = sum(tail.size or 0 for tail in held)
        for tail in held:
            if total <= self.settings.held_bytes:
                return
            total -= tail.size or 0
            log.error("%s: deleted, and held for too long: its unread bytes are given up", tail.path)
            self._give_up(tail, GapReason.HELD_TOO_MUCH, now)

    def _link(self, now: float) -> None:
        """Files whose end is not acked, or that may still be written to."""
        self._link_at = now + self.settings.poll_s
        waiting = [state.file for name in self.memory.waiting_sources() for state in self.memory.waiting(name)]
        self.links.keep(
            [tail.file for tail in self.homes if isinstance(tail.file, PlainFile) and tail.is_worth_a_link], waiting
        )

    # What the followed logs ask ---------------------------------------------------------------------------------

    def may_have(self, file: FileId, followed: Followed) -> bool:
        return self._owners.get(file, followed) is followed

    def adopted(self, tail: Tail, followed: Followed) -> None:
        self.homes[tail] = followed
        if tail.file is not None:
            self._owners[tail.file_id] = followed
        self.turns.add(followed)

    def resumed(self, tail: Tail) -> None:
        self.positions.resumed(tail)

    def named(self) -> None:
        self.has_new_names = True
        self._link_at = min(self._link_at, self.now() + LEAST_POLL_S)

    def let_go(self, tail: Tail, *, listed: bool) -> None:
        self.homes.pop(tail, None)
        if not any(t.file_id == tail.file_id for t in self.homes):
            self._owners.pop(tail.file_id, None)
        if state := tail.remember():
            closed = msgspec.structs.replace(state, closed_ns=self.now_ns(), listed=listed, gaps=())
            self.memory.put(closed)
            self.closed[tail.key] = Closed(closed, tail.key)

    def unlisted(self, state: StreamState) -> None:
        gone = msgspec.structs.replace(state, listed=False, closed_ns=self.now_ns())
        self.memory.put(gone)
        key = gone.key(self.agent)
        self.closed[key] = Closed(gone, key)

    def relisted(self, state: StreamState) -> None:
        key = state.key(self.agent)
        was_told_gone = any(not s.listed and s.generation == state.generation for s in self.memory.closed(state.source))
        self.memory.put(state)
        if was_told_gone:
            self.closed[key] = Closed(state, key)

    def complain(self, path: str, error: OSError | None) -> None:
        if error is None:
            if path in self._complained:
                self._complained.discard(path)
                log.info("%s: readable again", path)
        elif path not in self._complained:
            self._complained.add(path)
            hint = " (raise the limit of open files)" if error.errno == errno.EMFILE else ""
            log.error("%s: can't be read: %s%s; it is tried again", path, error.strerror or error, hint)

    # Reading ----------------------------------------------------------------------------------------------------

    def pieces(self, limit_bytes: int, chunk_bytes: int) -> Iterator[Piece]:
        return self.turns.pieces(limit_bytes, chunk_bytes)

    def pass_damage(self, tail: Tail) -> None:
        self.turns.pass_damage(tail)

    @property
    def has_ready(self) -> bool:
        return bool(self.turns)

    @property
    def hungry(self) -> bool:
        """Is there anything to read, or to tell?"""
        return bool(self.turns or self.closed)

    def rewind(self, tails: Iterable[Tail] | None = None) -> None:
        """Read again from what is acked: what was read beyond it did not get there."""
        for tail in list(self.homes if tails is None else tails):
            tail.rewind()
            if (home := self.homes.get(tail)) and tail.unread:
                self.turns.add(home)

    def looked_at(self, tails: Iterable[Tail]) -> None:
        """After an ack: what is read out and acked may be closed."""
        now = self.now()
        for home in {self.homes[tail] for tail in tails if tail in self.homes and tail.may_close}:
            self.look(home, now)

    # What is known ----------------------------------------------------------------------------------------------

    def lag_bytes(self, *, fresh: bool = False) -> int:
        """Complete lines in the watched files that are not acked. `fresh` looks at every file first."""
        if fresh:
            now = self.now()
            for followed in list(self._followed.values()):
                self.look(followed, now)
        shown = sum(followed.lag_bytes for name, followed in self._followed.items() if name not in self.hidden)
        return shown + sum(size - state.acked.offset for state, size in self.waiting())

    def waiting(self) -> list[tuple[StreamState, int]]:
        """Streams of before the start whose logs nobody has named yet, with the sizes of their files as our hard links
        have them: those of a container that was removed while we were down have no other name."""
        states = (state for name in self.memory.waiting_sources() for state in self.memory.waiting(name))
        sizes = ((state, self.links.size_of(state.file)) for state in states)
        return [(state, size) for state, size in sizes if size is not None and size > state.acked.offset]

    def hidden_lag_bytes(self) -> int:
        return sum(self._followed[name].lag_bytes for name in self.hidden if name in self._followed)

    def tails(self) -> list[Tail]:
        return list(self.homes)

    def states(self) -> list[StreamState]:
        """All that a restart must know."""
        return [state for tail in self.homes if (state := tail.remember())] + list(self.memory.all())

    def close(self) -> None:
        for tail in self.homes:
            tail.close()
        self.changes.close()
        self.catcher.close()
