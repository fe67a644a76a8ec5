"""The collector's epoch: it changes whenever what agents believe to be durable here may no longer be.

The epoch file remembers which file it is (device and inode). A data directory that was restored or copied has the same
text in another file: that is how a restore from a backup shows, without anybody having to say so.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec


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
