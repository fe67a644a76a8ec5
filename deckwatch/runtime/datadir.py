"""The directory that one process owns: private (0700), locked, and marked with the version of what it holds."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.files import sync_directory, write_atomically

log = logging.getLogger(__name__)

LOCK_FILE = "lock"
VERSION_FILE = "VERSION"
ADDRESS_FILE = "address"

LOCK_WAIT_S = 3.0
"""A process that was killed may need a moment until the kernel lets its lock go."""


class DataDir:
    """Open until `close()`; the kernel frees the lock of a process that dies.

    `found_version` is what the directory held before: lower than ours means that the owner must convert it and then
    call `write_version()`.
    """

    def __init__(self, path: Path, part: str, version: int, found_version: int, lock: int) -> None:
        self.path = path
        self.part = part
        self.version = version
        self.found_version = found_version
        self._lock = lock

    @classmethod
    def open(cls, path: Path, version: int, *, part: str, wait_s: float = LOCK_WAIT_S) -> Self:
        """Creates the directory where it is missing.

        `part` (`agent`, `collector`, `up`) keeps one daemon from taking another's directory. Raises Unusable: not a
        directory, not ours, not writable, open to others and shared with foreign files, locked by another process,
        of another part, or of a newer version.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - messages name it whole, symbolic links as given
        _create(path)
        _make_private(path)
        lock = _lock(path, wait_s)
        try:
            found = _found_version(path, part, version)
            opened = cls(path, part, version, version if found is None else found, lock)
            if found is None:
                opened.write_version()
        except BaseException:
            os.close(lock)
            raise
        return opened

    def write_version(self) -> None:
        text = json.dumps({"part": self.part, "version": self.version})
        try:
            write_atomically(self.path / VERSION_FILE, text.encode() + b"\n")
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def write_address(self, url: str) -> None:
        """Where the daemon listens, for scripts and `deckwatch logs`: one line, whole or absent."""
        try:
            write_atomically(self.path / ADDRESS_FILE, url.encode() + b"\n")
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def close(self) -> None:
        """Gives the directory free. The address goes first: nobody should call a daemon that is gone."""
        if self._lock >= 0:
            (self.path / ADDRESS_FILE).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _create(path: Path) -> None:
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise Unusable(f"{path}: {above} is a file; give another directory")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        sync_directory(path.parent)
    except FileExistsError:
        if not path.is_dir():
            raise Unusable(f"{path}: not a directory; give another one, or move that file away") from None
    except OSError as error:
        raise Unusable(f"{path}: can't be created: {error.strerror}; create it for this user first") from None


def _make_private(path: Path) -> None:
    """Others must not read logs or secrets. Said aloud where it changes something."""
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not mode & 0o077:
        return
    if found.st_uid != os.geteuid():
        raise Unusable(f"{path}: belongs to user {found.st_uid} and is open to others (mode {mode:04o}); chown it")
    names = {entry.name for entry in path.iterdir()}
    if names and not names & {VERSION_FILE, LOCK_FILE}:
        raise Unusable(
            f"{path}: open to others (mode {mode:04o}) and holds files that are not Deckwatch's; "
            "give a directory of its own, or chmod 0700 it"
        )
    path.chmod(0o700)
    log.warning("%s was open to others (mode %04o): it is 0700 now", path, mode)


def _lock(path: Path, wait_s: float) -> int:
    """The descriptor that holds the lock; the file says whose it is."""
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    deadline = time.monotonic() + wait_s
    while not _try_lock(lock):
        if time.monotonic() > deadline:
            owner = os.pread(lock, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise Unusable(f"{path}: in use by process {owner}; stop it, or give another directory")
        time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _found_version(path: Path, part: str, version: int) -> int | None:
    """None: nothing was here before."""
    try:
        text = (path / VERSION_FILE).read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        marked = json.loads(text)
        owner, found = str(marked["part"]), int(marked["version"])
    except (ValueError, KeyError, TypeError):
        raise Unusable(f"{path / VERSION_FILE}: damaged; restore it, or move the directory away") from None
    if owner != part:
        raise Unusable(f"{path}: holds the data of deckwatch {owner}, not {part}; give another directory")
    if found > version:
        raise Unusable(
            f"{path}: written by a newer Deckwatch (format {found}; this one knows up to {version}); "
            "run the newer one, or give another directory"
        )
    return found


def _unwritable(path: Path, error: OSError) -> Unusable:
    return Unusable(f"{path}: not writable: {error.strerror}; free or mount it, or give another directory")
