"""What `deckwatch up` shows: lines, and below them, on a terminal, one line that is written anew."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from deckwatch.runtime.announce import Line
from deckwatch.runtime.logging import printable

_RED, _YELLOW, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_COLOURS = {"error": _RED, "critical": _RED, "warning": _YELLOW}


class Console:
    """Without a terminal there are no colours, and the status comes as ordinary lines, one each `plain_every_s`."""

    def __init__(self, out: TextIO, *, plain_every_s: float = 30.0) -> None:
        self._out = out
        self.live = out.isatty()
        self._plain_every_s = plain_every_s
        self._next_plain_s = 0.0
        self._status = ""

    def say(self, text: str = "") -> None:
        """A line of our own; the status line moves below it."""
        if self.live and self._status:
            self._out.write("\r\x1b[K")
        self._out.write(f"{text}\n")
        if self.live and self._status:
            self._out.write(self._status)
        self._out.flush()

    def child_line(self, name: str, line: Line) -> None:
        colour = _COLOURS.get(line.level, "") if self.live else ""
        first, *more = line.message.splitlines() or [""]
        text = "\n".join((f"{name}: {line.level}: {printable(first)}", *(f"  {printable(one)}" for one in more)))
        self.say(f"{colour}{text}{_PLAIN if colour else ''}")
        for trace in line.trace.splitlines():
            self.say(f"{name}:   {printable(trace)}")

    def status(self, text: str) -> None:
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            self._status = f"{_DIM}{text[:width]}{_PLAIN}"
            self._out.write(f"\r\x1b[K{self._status}")
            self._out.flush()
        elif time.monotonic() >= self._next_plain_s:
            self._next_plain_s = time.monotonic() + self._plain_every_s
            self.say(text)

    def end_status(self) -> None:
        """Takes the status line away: what it said is no longer kept current."""
        if self.live and self._status:
            self._out.write("\r\x1b[K")
        self._status = ""
