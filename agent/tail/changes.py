"""Which logs the kernel says have changed. One watch for each folder tells of every file in it."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable

import msgspec

from agent.inotify import ENTRIES, Change, Inotify

log = logging.getLogger(__name__)

_MASK = ENTRIES | Change.MODIFY | Change.ONLYDIR
_NAMES = Change.CREATE | Change.MOVED_FROM | Change.MOVED_TO | Change.DELETE | Change.DELETE_SELF | Change.MOVE_SELF


class Changed(msgspec.Struct, frozen=True):
    """`files`: sources whose file was written; `names`: those where files came, went or were renamed as well."""

    files: frozenset[str]
    names: frozenset[str]
    everything: bool = False  # events were lost


class Changes:
    """Where inotify is not to be had (no instances or watches left), `covers` says no and polling is what is left."""

    def __init__(self, *, enabled: bool = True) -> None:
        self._inotify = _opened() if enabled else None
        self._watches: dict[str, int] = {}
        self._folders: dict[int, dict[str, str]] = {}  # watch -> name of the file -> its source
        self._further: dict[tuple[int, str], tuple[str, ...]] = {}  # (watch, name) -> other sources of the same file
        self._full = False

    def fileno(self) -> int:
        return self._inotify.fileno() if self._inotify else -1

    def follow(self, source: str, path: str) -> bool:
        """Watch the folder of a path, and that of the file behind it where it is a link. True: both are watched."""
        watched = [self._watch(source, *os.path.split(place)) for place in {path, os.path.realpath(path)}]
        return all(watched)

    def _watch(self, source: str, folder: str, name: str) -> bool:
        if self._inotify is None:
            return False
        watch = self._watches.get(folder)
        if watch is None:
            watch = self._add(folder)
            if watch is None:
                return False
        first = self._folders[watch].setdefault(name, source)
        further = self._further.get((watch, name), ())
        if source != first and source not in further:
            self._further[watch, name] = (*further, source)
        return True

    def _add(self, folder: str) -> int | None:
        assert self._inotify is not None  # noqa: S101 - asked by the only caller
        try:
            watch = self._inotify.watch(folder or ".", _MASK)
        except OSError as error:
            if error.errno == errno.ENOSPC and not self._full:
                self._full = True
                log.warning(
                    "inotify: no watch left for %s; it and others are polled (raise fs.inotify.max_user_watches)",
                    folder,
                )
            return None
        self._watches[folder] = watch
        self._folders.setdefault(watch, {})
        return watch

    def forget(self, source: str) -> None:
        """Watches of folders that nobody asks about any more go."""
        for folder, watch in list(self._watches.items()):
            names = self._folders.get(watch, {})
            for name in [name for name, first in names.items() if self._asked(watch, name, first, source)]:
                self._forget(watch, name, source)
            if not names:
                self._drop(folder, watch)

    def _asked(self, watch: int, name: str, first: str, source: str) -> bool:
        return source == first or (bool(self._further) and source in self._further.get((watch, name), ()))

    def _sources(self, watch: int, name: str) -> tuple[str, ...]:
        """Of the file of that name; none: nobody asked for it."""
        first = self._folders.get(watch, {}).get(name)
        return () if first is None else (first, *self._further.get((watch, name), ()))

    def _forget(self, watch: int, name: str, source: str) -> None:
        left = [one for one in self._sources(watch, name) if one != source]
        self._further.pop((watch, name), None)
        if not left:
            del self._folders[watch][name]
            return
        self._folders[watch][name] = left[0]
        if left[1:]:
            self._further[watch, name] = tuple(left[1:])

    def _drop(self, folder: str, watch: int) -> None:
        del self._watches[folder]
        if watch in self._watches.values():
            return  # the same folder under another name
        self._lose(watch)
        if self._inotify:
            self._inotify.unwatch(watch)

    def _lose(self, watch: int) -> None:
        self._folders.pop(watch, None)
        self._further = {at: sources for at, sources in self._further.items() if at[0] != watch}

    def read(self) -> Changed:
        files: set[str] = set()
        names: set[str] = set()
        everything = False
        while self._inotify and (notices := self._inotify.read()):
            for notice in notices:
                if notice.change & Change.OVERFLOW:
                    everything = True
                    continue
                sources = self._meant(notice.watch, notice.name)
                (names if notice.change & _NAMES else files).update(sources)
                if notice.change & Change.IGNORED:
                    self._gone(notice.watch)
        return Changed(frozenset(files | names), frozenset(names), everything)

    def _meant(self, watch: int, name: str) -> Iterable[str]:
        """Rotated files carry the name of the live one and more: `x.log.1`, `0.log.20240101-000000.gz`."""
        folder = self._folders.get(watch, {})
        if name in folder:
            return self._sources(watch, name)
        meant = [live for live in folder if not name or name.startswith(live)]
        return {source for live in meant for source in self._sources(watch, live)}

    def _gone(self, watch: int) -> None:
        self._lose(watch)
        self._watches = {folder: number for folder, number in self._watches.items() if number != watch}

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
            self._inotify = None


def _opened() -> Inotify | None:
    try:
        return Inotify()
    except OSError as error:
        log.warning("inotify: %s; log files are polled (raise fs.inotify.max_user_instances)", error.strerror)
        return None
