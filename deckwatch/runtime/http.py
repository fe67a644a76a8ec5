"""An HTTP server with a graceful end: bound before it serves, so that address and faults are known at start."""

from __future__ import annotations

import ssl

from aiohttp import web

from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.listen import Listen, address_of, bind

_SILENT_S = 75.0
"""Of a connection without a whole request: idle, or a header that comes in drops. Agents keep theirs for 60 s."""


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
) -> HttpServer:
    """Serve `app`; the chosen address also goes to the data directory. Raises Unusable where it can't listen.

    Requests still running `drain_s` after `close()` are cut off; so are connections that bring no whole request for
    `silent_s`.
    """
    bound = bind(listen, option=option)
    address = address_of(bound, tls=tls is not None)
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=drain_s, keepalive_timeout=silent_s
    )
    try:
        await runner.setup()
        await web.SockSite(runner, bound, ssl_context=tls).start()
        if data_dir is not None:
            data_dir.write_address(address)
    except BaseException:
        await runner.cleanup()
        bound.close()
        raise
    return HttpServer(runner, address)
