"""`deckwatch up`: collector and agent as children on this machine, until it is told to stop.

Collector first (the agent needs its address), agent second; stopped the other way round, so that the agent's last
lines still find somebody who takes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from enum import StrEnum

import aiohttp

from deckwatch import __version__
from deckwatch.runtime.announce import Announced, Line
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.faults import MESSAGE_PREFIX, Fault, Unusable
from deckwatch.runtime.listen import Listen, parse_listen
from deckwatch.runtime.logging import printable
from deckwatch.runtime.tls import client_context
from deckwatch.up.console import Console
from deckwatch.up.keeper import GaveUp, Keeper
from deckwatch.up.plan import PYTHON, UpOptions, agent_command, collector_command
from deckwatch.up.restart import Policy, Why
from deckwatch.up.status import FROM_AGENT, FROM_COLLECTOR, Reading, fetch_sums, size, status_line

DIRECTORY_VERSION = 1


class Part(StrEnum):
    COLLECTOR = "collector"
    AGENT = "agent"


class Up:
    """Built, then `run()` once."""

    def __init__(
        self,
        options: UpOptions,
        console: Console,
        *,
        policy: Policy | None = None,
        python: tuple[str, ...] = PYTHON,
        status_every_s: float = 1.0,
    ) -> None:
        self._options = options
        self._console = console
        self._python = python
        self._status_every_s = status_every_s
        self._listen = options.listen
        policy = policy or Policy()
        self._collector = Keeper(Part.COLLECTOR, self._collector_command, policy, self._on_line)
        self._agent = Keeper(Part.AGENT, self._agent_command, policy, self._on_line)
        self._last_words: dict[str, list[Line]] = {}
        self._drained: dict[str, dict[str, str | int | float | bool]] = {}
        self._gave_up: GaveUp | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises Unusable where a child can't run as configured, Fault where one keeps dying."""
        with DataDir.open(self._options.data_dir, DIRECTORY_VERSION, part="up") as data_dir:
            self._console.say(f"Deckwatch {__version__}, data in {data_dir.path}")
            async with asyncio.TaskGroup() as group:
                try:
                    await self._start_children(group, data_dir, stop)
                    await self._show_status(stop)
                finally:
                    await self._stop_children()
        if self._gave_up is not None:
            raise explained(self._gave_up)

    def reload(self) -> None:
        """SIGHUP: the collector reads its rule files again."""
        self._collector.reload()

    async def _start_children(self, group: asyncio.TaskGroup, data_dir: DataDir, stop: asyncio.Event) -> None:
        group.create_task(self._keep(self._collector, stop), name=Part.COLLECTOR)
        if not await _unless(stop, self._collector.ready()):
            return
        data_dir.write_address(self._collector.address or "")
        group.create_task(self._keep(self._agent, stop), name=Part.AGENT)
        if await _unless(stop, self._agent.ready()):
            self._say_next_steps(self._collector.address or "")

    async def _keep(self, keeper: Keeper, stop: asyncio.Event) -> None:
        gave_up = await keeper.run()
        if gave_up is not None:
            self._gave_up = self._gave_up or gave_up
            stop.set()

    def _collector_command(self) -> tuple[str, ...]:
        return collector_command(self._options, self._listen, self._python)

    def _agent_command(self) -> tuple[str, ...]:
        return agent_command(self._options, self._collector.address or "", self._python)

    def _on_line(self, part: str, line: Line) -> None:
        if line.event == Announced.READY and part == Part.COLLECTOR:
            # A chosen port is kept over restarts: agents, scripts and browsers know it by now.
            self._listen = _listen_of(str(line.fields["address"]), self._listen)
        elif line.event == Announced.DRAINED:
            self._drained[part] = line.fields
        elif line.event == Announced.FINDING:
            self._console.say(finding_line(line))
        elif not line.event:
            self._child_says(part, line)

    def _child_says(self, part: str, line: Line) -> None:
        """The message with which a child ends is kept: where it is given up, that message is our own last word."""
        words = self._last_words.setdefault(part, [])
        if not line.logger and (words or line.message.startswith(MESSAGE_PREFIX)):
            words.append(line)
            return
        self._say_last_words(part)
        self._console.child_line(part, line)

    def _say_last_words(self, part: str) -> None:
        for line in self._last_words.pop(part, ()):
            self._console.child_line(part, line)

    def _say_next_steps(self, address: str) -> None:
        ours = self._options.command
        at = f" --collector {address}" if self._options.own_place else ""
        self._console.say(f"  address    {address}")
        self._console.say(f"  next       {ours} logs{at} --follow")
        self._console.say(f"             {ours} top{at}")
        self._console.say(f"             curl {address}/metrics")

    async def _show_status(self, stop: asyncio.Event) -> None:
        before: Reading | None = None
        connector = aiohttp.TCPConnector(ssl=client_context(self._options.tls))
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while not stop.is_set():
                now = await self._read(session)
                if before is not None:  # the first look has no rates yet
                    self._console.status(status_line(before, now))
                before = now
                await _unless(stop, asyncio.sleep(self._status_every_s))

    async def _read(self, session: aiohttp.ClientSession) -> Reading:
        token = self._options.token
        asked = ((self._agent.address, FROM_AGENT), (self._collector.address, FROM_COLLECTOR))
        answers = await asyncio.gather(
            *(fetch_sums(session, address, wanted, token) for address, wanted in asked if address)
        )
        return Reading(time.monotonic(), {series: value for sums in answers for series, value in sums.items()})

    async def _stop_children(self) -> None:
        self._console.end_status()
        for keeper in (self._agent, self._collector):
            if keeper.is_running:
                self._console.say(f"  stopping   {keeper.name}")
            if not await keeper.stop(self._options.drain_s):
                self._console.say(f"{keeper.name}: error: still busy after {self._options.drain_s:.0f} s; killed")
        for part in [part for part in self._last_words if self._gave_up is None or part != self._gave_up.name]:
            self._say_last_words(part)
        if drained := drained_line(self._drained.get(Part.AGENT)):
            self._console.say(f"  drained    {drained}")
        if stored := drained_line(self._drained.get(Part.COLLECTOR)):
            self._console.say(f"  stored     {stored}")


