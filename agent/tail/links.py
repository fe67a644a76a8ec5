"""Hard links to the files that are followed, so that their bytes outlive a deletion while the agent is down.

While it runs, an open descriptor keeps a deleted file's bytes; a restart would lose them. A link in a folder of ours,
in the same mount (link(2) does not leave one), costs nothing for as long as the file has another name, and keeps it
when it has none. It is named by device and inode, which can't be used again while it exists. Bounded: what is linked
may take at most so many bytes if all of it was deleted at once; beyond, the largest files are let go, and the loss is
a declared gap.
"""

# ruff: noqa: PTH116
# Paths are plain strings here: thousands of them are looked at every few seconds.
from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.tail.logfile import FileId, PlainFile
from agent.tail.settings import LinkSettings

log = logging.getLogger(__name__)

_NAME = re.compile(r"([0-9a-f]+)-([0-9a-f]+)\.link")
_REFUSED = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS, errno.EOPNOTSUPP, errno.EMLINK})


def beyond(sizes: Mapping[FileId, int], limit_bytes: int) -> list[FileId]:
    """Which files to let go of, the largest first: that costs the fewest logs."""
    total, dropped = sum(sizes.values()), []
    for at, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if total <= limit_bytes:
            break
        dropped.append(at)
        total -= size
    return dropped


class Links:
    """For one thread. `folder` None: off."""

    def __init__(self, settings: LinkSettings, folder: Path | None) -> None:
        self._limit_bytes = settings.limit_bytes
        self._folder = settings.folder or folder
        self._held: set[FileId] = set()
        self._too_large: dict[FileId, int] = {}  # let go of at the start, with their sizes
        self._refused: set[int] = set()  # devices on which no link can be made
        self._is_full = False
        if self._folder is not None:
            self._open(enabled=settings.enabled)

    def _open(self, *, enabled: bool) -> None:
        assert self._folder is not None  # noqa: S101 - asked by the only caller
        try:
            if enabled:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = {at for name in os.listdir(self._folder) if (at := _id_of(name))}  # noqa: PTH208
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s: %s; files deleted while the agent is down are lost", self._folder, error.strerror)
            enabled = False
        if not enabled:
            self.keep_only(())
            self._folder = None

    def begin(self, known: Iterable[FileId]) -> None:
        """At the start: links that no known stream needs go, and those beyond the limit."""
        self.keep_only(known)
        sizes = self._sizes()
        self._too_large = {at: sizes[at] for at in beyond(sizes, self._limit_bytes)}
        for at in self._too_large:
            self._drop(at)

    def keep(self, files: Iterable[PlainFile], waiting: Iterable[FileId]) -> None:
        """Exactly these from now on, as far as the limit allows; and what is `waiting` to be found again."""
        wanted = {file.id: file for file in files}
        self.keep_only({*wanted, *waiting})
        sizes = {at: file.stat().size or 0 for at, file in wanted.items()}
        dropped = set(beyond(sizes, self._limit_bytes))
        self._tell_full(len(dropped))
        for at, file in wanted.items():
            if at in dropped:
                file.own_links = 0
                self._drop(at)
            elif at in self._held or self._make(file):
                file.own_links = 1

    def _make(self, file: PlainFile) -> bool:
        """By the open descriptor: its name may be another file's by now."""
        if self._folder is None or file.id.device in self._refused:
            return False
        try:
            self._link(file)
        except FileNotFoundError:
            return False  # it has no name any more
        except OSError as error:
            if error.errno in _REFUSED:
                self._refuse(file, error)
            return False
        self._held.add(file.id)
        return True

    def _link(self, file: PlainFile) -> None:
        """linkat(2) with AT_SYMLINK_FOLLOW, which os.link asks for only where it is given a folder's descriptor."""
        assert self._folder is not None  # noqa: S101 - asked by the only caller
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            name = _name_of(file.id)
            os.link(f"/proc/self/fd/{file.fileno()}", name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def _refuse(self, file: PlainFile, error: OSError) -> None:
        self._refused.add(file.id.device)
        mend = "set agent.tail.links.folder to one in its mount" if error.errno == errno.EXDEV else "run it as root"
        log.warning(
            "%s: no hard link in %s: %s; if it is deleted while the agent is down, its unread lines are lost and a gap "
            "is declared; %s", file.path, self._folder, error.strerror, mend,
        )  # fmt: skip

    def _tell_full(self, dropped: int) -> None:
        if dropped and not self._is_full:
            log.warning(
                "%d of the largest logs are not kept over a deletion while the agent is down: together they are larger "
                "than %d bytes; raise agent.tail.links.limit_bytes", dropped, self._limit_bytes,
            )  # fmt: skip
        self._is_full = bool(dropped)

    def open(self, at: FileId) -> PlainFile | None:
        """The file behind a link; None where there is none. Its device may have another number since a reboot."""
        if at not in self._held:
            return None
        try:
            file = PlainFile(self._path(at))
        except OSError:
            return None
        file.own_links = 1
        return file

    def size_of(self, at: FileId) -> int | None:
        """Of the file behind a link; None where there is none."""
        if at not in self._held:
            return None
        try:
            return os.stat(self._path(at)).st_size
        except OSError:
            return None

    def too_large(self, at: FileId) -> int | None:
        """The size of a file that was let go of at the start because of the limit."""
        return self._too_large.get(at)

    def keep_only(self, wanted: Iterable[FileId]) -> None:
        for at in self._held.difference(wanted):
            self._drop(at)

    def _drop(self, at: FileId) -> None:
        if at in self._held:
            Path(self._path(at)).unlink(missing_ok=True)
            self._held.discard(at)

    def kept_bytes(self) -> int:
        """Of files that have no other name: what the links alone keep on the disk."""
        return sum(self._sizes(alone=True).values())

    def _sizes(self, *, alone: bool = False) -> dict[FileId, int]:
        sizes = {}
        for at in self._held:
            try:
                found = os.stat(self._path(at))
            except FileNotFoundError:
                continue
            if found.st_nlink == 1 or not alone:
                sizes[at] = found.st_size
        return sizes

    def _path(self, at: FileId) -> str:
        return f"{self._folder}/{_name_of(at)}"


def _name_of(at: FileId) -> str:
    return f"{at.device:x}-{at.inode:x}.link"


def _id_of(name: str) -> FileId | None:
    match = _NAME.fullmatch(name)
    return FileId(int(match[1], 16), int(match[2], 16)) if match else None
