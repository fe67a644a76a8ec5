"""How far a receiver has got in the history's log, on disk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.files import write_atomically


class Position(msgspec.Struct, frozen=True, order=True):
    """The next unit (a frame, or a request of remote write) that is to be sent."""

    file: int = 0
    offset: int = 0  # where its record begins
    unit: int = 0  # of the record


class Kept(msgspec.Struct, frozen=True):
    receiver: str  # for whoever looks into the file
    position: Position


class PositionFile:
    """Written after each window that a receiver took, with fsync: what is sent twice after a crash is one window."""

    def __init__(self, path: Path, receiver: str) -> None:
        self.path = path
        self._receiver = receiver

    def load(self) -> Position | None:
        """None: nothing was ever sent. Raises Unusable."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept).position
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise Unusable(
                f"{self.path}: the position of remote write to {self._receiver} can't be read: {error}; without this"
                " file sending begins with what comes from now on"
            ) from None

    def save(self, position: Position) -> None:
        """Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self.path, msgspec.json.encode(Kept(self._receiver, position)))


def forget_others(folder: Path, kept: set[Path]) -> list[str]:
    """Receivers that are no longer configured: their positions would hold the log for ever. Their names."""
    gone = [path for path in sorted(folder.glob("*.json")) if path not in kept] if folder.is_dir() else []
    names = []
    for path in gone:
        try:
            names.append(msgspec.json.decode(path.read_bytes(), type=Kept).receiver)
        except msgspec.DecodeError:
            names.append(path.name)
        path.unlink()
    return names
