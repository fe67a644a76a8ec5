"""An HTTP server with a graceful end: bound before it serves, so that address and faults are known at start."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.listen import Listen, address_of, bind

_SILENT_S = 75.0
"""Of a connection without a whole request: idle, or a header that comes in drops. Agents keep theirs for 60 s."""


_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
)


class _TurnedAway(asyncio.Protocol):
    """What a connection gets that is one too many: each takes memory and a descriptor, and segments need those too."""

    def __init__(self, most: int) -> None:
        self._most = most

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            told = f"{self._most} connections are open, more are not taken: come back later\n".encode()
            transport.write(_FULL % (len(told), told))
        transport.close()


class _BoundedSite(web.SockSite):
    """A socket of which at most `most` connections are served at a time."""

    most = 1000

    async def start(self) -> None:
        await web.BaseSite.start(self)
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner has no server yet: call setup() before")

        def protocol() -> asyncio.Protocol:
            return server() if len(server.connections) < self.most else _TurnedAway(self.most)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(protocol, sock=self._sock, ssl=self._ssl_context, backlog=self._backlog)


class HttpServer:
    """A running server. `close()` stops listening, lets running requests end (to a deadline), and is idempotent."""

    def __init__(self, runner: web.AppRunner, address: str) -> None:
        self._runner = runner
        self.address = address

    async def close(self) -> None:
        await self._runner.cleanup()


async def serve(
    app: web.Application,
    listen: Listen,
    *,
    tls: ssl.SSLContext | None = None,
    data_dir: DataDir | None = None,
    option: str = "--listen",
    drain_s: float = 5.0,
    silent_s: float = _SILENT_S,
    most_connections: int = 1000,
) -> HttpServer:
    """Serve `app`; the chosen address also goes to the data directory. Raises Unusable where it can't listen.

    Requests still running `drain_s` after `close()` are cut off; so are connections that bring no whole request for
    `silent_s`. Beyond `most_connections` a connection is answered 503 and closed.
    """
    bound = bind(listen, option=option)
    address = address_of(bound, tls=tls is not None)
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=drain_s, keepalive_timeout=silent_s
    )
    try:
        await runner.setup()
        site = _BoundedSite(runner, bound, ssl_context=tls)
        site.most = most_connections
        await site.start()
        if data_dir is not None:
            data_dir.write_address(address)
    except BaseException:
        await runner.cleanup()
        bound.close()
        raise
    return HttpServer(runner, address)
