"""The rotated files of one log: which of them still need a reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from agent.model import LogSource
from agent.tail.claim import Candidate, candidate
from agent.tail.keeper import Keeper
from agent.tail.logfile import FileId, LogFile, open_log
from agent.tail.state import StreamState

if TYPE_CHECKING:
    from agent.tail.followed import Followed


_MOST_NAMES = 100
"""Of files that are gone."""

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""Thousands of logs are followed, and most of them have no rotated files: they share it."""

K = TypeVar("K")
V = TypeVar("V")


def _with(known: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return {**known, key: value}


def _without(known: Mapping[K, V], key: K) -> Mapping[K, V]:
    if key not in known:
        return known
    return {other: value for other, value in known.items() if other != key} or _NOTHING


class Settled(msgspec.Struct, frozen=True):
    """A rotated file that needs no reading: a copy, or its stream is closed. Changed since, it is looked at again."""

    stored_bytes: int
    mtime_ns: int
    generation: str


class Failing(msgspec.Struct, frozen=True):
    """A file of which not even the beginning can be read, or not as far as it must be to tell whose it is."""

    since: float
    retry_at: float
    stored_bytes: int
    mtime_ns: int


class RotatedFiles:
    """`due`: names in the folder may have changed since the last look. The mappings are replaced, never changed."""

    __slots__ = ("_absent", "_damaged", "_failing", "_keeper", "_listed_ns", "_settled", "due", "names", "pending",
                 "source")  # fmt: skip

    def __init__(self, source: LogSource, keeper: Keeper) -> None:
        self.source = source
        self.due = True
        self.pending: Mapping[FileId, LogFile] = _NOTHING  # unknown files, held until they are still
        self._keeper = keeper
        self._damaged: tuple[LogFile, ...] = ()  # open
        self.names: Mapping[FileId, str] = _NOTHING  # where files were listed last, also some that are gone
        self._failing: Mapping[FileId, Failing] = _NOTHING
        self._settled: Mapping[FileId, Settled] = _NOTHING
        self._absent: Mapping[str, float] = _NOTHING  # closed generations whose file is not to be found: since when
        self._listed_ns = -1

    def hold(self, file: LogFile) -> None:
        """It is pending from now on."""
        self.pending = _with(self.pending, file.id, file)

    def unhold(self, at: FileId) -> LogFile | None:
        file = self.pending.get(at)
        self.pending = _without(self.pending, at)
        return file

    def next_damaged(self) -> LogFile | None:
        """One that could not be read for so long that it is taken as it is."""
        file, self._damaged = (self._damaged[0], self._damaged[1:]) if self._damaged else (None, ())
        return file

    @property
    def unsure(self) -> bool:
        """Something is going on that only time decides."""
        return bool(self.pending or self._absent or self._failing)

    @property
    def failing_bytes(self) -> int:
        return sum(max(1, one.stored_bytes) for one in self._failing.values())

    def poll(self) -> None:
        """Find out whether the folder has changed without having been told."""
        changed_ns = self._keeper.listings.changed_ns(self.source.rotated)
        if changed_ns != self._listed_ns or (changed_ns < 0 and self.source.rotated):
            self._listed_ns = changed_ns
            self.due = True

    def unsettle(self, generation: str) -> None:
        """Its copies are wanted now."""
        self._settled = {at: one for at, one in self._settled.items() if one.generation != generation} or _NOTHING

    def close_file(self, file: LogFile, generation: str) -> tuple[FileId, bool]:
        """A stream is closed: which file stands for it from now on, and is that one still listed?"""
        stat = file.stat()
        copies = [at for at, settled in self._settled.items() if settled.generation == generation]
        listed = bool(self.source.rotated and (stat.links > 0 or copies))
        self.due = True
        if copies and not stat.links:
            return copies[0], listed  # its compressed copy
        self._settled = _with(self._settled, file.id, Settled(stat.stored_bytes, stat.mtime_ns, generation))
        return file.id, listed

    def has_copy(self, generation: str) -> bool:
        """Is one of the files that are there known to hold this stream?"""
        return any(settled.generation == generation for settled in self._settled.values())

    def name_of(self, state: StreamState) -> str:
        """Where the file of a stream, or a copy of it, was listed last; empty: nowhere."""
        copies = [at for at, settled in self._settled.items() if settled.generation == state.generation]
        return next((self.names[at] for at in (*copies, state.file) if at in self.names), "")

    def list_now(self) -> list[str]:
        return [one.path for one in self._keeper.listings.rotated(self.source.rotated, self.source.path)]

    def younger_than(self, mtime_ns: int) -> int:
        """Rotated files that were written later, of those that are there now."""
        found = self._keeper.listings.rotated(self.source.rotated, self.source.path)
        return sum(one.stat.st_mtime_ns > mtime_ns for one in found)

    def open_new(self, held: Collection[FileId | None], owner: Followed) -> tuple[list[Candidate], set[FileId]]:
        """Rotated files that are neither open nor settled, the oldest first; and all that are there."""
        files: list[LogFile] = []
        present: set[FileId] = set()
        for one in self._keeper.listings.rotated(self.source.rotated, self.source.path):
            path, found = one.path, one.stat
            at = FileId(found.st_dev, found.st_ino)
            present.add(at)
            if self.names.get(at) != path:
                self.names = _with(self.names, at, path)
            settled = self._settled.get(at)
            if settled and (settled.stored_bytes, settled.mtime_ns) == (found.st_size, found.st_mtime_ns):
                continue
            if at in held or self.is_resting(at) or not self._keeper.may_have(at, owner):
                continue
            if file := self.pending.get(at) or self.open(path):
                files.append(file)
        # A pending file whose name is gone is still open, and its bytes are nowhere else.
        files += [file for at, file in self.pending.items() if at not in present]
        return self.candidates(files, live=False), present

    def open(self, path: str) -> LogFile | None:
        try:
            file = open_log(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._keeper.complain(path, error)
            self.due = True
            return None
        return file

    def candidates(self, files: Iterable[LogFile], *, live: bool, born: bool = False) -> list[Candidate]:
        found = []
        for file in files:
            try:
                found.append(candidate(file, live=live, born=born))
            except OSError as error:
                self.unreadable(file, error)
        return found

    def readable(self, file: LogFile) -> None:
        self._failing = _without(self._failing, file.id)
        self._keeper.complain(file.path, None)

    def is_resting(self, at: FileId) -> bool:
        """It could not be read a moment ago."""
        failing = self._failing.get(at)
        return failing is not None and self._keeper.now() < failing.retry_at

    def unreadable(self, file: LogFile, error: OSError) -> None:
        """Now: it may still be being written, as a compressed file is. What stays so is damaged."""
        self._keeper.complain(file.path, error)
        self.unhold(file.id)
        self.due = True
        now, stat, settings = self._keeper.now(), file.stat(), self._keeper.settings
        known = self._failing.get(file.id)
        same = known and (known.stored_bytes, known.mtime_ns) == (stat.stored_bytes, stat.mtime_ns)
        since = known.since if known and (same or stat.size is not None) else now
        if now - since >= settings.unreadable_s:
            self._failing = _without(self._failing, file.id)
            self._damaged += (file,)
            return
        failing = Failing(since, now + settings.poll_s, stat.stored_bytes, stat.mtime_ns)
        self._failing = _with(self._failing, file.id, failing)
        file.close()

    def forget_absent(self, present: set[FileId], now: float) -> None:
        """Closed streams whose file has no name left. Not at once: it may just be getting another one."""
        self._settled = {at: settled for at, settled in self._settled.items() if at in present} or _NOTHING
        if (too_many := len(self.names) - _MOST_NAMES - len(present)) > 0:
            self.names = dict(list(self.names.items())[too_many:])
        tried = now - 2 * self._keeper.settings.poll_s  # the live one is not among those present
        failing = {at: one for at, one in self._failing.items() if at in present or one.retry_at > tried}
        self._failing = failing or _NOTHING
        still = {settled.generation for settled in self._settled.values()}
        absent: dict[str, float] = {}
        for state in self._keeper.memory.closed(self.source.name):
            if not state.listed or state.file in present or state.generation in still:
                continue
            since = absent[state.generation] = self._absent.get(state.generation, now)
            if now - since > self._keeper.settings.settle_s and not self.pending and not self.due:
                self._keeper.unlisted(state)
                del absent[state.generation]
        self._absent = absent or _NOTHING

    def settle(self, file: LogFile, generation: str) -> None:
        stat = file.stat()
        self._settled = _with(self._settled, file.id, Settled(stat.stored_bytes, stat.mtime_ns, generation))
        file.close()
