"""Opens each new file of a log the moment that the kernel tells of it, in a thread of its own.

A burst turns over `max-size` times `max-file` within milliseconds, while the tailer may be busy reading something else.
An open descriptor is all that is needed: the bytes stay until it is closed. What was born and deleted faster still is
counted, see `births`. Only changes of names wake this thread, writes don't.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import sys
import threading
from collections.abc import Iterable, Iterator

import msgspec

from agent.inotify import ENTRIES, Change, Inotify, Notice
from agent.tail.births import Births, unseen
from agent.tail.logfile import FileId, LogFile, PlainFile

log = logging.getLogger(__name__)

_NICE = -10
_MASK = ENTRIES | Change.ONLYDIR
_MOST_ROUNDS = 64
"""Looks in a row while names keep changing, before other logs get their turn."""


class Caught(msgspec.Struct, frozen=True):
    """What became of a log since it was last asked about. `unseen` generations came and went before `files`, which are
    open and in the order of their births. `uncounted`: events were lost, so the number says nothing."""

    files: tuple[LogFile, ...] = ()
    unseen: int = 0
    uncounted: bool = False


NOTHING = Caught()


class _Log:
    """One log under watch."""

    __slots__ = ("_failed", "_opened", "births", "folder", "fresh", "held", "source", "uncounted", "unseen",
                 "watch")  # fmt: skip

    def __init__(self, source: str, folder: str, name: str, watch: int) -> None:
        self.source = source
        self.folder = sys.intern(folder)  # of thousands of logs
        self.births = Births(name)
        self.watch: int | None = watch  # None: its folder went
        self.held: tuple[PlainFile, ...] = ()  # open, so that their inodes can't be used again while we compare
        self.fresh: tuple[LogFile, ...] = ()
        self.unseen = 0
        self.uncounted = False
        self._opened = 0
        self._failed = 0

    def open_new(self) -> None:
        """Open what was born and is not held yet. A file that can't be opened is still there: no loss."""
        self._failed = 0
        for name in (*self.births.names, self.births.name):
            try:
                self._keep(PlainFile(os.path.join(self.folder, name)))  # noqa: PTH118 - texts, within milliseconds
            except FileNotFoundError:
                continue
            except OSError:  # the tailer meets it too, and says so
                self._failed += name in self.births.names

    def _keep(self, file: PlainFile) -> None:
        if any(file.id == held.id for held in self.held):
            file.close()
            return
        self.held += (file,)
        self._opened += 1
        self.fresh += (file.again(),)

    def settle(self) -> None:
        """No event is on its way: what was born and not opened is gone."""
        self.unseen += unseen(self.births.count, self._opened + self._failed)
        self._opened = 0
        self.births.settle()
        named = set()
        for name in self.births.names:
            with contextlib.suppress(OSError):  # it can't be looked at: it is not held either
                found = os.stat(os.path.join(self.folder, name))  # noqa: PTH116, PTH118
                named.add(FileId(found.st_dev, found.st_ino))
        for file in self.held:
            if file.id not in named:
                file.close()
        self.held = tuple(file for file in self.held if file.id in named)

    def lose_count(self) -> None:
        self.births.forget()
        self._opened = 0
        self.uncounted = True
        self.close_held()

    def close_held(self) -> None:
        for file in self.held:
            file.close()
        self.held = ()

    def taken(self) -> Caught:
        if not self.fresh and not self.unseen and not self.uncounted:
            return NOTHING
        caught = Caught(self.fresh, self.unseen, self.uncounted)
        self.fresh, self.unseen, self.uncounted = (), 0, False
        return caught

    def close(self) -> None:
        self.close_held()
        for file in self.fresh:
            file.close()
        self.fresh = ()


class _Folder:
    """Logs of one folder, by the names that concern them: there may be thousands."""

    def __init__(self) -> None:
        self.logs: dict[str, _Log] = {}  # by the name at their path
        self._carried: dict[str, _Log] = {}  # other names that their files got
        self._moving: dict[int, _Log] = {}  # by the cookie of a rename

    def meant(self, notice: Notice) -> Iterator[_Log]:
        name, change = notice.name, notice.change
        mover = self._moving.pop(notice.cookie, None) if change & Change.MOVED_TO else None
        owner = self.logs.get(name) or self._carried.get(name)
        if change & (Change.MOVED_FROM | Change.DELETE):
            self._carried.pop(name, None)
        if owner and change & Change.MOVED_FROM:
            self._moving = {notice.cookie: owner}
        if mover and name not in self.logs:
            self._carried[name] = mover
        yield from {id(one): one for one in (mover, owner) if one}.values()

    def drop(self, one: _Log) -> None:
        if self.logs.get(one.births.name) is one:
            del self.logs[one.births.name]
        self._carried = {name: other for name, other in self._carried.items() if other is not one}


