"""Declared gaps, with what is known of their streams: which logs miss bytes, since when and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from collector.accounting.account import StreamAccount
from collector.records import Origin
from collector.search.fields import origin_fields
from collector.search.plan import compile
from collector.search.query import All, Query
from collector.store.embedded.manifest import GapRow, Manifest
from collector.store.protocol import LogStore
from deckwatch.runtime.times import rfc3339
from deckwatch.wire.model import Context, Format, GapReason

MOST_LOOKED_UP = 64
"""Times that are looked up in the store for one question; gaps beyond them count as reaching back without limit."""
_LONG_AGO_NS = -(1 << 63)


class GapView(msgspec.Struct, frozen=True):
    """A gap and whose it is. Its lines were written after `after_ns` (the last record before it; None: not known, or
    there was none) and before `row.ts_ns`, when it was noticed."""

    row: GapRow
    origin: Origin
    is_log: bool  # False: samples and events were lost
    after_ns: int | None = None

    @property
    def is_wanted(self) -> bool:
        """Left out because somebody has configured it: nothing is missing."""
        return self.row.reason == GapReason.BEFORE_START

    @property
    def is_loss(self) -> bool:
        """Lines are missing."""
        return self.is_log and not self.is_wanted

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """May a line with a time in [start_ns, end_ns) be missing?"""
        after_ns = _LONG_AGO_NS if self.after_ns is None else self.after_ns
        return after_ns < end_ns and self.row.ts_ns >= start_ns

    def document(self) -> dict[str, Any]:
        """As the API shows it: ECS names where there are any."""
        row = self.row
        return {
            "@timestamp": rfc3339(row.ts_ns),
            **origin_fields(self.origin),
            "deckwatch.gap.reason": row.reason,
            "deckwatch.gap.detail": row.detail,
            "deckwatch.gap.source": row.source,
            "deckwatch.gap.start": row.start,
            "deckwatch.gap.end": row.end if row.end >= 0 else None,
            "deckwatch.gap.bytes": row.end - row.start if row.end >= 0 else None,
            "deckwatch.gap.after": None if self.after_ns is None else rfc3339(self.after_ns),
            "deckwatch.gap.kind": "log" if self.is_log else "samples",
            "deckwatch.gap.expected": self.is_wanted,
            "event.ingested": rfc3339(row.received_ns),
            "deckwatch.seq": row.seq,
        }


class Gaps:
    """Belongs to the event loop. Every gap that was applied is told of, whether or not it is sealed already."""

    def __init__(
        self,
        manifest: Manifest,
        pending: Callable[[], Sequence[GapRow]],
        account_of: Callable[[str], StreamAccount | None],
        store: LogStore,
    ) -> None:
        self._manifest = manifest
        self._pending = pending
        self._account_of = account_of
        self._store = store
        self._read: dict[str, tuple[tuple[int, int, int], list[GapView]]] = {}  # by tenant, as of a state of both
        self._after: dict[tuple[str, int], int | None] = {}  # by (stream, start)

    async def of(self, tenant: str) -> list[GapView]:
        """In the order in which they came."""
        pending = self._pending()  # first: a sealing may commit meanwhile
        state = (self._manifest.changes, len(pending), pending[-1].seq if pending else -1)
        known = self._read.get(tenant)
        if known is None or known[0] != state:
            sealed = await asyncio.to_thread(self._manifest.gaps, tenant)
            rows = dict.fromkeys((*sealed, *(row for row in pending if row.tenant == tenant)))
            known = self._read[tenant] = (state, [self._view(row) for row in rows])
        return known[1]

    async def matching(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[GapView]:
        """Gaps of streams whose records `query` may match, in which a line of that time may have been."""
        views = [view for view in await self.of(tenant) if view.row.ts_ns >= start_ns]
        views = matching(views, query)
        return [view for view in await self._timed(views) if view.overlaps(start_ns, end_ns)]

    async def losses(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[GapView]:
        """Likewise, only those by which lines are missing."""
        return [view for view in await self.matching(tenant, query, start_ns, end_ns) if view.is_loss]

    async def since(self, tenant: str, query: Query, seq: int) -> list[GapView]:
        """Losses that came with an entry behind `seq`."""
        fresh = [view for view in await self.of(tenant) if view.row.seq > seq and view.is_loss]
        return matching(fresh, query)

    def _view(self, row: GapRow) -> GapView:
        account = self._account_of(row.key)
        if account is None:  # forgotten with its stream, or nobody knows what a damaged segment held
            return GapView(row, Origin(row.key, row.tenant, Context(row.host, row.source)), is_log=True)
        is_log = account.format is not Format.FRAMES
        return GapView(row, Origin(row.key, row.tenant, account.context), is_log)

    async def _timed(self, views: Iterable[GapView]) -> list[GapView]:
        """With the time of the record before each. It doesn't change, so it is looked up once."""
        timed, looked_up = [], 0
        for view in views:
            place = (view.row.key, view.row.start)
            if place not in self._after and view.row.start > 0 and view.is_log and looked_up < MOST_LOOKED_UP:
                looked_up += 1
                page = await self._store.context(view.row.tenant, view.row.key, view.row.start - 1, 0, 0)
                self._after[place] = None if page.rows.is_empty() else int(page.rows["ts"].cast(int).to_list()[-1])
            timed.append(msgspec.structs.replace(view, after_ns=self._after.get(place)))
        return timed


def source_name(row: GapRow, account: StreamAccount | None) -> str:
    """Whose gap it is, for people: the container's name, else the path."""
    container = account.context.container if account else None
    return (container.name or container.id) if container else row.source


def matching(views: Sequence[GapView], query: Query) -> list[GapView]:
    """Gaps of streams of which some record may match."""
    if isinstance(query, All) or not views:
        return list(views)
    origins: Mapping[int, Origin] = {place: view.origin for place, view in enumerate(views)}
    compiled = compile(query, origins)
    if compiled.expr is False:
        return []
    return [view for place, view in enumerate(views) if place in compiled.origin_ids]