def finding_line(line: Line) -> str:
    """`  found      Docker Engine at /var/run/docker.sock: 3 containers`."""
    reached = bool(line.fields.get("reached"))
    what, detail, mend = (printable(str(line.fields.get(name, ""))) for name in ("what", "detail", "mend"))
    text = ": ".join(part for part in (what, detail) if part)
    return f"  {'found' if reached else 'not found':<10} {text}{f' ({mend})' if mend and not reached else ''}"


def drained_line(fields: dict[str, str | int | float | bool] | None) -> str:
    """`12 lines, 3.4 kB, unread 0 B`: names as the daemon gave them, `_bytes` as sizes."""
    return ", ".join(_figure(name, value) for name, value in (fields or {}).items())


def _figure(name: str, value: str | int | float | bool) -> str:
    if name == "bytes" or name.endswith("_bytes"):
        words = name.removesuffix("bytes").strip("_").replace("_", " ")
        return f"{words} {size(float(value))}".strip()
    words = name.replace("_", " ")
    return (
        f"{value:,} {words.removesuffix('s') if value == 1 else words}"
        if isinstance(value, int)
        else f"{words} {value}"
    )


def _listen_of(address: str, asked: Listen) -> Listen:
    port = parse_listen(address.partition("://")[2]).port
    return Listen(asked.host, port)


def explained(gave_up: GaveUp) -> Fault:
    """A child that can't run as configured has said why itself; of others the last lines are shown."""
    said = "\n".join(gave_up.last_lines).rpartition(MESSAGE_PREFIX)
    if gave_up.why is Why.UNUSABLE and said[1]:
        return Unusable(said[2])
    last = "".join(f"\n  {line}" for line in gave_up.last_lines)
    message = f"the {gave_up.name} {gave_up.why}; its last lines:{last or ' none'}"
    return Unusable(message) if gave_up.why is Why.UNUSABLE else Fault(message)


async def _unless(stop: asyncio.Event, doing: Coroutine[object, object, object]) -> bool:
    """True: `doing` ended first. It is cancelled when `stop` comes."""
    tasks = [asyncio.ensure_future(doing), asyncio.ensure_future(stop.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    if tasks[0] not in done:
        return False
    tasks[0].result()  # raises what it raised
    return True
