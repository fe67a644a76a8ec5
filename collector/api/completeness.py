"""Is an answer all there was to find? Said beside the records, so that scripts that read one record a line go on doing
so: a header of searches and counts, events of their own in a live tail."""

from __future__ import annotations

import orjson

from collector.accounting.gaps import Gaps, GapView
from collector.search.query import Query
from collector.store.protocol import TailCursor

COMPLETE_HEADER = "Deckwatch-Complete"
"""`true`, or `gaps=N`: so many declared gaps may have held lines that the query would have found in its time range."""

GAP_EVENT = "gap"
"""Name of the server-sent events that tell of a gap; their data is what /api/v1/gaps answers."""


async def complete_header(gaps: Gaps | None, tenant: str, query: Query, start_ns: int, end_ns: int) -> dict[str, str]:
    """Nothing where nobody keeps account of gaps."""
    if gaps is None:
        return {}
    lost = await gaps.losses(tenant, query, start_ns, end_ns)
    return {COMPLETE_HEADER: f"gaps={len(lost)}" if lost else "true"}


class GapTeller:
    """Of one live tail: each gap once, behind the records that arrived before it."""

    def __init__(self, gaps: Gaps | None, tenant: str, query: Query, after: TailCursor) -> None:
        self._gaps = gaps
        self._tenant = tenant
        self._query = query
        self._told_seq = after.seq if after == TailCursor.behind(after.seq) else after.seq - 1

    async def up_to(self, seq: int) -> bytes:
        """Events of the gaps that came with entries up to `seq`: all of those have been applied."""
        if self._gaps is None or seq <= self._told_seq:
            return b""
        fresh = await self._gaps.since(self._tenant, self._query, self._told_seq)
        self._told_seq = seq
        return b"".join(_event(view) for view in fresh if view.row.seq <= seq)


def _event(view: GapView) -> bytes:
    return f"event: {GAP_EVENT}\ndata: ".encode() + orjson.dumps(view.document()) + b"\n\n"
