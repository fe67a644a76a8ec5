"""The collector's epoch: it changes whenever what agents believe to be durable here may no longer be.

The epoch file remembers which file it is (device and inode). A data directory that was restored or copied has the same
text in another file: that is how a restore from a backup shows, without anybody having to say so. A file system may
give the copy the very inode that was freed for it: the mark of a clean end also notes when the file was last changed,
which no copy keeps (its ctime; `cp -a` sets the other times).

It is renewed too where the last run did not end with everything sealed: after a power failure, a journal that was cut
at a whole entry, or is gone, may look like one that never had more. Agents compare all positions then and send again
what is missing; the price of a crash is one Hello of each agent.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from deckwatch.runtime.files import sync_directory, write_atomically

_SEALED = "sealed"


class _Epoch(msgspec.Struct, frozen=True):
    epoch: str
    device: int
    inode: int


class _Sealed(msgspec.Struct, frozen=True):
    """Of the epoch file, at the end of a run that left nothing in the journal alone."""

    device: int
    inode: int
    changed_ns: int


def open_epoch(folder: Path, *, renew: bool = False) -> str:
    """The epoch of a data directory; a new one where there is none, where it was copied, or with `renew`."""
    path = folder / "epoch"
    if not renew and path.exists() and is_own(folder):
        return msgspec.json.decode(path.read_bytes(), type=_Epoch).epoch
    return _write(path)


def mark_sealed(folder: Path) -> None:
    """At the end of a run that left nothing in the journal alone."""
    write_atomically(folder / _SEALED, msgspec.json.encode(_now(folder)))


def take_sealed(folder: Path) -> bool:
    """Did the last run leave a mark, in this very directory? It is gone, durably, before anything new is accepted."""
    path = folder / _SEALED
    try:
        left = path.read_bytes()
    except FileNotFoundError:
        return False
    path.unlink()
    sync_directory(folder)
    try:
        return msgspec.json.decode(left, type=_Sealed) == _now(folder)
    except (msgspec.DecodeError, FileNotFoundError):
        return False


def is_own(folder: Path) -> bool:
    """Is this the directory that its epoch was made in, as far as that can be told?"""
    path = folder / "epoch"
    try:
        known = msgspec.json.decode(path.read_bytes(), type=_Epoch)
    except msgspec.DecodeError:
        return False
    status = path.stat()
    return (known.device, known.inode) == (status.st_dev, status.st_ino)


def _now(folder: Path) -> _Sealed:
    status = (folder / "epoch").stat()
    return _Sealed(status.st_dev, status.st_ino, status.st_ctime_ns)


def _write(path: Path) -> str:
    epoch = secrets.token_hex(8)
    temporary = path.with_name("epoch.new")
    with temporary.open("wb") as file:
        status = os.fstat(file.fileno())
        file.write(msgspec.json.encode(_Epoch(epoch, status.st_dev, status.st_ino)))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return epoch
