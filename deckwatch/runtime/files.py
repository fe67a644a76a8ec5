"""Files that are whole or absent: written beside their place, made durable, then renamed over it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """A reader sees the old content or the new, after a power cut too. OSError is the caller's to explain. `data`: all
    of it, or its pieces one after the other where all of it would take much memory."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines((data,) if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def told_path(path: str) -> str:
    """A path as text that can leave the process: bytes of a name that are no UTF-8 as \\xNN. Linux allows any bytes, so
    whoever may create a file in a watched folder chooses them; the path itself is kept for opening."""
    return path if path.isascii() else os.fsencode(path).decode(errors="backslashreplace")


def sync_directory(path: Path) -> None:
    """Makes renames, creations and removals in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """What was written to it, by whomever, is on disk when this returns. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
