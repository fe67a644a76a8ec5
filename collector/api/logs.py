"""`/api/v1/logs`: search, count, histogram, fields, context. Live tail is in tail.py.

Records are NDJSON, one ECS document a line. A search with a limit up to COLLECTED is collected first, so that its
answer can carry the cursor of the next page in `X-Deckwatch-Cursor` (absent where nothing more is to come). Without a
limit, or with a larger one, the answer is streamed as it is found. With `progress=true` it is always streamed, and
lines with the only key `deckwatch.progress` (and `deckwatch.cursor` in the last line) stand between the records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
import polars as pl
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram

from collector.accounting.gaps import Gaps
from collector.api import openapi
from collector.api.completeness import COMPLETE_HEADER, complete_header
from collector.api.connection import break_off, for_client, pages_for_client
from collector.api.endpoint import JSON, NDJSON, Arguments, Endpoint, NotFound, ParameterError
from collector.api.log_schema import (
    AROUND,
    BUCKETS,
    COUNT,
    CURSOR_HEADER,
    FIELD,
    FILTER,
    HISTOGRAM,
    NOTICES_HEADER,
    PAGING,
    QUERY,
    RECORD,
    TENANT,
    time_range,
)
from collector.api.notices import notices_header
from collector.api.tail import TailApi
from collector.records import Origin
from collector.search.ecs import to_ndjson
from collector.search.fields import full_name
from collector.search.query import Query
from collector.store.protocol import Bucket, Cursor, LogStore, Order, Page, SearchRequest
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault
from deckwatch.runtime.times import MAX_NS, MIN_NS, SECOND, rfc3339
from deckwatch.wire.model import DEFAULT_TENANT

log = logging.getLogger(__name__)

COLLECTED = 10_000
MOST_BUCKETS = 11_000
_RENDER_ALOUD_ROWS = 500  # more are rendered in a thread, so that other requests get their turn


class LogApi:
    """`routes()` once; `close()` before the server closes, so that live tails end."""

    def __init__(self, store: LogStore, *, clock: Clock, registry: CollectorRegistry, gaps: Gaps | None = None) -> None:
        self._store = store
        self._clock = clock
        self._gaps = gaps
        self._tail = TailApi(store, clock=clock, registry=registry, gaps=gaps)
        self._seconds = Histogram(
            "deckwatch_search_duration_seconds", "From request to last byte", ["endpoint"], registry=registry
        )
        self._records = Counter("deckwatch_search_records", "Records in answers", registry=registry)
        self._cut = Counter("deckwatch_search_cut_answers", "Answers that a fault cut short", registry=registry)

    def routes(self, also: Sequence[Endpoint] = ()) -> list[web.RouteDef]:
        """`also`: further endpoints that belong into the OpenAPI document."""
        served = [*self.endpoints(), *also]
        return [endpoint.route() for endpoint in (*served, openapi.endpoint(served))]

    def close(self) -> None:
        self._tail.close()

    def endpoints(self) -> list[Endpoint]:
        everything, hour = time_range("all times"), time_range("an hour ago")
        return [
            Endpoint(
                "/api/v1/logs",
                "Search records",
                f"NDJSON, one record a line. {NOTICES_HEADER} tells of fields in the query that no record in the range "
                f"has. Up to {COLLECTED} records come with the next page's cursor in "
                f"{CURSOR_HEADER}; more, and limit=0, are streamed. {COMPLETE_HEADER}: true, or gaps=N "
                "where lines are known to be missing.",
                (QUERY, FILTER, *everything, *PAGING, TENANT),
                {NDJSON: RECORD},
                self.search,
            ),
            Endpoint(
                "/api/v1/logs/count",
                "Count records",
                "How many records match.",
                (QUERY, FILTER, *everything, TENANT),
                {JSON: {"type": "object", "required": ["count"], "properties": {"count": COUNT}}},
                self.count,
            ),
            Endpoint(
                "/api/v1/logs/histogram",
                "Count records over time",
                "Buckets that hold a record, by time and level.",
                (QUERY, FILTER, *hour, *BUCKETS, TENANT),
                {JSON: HISTOGRAM},
                self.histogram,
            ),
            Endpoint(
                "/api/v1/logs/fields",
                "Names of fields, or the most frequent values of one",
                "Without `field` the names; with it its values, most frequent first. Where there are too many to hold, "
                "each count may be too small by `missing`.",
                (QUERY, FILTER, *everything, *FIELD, TENANT),
                {JSON: {"type": "object"}},
                self.fields,
            ),
            Endpoint(
                "/api/v1/logs/context",
                "Records around one",
                "Neighbours in the same stream, in its order; the one asked for is among them.",
                (*AROUND, TENANT),
                {NDJSON: RECORD},
                self.context,
            ),
            self._tail.endpoint(QUERY, FILTER, TENANT),
        ]

    # Records

    async def search(self, arguments: Arguments) -> web.StreamResponse:
        request = self._search_request(arguments)
        progress = arguments.choice("progress", ("true", "false"), "false") == "true"
        pages = pages_for_client(arguments.request, self._store.search(request))
        with self._seconds.labels("logs").time():
            complete = await self._told(request.tenant, request.query, request.start_ns, request.end_ns)
            if progress or request.limit is None or request.limit > COLLECTED:
                return await self._stream(arguments.request, pages, progress, complete)
            return await self._collect(pages, request.limit, complete)

    async def _told(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> dict[str, str]:
        """Headers: is the answer complete, and does the query name what isn't there?"""
        told = await notices_header(self._store, tenant, query, start_ns, end_ns)
        return await complete_header(self._gaps, tenant, query, start_ns, end_ns) | told

    def _search_request(self, arguments: Arguments) -> SearchRequest:
        limit = arguments.integer("limit", 1000, 0, 2**53)
        start_ns, end_ns = self._times(arguments, MIN_NS, MAX_NS)
        cursor = arguments.text("cursor")
        return SearchRequest(
            tenant=arguments.text("tenant", DEFAULT_TENANT),
            query=arguments.query(self._clock.now_ns()),
            start_ns=start_ns,
            end_ns=end_ns,
            limit=limit or None,
            order=Order(arguments.choice("order", list(Order), Order.DESC)),
            cursor=Cursor.decode(cursor) if cursor else None,
        )

    async def _collect(self, pages: AsyncIterator[Page], limit: int, complete: dict[str, str]) -> web.Response:
        body, found, cursor = [], 0, None
        async for page in pages:
            found += len(page.rows)
            cursor = page.cursor
            body.append(await self._render(page.rows, page.origins))
        headers = {CURSOR_HEADER: cursor.encode()} if cursor is not None and found >= limit else {}
        return web.Response(body=b"".join(body), content_type=NDJSON, headers=complete | headers)

    async def _stream(
        self, request: web.Request, pages: AsyncIterator[Page], progress: bool, complete: dict[str, str]
    ) -> web.StreamResponse:
        """Faults before the first page are answers of their own; later ones cut the connection, so that the client
        sees that the answer has no proper end."""
        response = web.StreamResponse(headers={"Content-Type": NDJSON, **complete})
        cursor = None
        try:
            async for page in pages:
                cursor = page.cursor
                if not response.prepared:
                    await response.prepare(request)
                text = await self._render(page.rows, page.origins)
                await response.write(text + _progress_line(page) if progress else text)
        except Fault as fault:
            if not response.prepared:
                raise
            self._cut.inc()
            log.warning("a search was cut short: %s", fault)
            break_off(request)
            return response
        if not response.prepared:
            await response.prepare(request)
        if progress and cursor is not None:
            await response.write(orjson.dumps({"deckwatch.cursor": cursor.encode()}) + b"\n")
        await response.write_eof()
        return response

    async def _render(self, rows: pl.DataFrame, origins: Mapping[int, Origin]) -> bytes:
        self._records.inc(len(rows))
        if len(rows) <= _RENDER_ALOUD_ROWS:
            return to_ndjson(rows, origins)
        return await asyncio.to_thread(to_ndjson, rows, origins)

    async def context(self, arguments: Arguments) -> web.Response:
        key = arguments.text("stream")
        if not key:
            raise ParameterError("stream", "is missing", "deckwatch.stream of a record")
        offset = arguments.integer("offset", None, 0, MAX_NS)
        before = arguments.integer("before", 3, 0, COLLECTED)
        after = arguments.integer("after", 3, 0, COLLECTED)
        tenant = arguments.text("tenant", DEFAULT_TENANT)
        page = await for_client(arguments.request, self._store.context(tenant, key, offset, before, after))
        if page.rows.is_empty():
            raise NotFound(f"no record of stream {key[:64]!r} holds byte {offset}")
        return web.Response(body=await self._render(page.rows, page.origins), content_type=NDJSON)

    # Numbers about records

    async def count(self, arguments: Arguments) -> web.Response:
        start_ns, end_ns = self._times(arguments, MIN_NS, MAX_NS)
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        with self._seconds.labels("count").time():
            count = await for_client(arguments.request, self._store.count(tenant, query, start_ns, end_ns))
        return web.json_response({"count": count}, headers=await self._told(tenant, query, start_ns, end_ns))

    async def histogram(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        start_ns, end_ns = self._times(arguments, now_ns - 3600 * SECOND, now_ns)
        interval_ns = arguments.duration("interval", nice_interval_ns(end_ns - start_ns))
        if (end_ns - start_ns) // interval_ns > MOST_BUCKETS:
            raise ParameterError("interval", f"gives more than {MOST_BUCKETS} buckets", "a longer one")
        by_level = arguments.choice("by", ("level", "none"), "level") == "level"
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        with self._seconds.labels("histogram").time():
            work = self._store.histogram(tenant, query, start_ns, end_ns, interval_ns, by_level)
            buckets = await for_client(arguments.request, work)
        answer = {
            "start": rfc3339(start_ns),
            "end": rfc3339(end_ns),
            "interval_ns": interval_ns,
            "count": sum(bucket.count for bucket in buckets),
            "buckets": [_bucket(bucket) for bucket in buckets],
        }
        return web.json_response(answer, headers=await self._told(tenant, query, start_ns, end_ns))

    async def fields(self, arguments: Arguments) -> web.Response:
        start_ns, end_ns = self._times(arguments, MIN_NS, MAX_NS)
        tenant, query = arguments.text("tenant", DEFAULT_TENANT), arguments.query(self._clock.now_ns())
        field, size = full_name(arguments.text("field")), arguments.integer("size", 10, 1, COLLECTED)
        with self._seconds.labels("fields").time():
            if not field:
                names = await for_client(arguments.request, self._store.field_names(tenant, query, start_ns, end_ns))
                return web.json_response({"fields": [{"name": one.name, "count": one.count} for one in names]})
            work = self._store.field_values(tenant, query, start_ns, end_ns, field, size)
            found = await for_client(arguments.request, work)
        shown = [{"value": one.value, "count": one.count} for one in found.values]
        missing = {"missing": found.missing} if found.missing else {}
        return web.json_response({"field": field, "values": shown, **missing})

    def _times(self, arguments: Arguments, start_ns: int, end_ns: int) -> tuple[int, int]:
        now_ns = self._clock.now_ns()
        start_ns = arguments.time("start", start_ns, now_ns)
        end_ns = arguments.time("end", end_ns, now_ns)
        if end_ns < start_ns:
            raise ParameterError("end", "lies before start", f"a time after {rfc3339(start_ns)}")
        return start_ns, end_ns


def nice_interval_ns(span_ns: int, buckets: int = 60) -> int:
    """A length that people read easily, for about `buckets` buckets."""
    steps_s = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
    wanted_s = span_ns / SECOND / buckets
    fitting = [step for step in steps_s if step >= wanted_s]
    days = -(-int(wanted_s) // 86400)
    return (fitting[0] if fitting else days * 86400) * SECOND


def _bucket(bucket: Bucket) -> dict[str, Any]:
    level = {} if bucket.level is None else {"level": bucket.level}
    return {"start": rfc3339(bucket.start_ns), "start_ns": bucket.start_ns, **level, "count": bucket.count}


def _progress_line(page: Page) -> bytes:
    progress = page.progress
    return (
        orjson.dumps({"deckwatch.progress": {"scanned": progress.scanned_records, "total": progress.total_records}})
        + b"\n"
    )
