"""Where records go: a terminal, a pipe, or JSON lines; and the line of progress on stderr."""

from __future__ import annotations

import sys
import time
from typing import Protocol

import msgspec
from rich.console import Console

from deckwatch.logs.client import Progress
from deckwatch.logs.show import Record, plain_line, terminal_line

_PATIENCE_S = 0.5  # before progress is shown
_EVERY_S = 0.1

_decoder = msgspec.json.Decoder(Record)


class Out(Protocol):
    """Takes records as they came from the API."""

    def record(self, raw: bytes, *, matched: bool = True) -> None: ...

    def separator(self) -> None:
        """Between groups of context."""
        ...

    def flush(self) -> None: ...


class JsonOut:
    def record(self, raw: bytes, *, matched: bool = True) -> None:
        sys.stdout.buffer.write(raw + b"\n")

    def separator(self) -> None:
        """Lines of JSON need none: their places say where they belong."""

    def flush(self) -> None:
        sys.stdout.buffer.flush()


class PlainOut:
    def record(self, raw: bytes, *, matched: bool = True) -> None:
        sys.stdout.buffer.write(plain_line(_decoder.decode(raw)).encode(errors="replace") + b"\n")

    def separator(self) -> None:
        sys.stdout.buffer.write(b"--\n")

    def flush(self) -> None:
        sys.stdout.buffer.flush()


class TerminalOut:
    def __init__(self, console: Console) -> None:
        self._console = console

    def record(self, raw: bytes, *, matched: bool = True) -> None:
        line = terminal_line(_decoder.decode(raw), matched=matched)
        self._console.print(line, soft_wrap=True, highlight=False)

    def separator(self) -> None:
        self._console.print("--", style="dim")

    def flush(self) -> None:
        """The console writes each line at once."""


class ProgressLine:
    """On stderr, if that is a terminal, once a scan takes longer than people wait without a word."""

    def __init__(self) -> None:
        self._shown = False
        self._next_s = time.monotonic() + _PATIENCE_S
        self._live = sys.stderr.isatty()

    def update(self, progress: Progress) -> None:
        now = time.monotonic()
        if not self._live or now < self._next_s or not progress.total:
            return
        self._next_s = now + _EVERY_S
        self._shown = True
        share = 100 * progress.scanned // progress.total
        sys.stderr.write(f"\r\x1b[Kscanned {progress.scanned:,} of {progress.total:,} records ({share} %)")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
