"""Writes numbered lines as the Docker daemon's json-file driver does: appended, rotated by rename, oldest dropped."""

from __future__ import annotations

import threading
import time
from pathlib import Path


class DockerWriter:
    """One container's log. `max_bytes` rotates as --log-opt max-size; `max_files` files stay as with max-file."""

    def __init__(self, path: Path, *, max_bytes: int = 0, max_files: int = 1) -> None:
        self.path = path
        self.written = 0
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, count: int) -> None:
        """The next `count` numbers in one write call."""
        lines = b"".join(self._line(self.written + n) for n in range(count))
        self._file.write(lines)
        self.written += count
        self._size += len(lines)
        if self._max_bytes and self._size >= self._max_bytes:
            self.rotate()

    def _line(self, number: int) -> bytes:
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        stream = "stderr" if number % 7 == 0 else "stdout"
        text = f"number {number} of the series, status={200 + number % 5} path=/item/{number % 97}"
        return f'{{"log":"{text}\\n","stream":"{stream}","time":"{stamp}.{nanos:09d}Z"}}\n'.encode()

    def rotate(self) -> None:
        self._file.close()
        for number in range(self._max_files - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0

    def close(self) -> None:
        self._file.close()


class Paced(threading.Thread):
    """Writes `total` lines at about `per_s` in the background."""

    def __init__(self, writer: DockerWriter, total: int, per_s: float) -> None:
        super().__init__(name="writer", daemon=True)
        self._writer = writer
        self._total = total
        self._per_s = per_s
        self._halt = threading.Event()

    def run(self) -> None:
        step = max(1, round(self._per_s / 100))
        started = time.monotonic()
        while self._writer.written < self._total and not self._halt.is_set():
            self._writer.write(min(step, self._total - self._writer.written))
            ahead_s = self._writer.written / self._per_s - (time.monotonic() - started)
            if ahead_s > 0:
                time.sleep(ahead_s)

    @property
    def remaining_s(self) -> float:
        return (self._total - self._writer.written) / self._per_s

    def stop(self) -> None:
        self._halt.set()
        if self.is_alive():
            self.join()
