"""What is told beside an answer: fields and values that the query names and no record in its range has. In the header
`X-Deckwatch-Notices` as JSON ([{"field", "message", "nearest"}]), in a live tail as an event named `notice`."""

from __future__ import annotations

import json

import msgspec

from collector.api.log_schema import NOTICES_HEADER
from collector.search.absent import Notice, notice
from collector.search.query import Query
from collector.store.protocol import LogStore
from deckwatch.runtime.times import MAX_NS, MIN_NS

_MOST_HEADER_BYTES = 4000
"""Clients take 8 KiB a header (aiohttp, nginx)."""


async def notices_header(
    store: LogStore, tenant: str, query: Query, start_ns: int = MIN_NS, end_ns: int = MAX_NS
) -> dict[str, str]:
    """Empty where nothing is to be told."""
    found = [notice(absent, query) for absent in await store.absent(tenant, query, start_ns, end_ns)]
    while found and len(text := as_json(found)) > _MOST_HEADER_BYTES:
        found.pop()
    return {NOTICES_HEADER: text} if found else {}


async def notices_event(store: LogStore, tenant: str, query: Query) -> bytes:
    header = await notices_header(store, tenant, query)
    return f"event: notice\ndata: {header[NOTICES_HEADER]}\n\n".encode() if header else b""


def as_json(notices: list[Notice]) -> str:
    """ASCII, as headers are."""
    return json.dumps([msgspec.to_builtins(one) for one in notices])
