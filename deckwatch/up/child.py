"""A child process and its lines."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping

from deckwatch.runtime.announce import Line, read_line
from deckwatch.runtime.logging import printable
from deckwatch.runtime.parent import SUPERVISOR_VARIABLE

_LAST_LINES = 20
_LONGEST_LINE_BYTES = 1 << 20


class Child:
    """Started once; `wait()` ends when the process and its output have. Its own process group keeps the terminal's
    Ctrl-C from it: the supervisor stops its children one after the other."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, on_line: Callable[[str, Line], None]) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = process
        self._on_line = on_line

    @classmethod
    async def start(
        cls, name: str, command: tuple[str, ...], env: Mapping[str, str], on_line: Callable[[str, Line], None]
    ) -> Child:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**env, SUPERVISOR_VARIABLE: str(os.getpid())},
            process_group=0,
        )
        return cls(name, process, on_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Reads lines until the child ends. Its exit code; negative: the signal that killed it."""
        await self._read_lines()
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Harmless when the child has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def _read_lines(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - PIPE was asked for
        rest = b""
        while piece := await stream.read(65536):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > _LONGEST_LINE_BYTES:
                self._take(rest)
                rest = b""
        if rest:
            self._take(rest)

    def _take(self, text: bytes) -> None:
        if text.strip():
            line = read_line(text)
            self.last_lines.extend(map(printable, line.message.splitlines()))
            self.last_lines.extend(map(printable, line.trace.splitlines()))
            self._on_line(self.name, line)
