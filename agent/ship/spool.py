"""Samples and events have no file behind them: a small spool of files is made for them, and tailed like any log.

Frames are appended whole (deckwatch.wire.codec.pack_frame). A file that is full is followed by the next one; it is
deleted when the collector has all of it. Over the limit the oldest file goes, and what of it was not acked is declared
as a gap. Each start of the agent begins a new file: the last one may end in a frame torn by a crash.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from agent.model import LogSource
from agent.ship.settings import SpoolSettings
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import Format, Frame

log = logging.getLogger(__name__)

SPOOL_SOURCE = "spool"


class Spool:
    """Written by one thread. `rolled` is called when the source's path has changed, `dropped` before a file that was
    not acked is deleted."""

    def __init__(
        self, folder: Path, settings: SpoolSettings, rolled: Callable[[], None], dropped: Callable[[Path], None]
    ) -> None:
        """Raises Unusable where the folder can't be written."""
        self._folder = folder
        self._settings = settings
        self._rolled = rolled
        self._dropped = dropped
        self.dropped_files = 0
        self.failed_frames = 0
        self._complained = False
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            numbers = [int(path.stem) for path in folder.glob("*.frames") if path.stem.isdigit()]
            self._number = max(numbers, default=0) + 1
            self._fd = self._open()
        except OSError as error:
            raise Unusable(
                f"{folder}: can't be written: {error.strerror}; give the agent's user access to it"
            ) from None
        self._written = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}.frames"

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path(self._number), flags, 0o600)

    def source(self) -> LogSource:
        path = self._path(self._number)
        return LogSource(SPOOL_SOURCE, str(path), str(self._folder / "*.frames"), Format.FRAMES)

    def append(self, frame: Frame) -> bool:
        """False where the disk refused it: said once, counted, and tried again with the next frame."""
        data = pack_frame(frame)
        try:
            if self._written and self._written + len(data) > self._settings.file_bytes:
                self._roll()
            self._write(data)
        except OSError as error:
            self.failed_frames += 1
            if not self._complained:
                log.error("%s: %s; samples and events are lost until it works again", self._folder, error.strerror)
            self._complained = True
            return False
        if self._complained:
            log.info("%s: written again; %d frames were lost", self._folder, self.failed_frames)
        self._complained = False
        self._written += len(data)
        return True

    def _write(self, data: bytes) -> None:
        """Whole or not at all: what a full disk took of a frame is cut off again."""
        done = os.write(self._fd, data)
        if done < len(data):
            os.ftruncate(self._fd, self._written)
            raise OSError(28, "no space left for a whole frame")

    def _roll(self) -> None:
        self._number += 1
        try:
            fresh = self._open()
        except OSError:
            self._number -= 1
            raise
        os.close(self._fd)
        self._fd, self._written = fresh, 0
        self._make_room()
        self._rolled()

    def _make_room(self) -> None:
        sizes = self._sizes()
        total = sum(sizes.values()) + self._settings.file_bytes
        for path in sorted(sizes)[:-1]:
            if total <= self._settings.limit_bytes:
                return
            total -= sizes[path]
            self.dropped_files += 1
            log.error("%s: the spool is full: the samples and events in it are given up", path)
            self._dropped(path)

    def _sizes(self) -> dict[Path, int]:
        """Of the files that are there: the tailer deletes them, in its own thread, as soon as they are acked."""
        sizes = {}
        for path in self._folder.glob("*.frames"):
            with contextlib.suppress(FileNotFoundError):
                sizes[path] = path.stat().st_size
        return sizes

    @property
    def held_bytes(self) -> int:
        return sum(self._sizes().values())

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
