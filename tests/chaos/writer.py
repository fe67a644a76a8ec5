"""Writes numbered lines: as the Docker daemon's json-file driver does, or to plain files as programs do."""

from __future__ import annotations

import gzip
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.ledger import Ledger

Say = Callable[[int], str]
"""The text of a number's line."""


def say(number: int) -> str:
    return f"number {number} of the series, status={200 + number % 5} path=/item/{number % 97}"


def docker_line(text: str, *, stream: str = "stdout", ns: int = 0) -> bytes:
    """As json-file writes it. `text` needs no escaping but for newlines; without one it is a piece of a longer line."""
    seconds, nanos = divmod(ns or time.time_ns(), 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    text = text.replace("\n", "\\n").replace("\t", "\\t")
    return f'{{"log":"{text}","stream":"{stream}","time":"{stamp}.{nanos:09d}Z"}}\n'.encode()


class LogWriter:
    """One log at a path. `written` counts its own numbers; which these are, the ledger knows."""

    def __init__(self, path: Path, ledger: Ledger | None = None, *, say: Say = say) -> None:
        self.path = path
        self.ledger = ledger or Ledger()
        self.written = 0
        self._say = say
        self._open()

    def _open(self) -> None:
        self._file = self.path.open("ab", buffering=0)
        self.generation = self.ledger.begin(str(self.path.resolve()))

    def write(self, count: int) -> None:
        """The next `count` numbers in one write call."""
        with self.ledger.lock:
            first = self.ledger.sent
            self.put([self.line(self._say(number), number) for number in range(first, first + count)])

    def line(self, text: str, number: int) -> bytes:
        return f"{text}\n".encode()

    def put(self, lines: list[bytes]) -> None:
        """The lines of the next numbers, one each, as they are. The ledger's lock is held."""
        data = b"".join(lines)
        self.ledger.note(self.generation, self.generation.size, [len(line) for line in lines])
        self.put_raw(data)
        self.written += len(lines)

    def put_raw(self, data: bytes) -> None:
        """Bytes without a number of their own."""
        self._file.write(data)
        self.generation.grow(data)

    # What happens to logs ---------------------------------------------------------------------------------------

    def copytruncate(self, *, compress: bool = False) -> None:
        """As logrotate does: a copy beside it, then the file is cut. Nothing is written in between."""
        copy = self.path.with_name(f"{self.path.name}.{self.generation.number + 1}")
        if compress:
            with self.path.open("rb") as source, gzip.open(f"{copy}.gz", "wb") as target:
                shutil.copyfileobj(source, target)
        else:
            shutil.copyfile(self.path, copy)
        self.truncate()

    def truncate(self, *, unread_from: int | None = None) -> None:
        """Cut in place. `unread_from`: what is behind it was never read and never will be."""
        if unread_from is not None:
            self.generation.destroyed.append((unread_from, self.generation.size))
        self._file.truncate(0)
        self.generation = self.ledger.begin(str(self.path.resolve()))

    def delete(self) -> None:
        """The name goes; whoever has it open may still read it."""
        self._file.close()
        self.path.unlink()

    def recreate(self) -> None:
        """After `delete`, or at a path that something else was moved away from."""
        self._file.close()
        self._open()

    def close(self) -> None:
        self._file.close()


class DockerWriter(LogWriter):
    """One container's log. `max_bytes` rotates as --log-opt max-size; `max_files` files stay as with max-file.

    `jump_ns` is added to the time of each line: the clock of a container may lie."""

    def __init__(
        self,
        path: Path,
        ledger: Ledger | None = None,
        *,
        max_bytes: int = 0,
        max_files: int = 1,
        say: Say = say,
        jump_ns: Callable[[int], int] = lambda number: 0,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._jump_ns = jump_ns
        super().__init__(path, ledger, say=say)

    def write(self, count: int) -> None:
        super().write(count)
        if self._max_bytes and self.generation.size >= self._max_bytes:
            self.rotate()

    def line(self, text: str, number: int) -> bytes:
        stream = "stderr" if number % 7 == 0 else "stdout"
        return docker_line(f"{text}\n", stream=stream, ns=time.time_ns() + self._jump_ns(number))

    def rotate(self) -> None:
        """By rename; with `max_files` the oldest goes."""
        self._file.close()
        for number in range(self._max_files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        if self._max_files == 1:
            self.path.unlink()
        self._open()


class Paced(threading.Thread):
    """Writes `total` lines at about `per_s` in the background, to the writers in turn."""

    def __init__(self, writer: LogWriter, total: int, per_s: float, *others: LogWriter) -> None:
        super().__init__(name="writer", daemon=True)
        self._writers = (writer, *others)
        self._total = total
        self._per_s = per_s
        self._halt = threading.Event()
        self._done = 0

    def run(self) -> None:
        step = max(1, round(self._per_s / 100))
        started = time.monotonic()
        turn = 0
        while self._done < self._total and not self._halt.is_set():
            count = min(step, self._total - self._done)
            self._writers[turn % len(self._writers)].write(count)
            self._done += count
            turn += 1
            ahead_s = self._done / self._per_s - (time.monotonic() - started)
            if ahead_s > 0:
                time.sleep(ahead_s)

    @property
    def remaining_s(self) -> float:
        return (self._total - self._done) / self._per_s

    def stop(self) -> None:
        self._halt.set()
        if self.is_alive():
            self.join()
