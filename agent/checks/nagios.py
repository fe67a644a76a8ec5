"""A Nagios plugin, run and read. Its exit code is its state (Monitoring Plugins Development Guidelines)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from enum import IntEnum

from agent.checks.perfdata import perfdata_series, read_perfdata, split_output
from agent.checks.settings import NagiosSettings
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Column, Labels

log = logging.getLogger(__name__)

MOST_OUTPUT_BYTES = 64 << 10
_SHOWN = 300


class State(IntEnum):
    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class NagiosCheck:
    kind = "nagios"

    def __init__(self, settings: NagiosSettings) -> None:
        """Raises Unusable where the command can't be split into words."""
        self.labels: Labels = tuple(sorted({"job": "nagios", "check": settings.name, **settings.labels}.items()))
        self.interval_s, self.timeout_s = settings.interval_s, settings.timeout_s
        self.title = settings.name
        try:
            self._command = shlex.split(settings.command)
        except ValueError as error:
            raise Unusable(f"agent.checks.nagios {settings.name}: {settings.command!r}: {error}") from None
        self._state = State.OK

    async def look(self) -> dict[Column, float]:
        """Runs until it ends or the task is cancelled; then the plugin and all that it started are killed."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
            )
        except OSError as error:
            return self._result(State.UNKNOWN, f"{self._command[0]} can't be run: {error.strerror}", "")
        try:
            output = await _output(process)
            code = await process.wait()
        except BaseException:  # cancelled: its time is over, or the agent stops
            _kill(process)
            raise
        text, perfdata = split_output(output)
        state = State(code) if 0 <= code <= State.UNKNOWN else State.UNKNOWN
        if state != code:
            text = f"exit code {code}: {text}"
        return self._result(state, text, perfdata)

    def failed(self, why: str) -> dict[Column, float]:
        return self._result(State.UNKNOWN, why, "")

    def _result(self, state: State, text: str, perfdata: str) -> dict[Column, float]:
        data, bad = read_perfdata(perfdata)
        if state is not self._state:
            level = logging.INFO if state is State.OK else logging.WARNING
            log.log(level, "check %s: %s: %s", self.title, state.name, text[:_SHOWN])
        self._state = state
        series = {
            Column("nagios_check_state"): float(state),
            Column("nagios_perfdata_unreadable"): float(len(bad)),
        }
        for datum in data:
            for column, value in perfdata_series(datum):
                series.setdefault(column, value)
        return series


async def _output(process: Process) -> str:
    """Read to its end, kept up to a limit: a plugin that writes more must not be stopped by a full pipe."""
    kept = bytearray()
    stream = process.stdout
    if stream is not None:
        while piece := await stream.read(1 << 16):
            kept += piece[: MOST_OUTPUT_BYTES - len(kept)]
    return kept.decode("utf-8", "replace")


def _kill(process: Process) -> None:
    """Whatever is left of its session. Its output is let go of too, which something that has left the session may hold
    for ever: asyncio has no public way to."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process._transport.close()  # type: ignore[attr-defined]