class Catcher:
    """`follow`, `take` and `forget` may be called from another thread than the catcher's own, which starts with the
    first log. Where inotify is not to be had, nothing is covered."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._inotify = _opened() if enabled else None
        self._lock = threading.Lock()
        self._logs: dict[str, _Log] = {}
        self._folders: dict[int, _Folder] = {}  # by watch
        self._restless: dict[str, _Log] = {}  # names were changing at the last look
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def follow(self, source: str, path: str) -> bool:
        """From now on. False: it can't be watched, and generations can't be counted. A link at the path is not
        followed: what becomes of the file behind it is told in another folder."""
        folder, name = os.path.split(path)
        with self._lock:
            known = self._logs.get(source)
            if known and self._is_current(known) and (known.folder, known.births.name) == (folder, name):
                return True
            self._drop(source)
            if self._inotify is None or os.path.islink(path):  # noqa: PTH114
                return False
            try:
                watch = self._inotify.watch(folder or ".", _MASK)
            except OSError:
                return False  # `Changes` has said so
            one = self._logs[source] = _Log(source, folder, name, watch)
            if known:
                one.fresh, one.unseen, one.uncounted, known.fresh = known.fresh, known.unseen, True, ()
            self._folders.setdefault(watch, _Folder()).logs[name] = one
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deckwatch-catch", daemon=True)
                self._thread.start()
        return True

    def take(self, source: str) -> Caught:
        """What the kernel has told up to now is in it."""
        with self._lock:
            self.catch()
            one = self._logs.get(source)
            return one.taken() if one else NOTHING

    def covers(self, source: str) -> bool:
        """Are its births counted?"""
        with self._lock:
            one = self._logs.get(source)
            return one is not None and self._is_current(one)

    def _is_current(self, one: _Log) -> bool:
        """Is what we watch what stands at its path? The watch of a folder that was deleted lives on while a file that
        was in it is open."""
        if one.watch is None or self._inotify is None:
            return False
        try:
            watch = self._inotify.watch(one.folder or ".", _MASK)
        except OSError:
            return False
        if watch != one.watch and watch not in self._folders:
            self._inotify.unwatch(watch)
        return watch == one.watch

    def forget(self, source: str) -> None:
        with self._lock:
            one = self._logs.get(source)
            self._drop(source)
            if one:
                one.close()

    def _drop(self, source: str) -> None:
        one = self._logs.pop(source, None)
        if one is None:
            return
        one.close_held()
        self._restless.pop(source, None)
        folder = self._folders.get(one.watch) if one.watch is not None else None
        if folder is None or one.watch is None:
            return
        folder.drop(one)
        if not folder.logs:
            del self._folders[one.watch]
            if self._inotify:
                self._inotify.unwatch(one.watch)

    # The thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._inotify is not None  # noqa: S101 - the thread is started only with it
        with contextlib.suppress(PermissionError):  # a matter of milliseconds; without the right to it, as all others
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        poll = select.poll()
        poll.register(self._inotify.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while self._wake_read not in {fd for fd, _ in poll.poll(0 if self._restless else None)}:
            with self._lock:
                try:
                    self.catch()
                except Exception:  # a supervised loop: whatever one folder brought, the next is looked at
                    log.exception("rotations can't be counted at the moment; please report this")
                    self._lose_count()

    def catch(self) -> None:
        """Read what the kernel tells, open, and read again until it tells nothing more."""
        if self._inotify is None:
            return
        for _ in range(_MOST_ROUNDS):
            touched = self._apply(self._inotify.read())
            for one in [one for source, one in self._restless.items() if source not in touched]:
                del self._restless[one.source]
                one.settle()
            for one in touched.values():
                one.open_new()
            self._restless.update(touched)
            if not self._restless:
                return

    def _apply(self, notices: Iterable[Notice]) -> dict[str, _Log]:
        touched: dict[str, _Log] = {}
        for notice in notices:
            if notice.change & Change.OVERFLOW:
                self._lose_count()
                touched.clear()
                continue
            folder = self._folders.get(notice.watch)
            for one in folder.meant(notice) if folder else ():
                if one.births.take(notice):
                    touched[one.source] = one
            if notice.change & Change.IGNORED:
                self._gone(notice.watch)
        return touched

    def _lose_count(self) -> None:
        log.warning("inotify: events were lost; rotations of %d logs were not counted", len(self._logs))
        self._restless.clear()
        for one in self._logs.values():
            one.lose_count()

    def _gone(self, watch: int) -> None:
        """The folder was deleted, with all that was in it. What was caught is still to be taken."""
        folder = self._folders.pop(watch, None)
        for one in folder.logs.values() if folder else ():
            one.watch = None

    def close(self) -> None:
        if self._thread is not None:
            os.write(self._wake_write, b"x")
            self._thread.join()
            self._thread = None
        for one in self._logs.values():
            one.close()
        self._logs.clear()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)
        if self._inotify:
            self._inotify.close()
            self._inotify = None


def _opened() -> Inotify | None:
    try:
        return Inotify()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENOSPC):
            raise
        log.warning("inotify: %s; rotations are not counted (raise fs.inotify.max_user_instances)", error.strerror)
        return None
