"""The collector's epoch: it changes whenever what agents believe to be durable here may no longer be.

The epoch file remembers which file it is (device and inode). A data directory that was restored or copied has the same
text in another file: that is how a restore from a backup shows, without anybody having to say so.

It is renewed too where the last run did not end with everything sealed: a journal that was cut at a whole entry, or is
gone, looks like one that never had more. Agents compare all positions then and send again what is missing; the price
of a crash is one Hello of each agent.
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


def open_epoch(folder: Path, *, renew: bool = False) -> str:
    """The epoch of a data directory; a new one where there is none, where it was copied, or with `renew`."""
    path = folder / "epoch"
    if not renew and path.exists():
        try:
            known = msgspec.json.decode(path.read_bytes(), type=_Epoch)
        except msgspec.DecodeError:
            return _write(path)
        status = path.stat()
        if (known.device, known.inode) == (status.st_dev, status.st_ino):
            return known.epoch
    return _write(path)


def mark_sealed(folder: Path) -> None:
    """At the end of a run that left nothing in the journal alone."""
    write_atomically(folder / _SEALED, b"")


def take_sealed(folder: Path) -> bool:
    """Did the last run leave a mark? It is gone, durably, before anything new is accepted."""
    try:
        (folder / _SEALED).unlink()
    except FileNotFoundError:
        return False
    sync_directory(folder)
    return True


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
