"""`GET /api/v1/logs/tail`: records as they arrive, as server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each record is one event whose id is its place in the order of arrival. A client that comes back with that id
(`Last-Event-ID`, as browsers do, or `after=`) misses nothing and gets nothing twice. A client that reads slowly is
waited for. Events without data move the id on where nothing matched, so that coming back is cheap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.accounting.gaps import Gaps
from collector.api.completeness import GapTeller
from collector.api.connection import break_off, cancel, close, is_gone
from collector.api.endpoint import EVENTS, Arguments, Endpoint, Parameter
from collector.api.notices import notices_event
from collector.search.ecs import to_lines
from collector.store.protocol import LogStore, TailCursor, TailPage
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault
from deckwatch.wire.model import DEFAULT_TENANT

log = logging.getLogger(__name__)

_HEARTBEAT_S = 15.0
"""Proxies close connections that are silent for longer (nginx: 60 s); also how a client notices a dead collector."""

_PIECE_ROWS = 500
_RETRY_MS = 1000


class TailApi:
    def __init__(
        self,
        store: LogStore,
        *,
        clock: Clock,
        registry: CollectorRegistry,
        gaps: Gaps | None = None,
        heartbeat_s: float = _HEARTBEAT_S,
    ) -> None:
        self._store = store
        self._gaps = gaps
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._closing = asyncio.Event()
        self._open = Gauge("deckwatch_search_tails", "Live tails that are open", registry=registry)
        self._sent = Counter("deckwatch_search_tail_records", "Records sent to live tails", registry=registry)

    def close(self) -> None:
        """Every open tail ends soon; a client comes back with its id."""
        self._closing.set()

    def endpoint(self, *which: Parameter) -> Endpoint:
        after = Parameter("after", "Id to resume behind; without it, what arrives from now on.")
        header = Parameter("Last-Event-ID", "The same, as EventSource sends it; it wins.", place="header")
        return Endpoint(
            "/api/v1/logs/tail",
            "Follow records as they arrive",
            "Server-sent events: data is a record, id its place. Lossless, with resume. An event named `gap` tells of "
            "lines that are lost: its data is what /api/v1/gaps answers; one named `notice` of fields in the query "
            "that no record has.",
            (*which, after, header),
            {EVENTS: {"type": "string"}},
            self.tail,
        )

    async def tail(self, arguments: Arguments) -> web.StreamResponse:
        request = arguments.request
        after = await self._after(request.headers.get("Last-Event-ID") or arguments.text("after"))
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        pages = self._store.tail(tenant, query, after)
        teller = GapTeller(self._gaps, tenant, query, after)
        headers = {"Content-Type": EVENTS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with self._open.track_inprogress():
            await response.write(f"retry: {_RETRY_MS}\nid: {after.encode()}\n\n".encode())
            if told := await notices_event(self._store, tenant, query):
                await response.write(told)
            try:
                await self._follow(request, response, pages, teller)
            except Fault as fault:
                log.warning("a live tail was cut short: %s", fault)
                break_off(request)
        return response

    async def _after(self, text: str) -> TailCursor:
        return TailCursor.decode(text) if text else TailCursor.behind(await self._store.newest_seq())

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, pages: AsyncIterator[TailPage], teller: GapTeller
    ) -> None:
        closing: asyncio.Future[Any] = asyncio.ensure_future(self._closing.wait())
        coming: asyncio.Future[Any] = asyncio.ensure_future(_next(pages))
        try:
            while not is_gone(request):
                done, _ = await asyncio.wait(
                    [coming, closing], timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED
                )
                if closing in done:
                    return
                if coming not in done:
                    await response.write(b": still here\n\n")
                    continue
                page = coming.result()
                await self._send(response, page)
                if told := await teller.up_to(page.after.seq):
                    await response.write(told)
                coming = asyncio.ensure_future(_next(pages))
        finally:
            await cancel(closing, coming)
            await close(pages)

    async def _send(self, response: web.StreamResponse, page: TailPage) -> None:
        for at in range(0, len(page.rows), _PIECE_ROWS):
            await response.write(events(page, at, _PIECE_ROWS))
        self._sent.inc(len(page.rows))
        await response.write(f"id: {page.after.encode()}\n\n".encode())


def events(page: TailPage, at: int, count: int) -> bytes:
    """Rows [at, at + count) of a page as events."""
    rows = page.rows.slice(at, count)
    places = rows.select("seq", "origin", "start").iter_rows()
    ids = (TailCursor(seq, page.origins[number].key, start).encode() for seq, number, start in places)
    lines = to_lines(rows, page.origins)
    return "".join(f"id: {id_}\ndata: {line}\n\n" for id_, line in zip(ids, lines, strict=True)).encode()


async def _next(pages: AsyncIterator[TailPage]) -> TailPage:
    return await anext(pages)
