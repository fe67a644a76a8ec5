"""StatsD, put together in the order in which data flows: socket -> lines -> store -> frame -> spool."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from agent.series_frame import series_frame
from agent.statsd.lines import Unsupported, read_line
from agent.statsd.settings import StatsdSettings
from agent.statsd.store import StatsdStore, Taken
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.listen import parse_listen
from deckwatch.wire.model import Samples

log = logging.getLogger(__name__)

SOURCE = "statsd"
_RETRY_S = 10.0
_MODE = 0o666
"""Whoever reaches the socket's folder may write, as with DogStatsD's agent: programs run as any user."""


class StatsdMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lines = Counter(
            "deckwatch_agent_statsd_lines_total",
            "Lines by what became of them: taken, malformed, unsupported (events, service checks), series_limit, "
            "type_conflict, set_limit.",
            ["outcome"],
            registry=registry,
        )
        self.series = Gauge("deckwatch_agent_statsd_series", "Counters, gauges, timers and sets.", registry=registry)


class StatsdServer(asyncio.DatagramProtocol):
    """Runs in the event loop; frames are handed to `emit` there."""

    def __init__(
        self,
        settings: StatsdSettings,
        emit: Callable[[Samples], object],
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """Raises Unusable where `listen` is no address."""
        self._settings = settings
        self._address = parse_listen(settings.listen) if settings.listen else None
        self._emit = emit
        self._clock = clock
        self._metrics = StatsdMetrics(registry)
        self._store = StatsdStore(settings)
        self._told: set[str] = set()
        self._sent = False
        self._made_socket = False
        self.bound: list[object] = []
        """Addresses that are listened at."""

    async def run(self) -> None:
        """Until cancelled. An address that is taken is tried again: logs and other metrics don't depend on it."""
        transports: list[asyncio.DatagramTransport] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for open_one in self._wanted():
                    tasks.create_task(self._keep_open(open_one, transports), name="statsd listen")
                while True:
                    await self._clock.sleep(self._settings.interval_s)
                    self.flush()
        finally:
            for transport in transports:
                transport.close()
            self._remove_socket()

    def flush(self) -> None:
        """Nothing is sent until there is something to say, its end included."""
        series = self._store.series(self._clock.monotonic())
        self._metrics.series.set(len(self._store))
        if series or self._sent:
            self._emit(series_frame(SOURCE, self._clock.now_ns(), self._settings.tenant, (), series))
        self._sent = bool(series)

    def datagram_received(self, data: bytes, addr: object) -> None:
        for line in data.decode("utf-8", "replace").split("\n"):
            if line := line.strip():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            outcome = self._store.take(read_line(line), self._clock.monotonic()).value
        except Unsupported:
            outcome = "unsupported"
        except Reject as fault:
            outcome = "malformed"
            self._tell(outcome, str(fault))
        self._metrics.lines.labels(outcome).inc()
        if outcome in (Taken.FULL, Taken.CONFLICT, Taken.SET_FULL):
            self._tell(outcome, repr(line[:80]))

    def _tell(self, outcome: str, what: str) -> None:
        """The first of a kind; all are counted."""
        if outcome not in self._told:
            self._told.add(outcome)
            log.warning("statsd: %s: %s; further ones are only counted", outcome.replace("_", " "), what)

    def _wanted(self) -> list[Callable[[], socket.socket]]:
        return [*([self._udp] if self._address else []), *([self._unix] if self._settings.socket else [])]

    async def _keep_open(
        self, open_one: Callable[[], socket.socket], transports: list[asyncio.DatagramTransport]
    ) -> None:
        loop, failed = asyncio.get_running_loop(), False
        while True:
            try:
                opened = open_one()
                break
            except (OSError, Retry) as error:
                if not failed:
                    log.error("statsd can't listen: %s; it is tried again every %g s", error, _RETRY_S)
                failed = True
                await self._clock.sleep(_RETRY_S)
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=opened)
        transports.append(transport)
        self.bound.append(opened.getsockname())
        log.info("statsd listens at %s", opened.getsockname())

    def _udp(self) -> socket.socket:
        host, port = self._address.host, self._address.port  # type: ignore[union-attr]
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        return self._bound(socket.socket(family, kind, protocol), address)

    def _unix(self) -> socket.socket:
        path = Path(self._settings.socket)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise Retry(f"{path} is there and is no socket; remove it, or name another in agent.statsd.socket")
            path.unlink()  # left by an agent that was killed
        opened = self._bound(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), str(path))
        self._made_socket = True
        path.chmod(_MODE)
        return opened

    def _remove_socket(self) -> None:
        if self._made_socket:
            Path(self._settings.socket).unlink(missing_ok=True)

    def _bound(self, opened: socket.socket, address: object) -> socket.socket:
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._settings.receive_buffer_bytes)
            opened.setblocking(False)
            opened.bind(address)  # type: ignore[arg-type]
        except OSError as error:
            opened.close()
            raise Retry(f"{address}: {error.strerror or error}") from None
        return opened
