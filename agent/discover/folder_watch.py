"""Wakes a loop early when the entries of watched folders change. A help only: the loop looks by time as well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from agent.discover.finding import os_reason
from agent.inotify import ENTRIES, Change, Inotify

MOST_WATCHES = 2048
"""Of each loop; fs.inotify.max_user_watches is shared by everything the user runs."""

log = logging.getLogger(__name__)


class FolderWatch:
    """For one event loop. Where inotify can't be had, `wait` is a plain sleep, and that is logged once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._woken = asyncio.Event()
        self._folders: dict[str, int] = {}
        self._troubled = False
        self._inotify: Inotify | None = None
        try:
            self._inotify = Inotify()
        except OSError as error:
            self._slower(f"fs.inotify.max_user_instances: {os_reason(error)}")
        else:
            asyncio.get_running_loop().add_reader(self._inotify.fileno(), self._read)

    def watch_only(self, folders: Iterable[str]) -> None:
        """These folders and no others, the first MOST_WATCHES of them. One that is not there is tried again at the
        next call."""
        wanted = dict.fromkeys(list(dict.fromkeys(folders))[:MOST_WATCHES])
        for folder in self._folders.keys() - wanted.keys():
            self._unwatch(self._folders.pop(folder))
        for folder in wanted:
            if folder not in self._folders:
                self._add(folder)

    async def wait(self, timeout_s: float) -> bool:
        """True: something changed (since the last `wait` ended). False: the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def close(self) -> None:
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None

    def _add(self, folder: str) -> None:
        if self._inotify is None:
            return
        try:
            self._folders[folder] = self._inotify.watch(folder, ENTRIES | Change.ONLYDIR)
            self._woken.set()  # it may have changed since it was looked at
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return  # the look at the folder itself says so
        except OSError as error:
            self._slower(f"fs.inotify.max_user_watches: {os_reason(error)}")

    def _unwatch(self, watch: int) -> None:
        if self._inotify is not None:
            self._inotify.unwatch(watch)

    def _read(self) -> None:
        if self._inotify is None:
            return
        for notice in self._inotify.read():
            if notice.change & Change.IGNORED:
                self._folders = {folder: watch for folder, watch in self._folders.items() if watch != notice.watch}
            self._woken.set()

    def _slower(self, why: str) -> None:
        if not self._troubled:
            self._troubled = True
            log.warning("%s: changes are seen by looking only, so a few seconds later (%s)", self._what, why)
