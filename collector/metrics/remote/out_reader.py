"""Follows the history's log for one receiver: window after window of samples, each with the position behind it.

The log is read again from the file before the position, without sending: which series are there (and will end), and
how new their samples are, stands in what was sent already.
"""

from __future__ import annotations

import logging

import msgspec

from collector.metrics.remote.out_position import Position
from collector.metrics.remote.out_samples import OutSamples, Rows, Unit, joined, units
from collector.metrics.tsdb.wal import Wal, file_path, numbered, records_from
from deckwatch.runtime.faults import Reject

log = logging.getLogger(__name__)

_END = Position(1 << 62)


class Window(msgspec.Struct, frozen=True):
    rows: Rows
    until: Position


class OutReader:
    """One thread at a time."""

    def __init__(self, wal: Wal, samples: OutSamples, receiver: str) -> None:
        self.damaged = 0  # files whose rest could not be read
        self._wal = wal
        self._samples = samples
        self._receiver = receiver
        self._next = Position()
        self._units: list[Unit] = []  # of the record at the position
        self._behind = Position()  # the record
        self._parts: list[Rows] = []  # of the window that is being read

    @property
    def position(self) -> Position:
        return self._next

    def open(self, kept: Position | None) -> Position:
        """Where sending begins. Raises OSError, and may be tried again."""
        self._units = []
        end = Position(*self._wal.end)
        start = end if kept is None else kept
        if start > end:
            log.warning("remote write to %s: its position is beyond the log's end, as after a restore; it begins there",
                        self._receiver)  # fmt: skip
            start = end
        if kept is None:
            self._next = self._behind = start
            return start
        first = min((number for number in self._numbers() if number >= start.file - 1), default=start.file)
        self._next = self._behind = Position(first)
        while self._next < start and self._step(until=start) is not None:
            pass
        return self._next

    def window(self, most: int) -> Window:
        """About so many samples, or what there is. Raises OSError: what was read until then comes the next time."""
        if not self._parts:
            self._samples.forget_dead()
        count = sum(map(len, self._parts))
        while count < most and (rows := self._step()) is not None:
            self._parts.append(rows)
            count += len(rows)
        parts, self._parts = self._parts, []
        return Window(joined(parts), self._next)

    def behind_bytes(self) -> int:
        """Of the log, from the position on."""
        file, offset = self._wal.end
        between = sum(self._size(number) for number in self._numbers() if self._next.file <= number < file)
        return max(0, between + offset - self._next.offset)

    def _step(self, until: Position = _END) -> Rows | None:
        """The samples of the next unit; None: there is none yet, or none before `until`."""
        if not self._units and not self._load(until):
            return None
        unit = self._units[self._next.unit]
        if self._next.unit + 1 < len(self._units):
            self._next = Position(self._next.file, self._next.offset, self._next.unit + 1)
        else:
            self._next, self._units = self._behind, []
        try:
            return self._samples.take(unit)
        except Reject as fault:  # the history has left it out, too, and said so
            log.debug("remote write to %s: %s", self._receiver, fault)
            return joined([])

    def _load(self, before: Position) -> bool:
        """The next record that says something."""
        while self._next < before:
            file, offset = self._wal.end
            at = self._next
            until = offset if at.file == file else self._size(at.file)
            if at.offset < until:
                if self._read(at, until):
                    return True
            elif at.file < file:
                self._next = Position(min(number for number in (*self._numbers(), file) if number > at.file))
            else:
                return False
        return False

    def _read(self, at: Position, until: int) -> bool:
        path = file_path(self._wal.folder, at.file)
        try:
            behind, committed = next(records_from(path, at.offset, until))
        except Reject as fault:
            self.damaged += 1
            log.error("remote write to %s: %s; samples in its last %d bytes are not sent",
                      self._receiver, fault, until - at.offset)  # fmt: skip
            self._next = Position(at.file, until)
            return False
        self._units, self._behind = units(committed), Position(at.file, behind)
        if len(self._units) <= at.unit:
            self._units, self._next = [], self._behind
            return False
        return True

    def _numbers(self) -> list[int]:
        return [number for number, _ in numbered(self._wal.folder)]

    def _size(self, number: int) -> int:
        path = file_path(self._wal.folder, number)
        return path.stat().st_size if path.exists() else 0
