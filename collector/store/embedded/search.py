"""The reading side: the LogStore protocol over snapshots. Blocks are read in threads, a few at a time."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import polars as pl

from collector.parse.fields import body_fields
from collector.records import LEVELS
from collector.search.absent import Absent
from collector.search.fields import origin_fields, public_name
from collector.search.query import Query
from collector.store.embedded import scan
from collector.store.embedded.absent import Absence
from collector.store.embedded.context import BLOCK, Neighbourhood, spans
from collector.store.embedded.scan import By, Place, Plan
from collector.store.embedded.segment import SegmentBlock
from collector.store.embedded.snapshot import Block, Snapshot
from collector.store.embedded.store import EmbeddedStore
from collector.store.embedded.tally import MOST_VALUES, Tally
from collector.store.embedded.waiting import NOTHING, Waiting, farthest, is_beyond, nearest
from collector.store.protocol import (
    STORED_ROWS,
    Bucket,
    Cursor,
    FieldName,
    FieldValues,
    Order,
    Page,
    Progress,
    SearchRequest,
    TailCursor,
    TailPage,
)

T = TypeVar("T")

_FOREVER_NS = (1 << 63) - 1
_MOST_WAITING_BYTES = 256 << 20
"""Of rows that one search holds beside the blocks being read. A sealed segment's blocks all begin at about the same
time: with less than the text of the largest segment an ordinary search would take several passes."""
_BODY_SAMPLE = 2000
_BODY_BLOCKS = 64  # that are looked through for it, twice as many at most


class EmbeddedSearch:
    """LogStore over an EmbeddedStore. Belongs to the event loop that made it."""

    def __init__(
        self,
        store: EmbeddedStore,
        pending_bytes: Callable[[], int],
        *,
        most_waiting_bytes: int = _MOST_WAITING_BYTES,
        most_values: int = MOST_VALUES,
    ) -> None:
        self._store = store
        self._most_waiting_bytes = most_waiting_bytes
        self._most_values = most_values
        self._absence = Absence()
        self._pending_bytes = pending_bytes
        self._threads = store.settings.read_threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="search")
        self._loop = asyncio.get_running_loop()
        self._arrival = asyncio.Event()
        store.on_append(self._appended)

    def _appended(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    # The protocol ----------------------------------------------------------------------------------------------

    async def search(self, request: SearchRequest) -> AsyncIterator[Page]:
        plan = await self._plan(request.tenant, request.query, request.start_ns, request.end_ns)
        cursor = request.cursor
        behind = None if cursor is None else plan.place(cursor.ts_ns, cursor.key, cursor.start)
        descending = request.order is Order.DESC
        pages = self._ordered(plan, By.TIME, descending, behind, request.limit)
        async for rows, progress in pages:
            if rows.height:
                cursor = Cursor(int(rows["ts"][-1]), self._key(plan, rows), int(rows["start"][-1]))
            yield Page(rows.select(list(STORED_ROWS)), plan.origins, cursor, progress)

    async def count(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> int:
        plan = await self._plan(tenant, query, start_ns, end_ns)
        return sum([n async for n in self._each(plan.blocks, partial(scan.count, plan))])

    async def histogram(
        self, tenant: str, query: Query, start_ns: int, end_ns: int, interval_ns: int, by_level: bool
    ) -> list[Bucket]:
        plan = await self._plan(tenant, query, start_ns, end_ns)
        table = await self._counted(plan, lambda block: scan.histogram(plan, block, interval_ns, by_level))
        return (
            [
                Bucket(start, LEVELS[level] if by_level else None, count)
                for start, level, count in table.sort("bucket", "level").select("bucket", "level", "count").iter_rows()
            ]
            if table.height
            else []
        )

    async def field_values(
        self, tenant: str, query: Query, start_ns: int, end_ns: int, field: str, size: int
    ) -> FieldValues:
        plan = await self._plan(tenant, query, start_ns, end_ns)
        return (await self._most_frequent(plan, field)).top(size)

    async def field_names(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[FieldName]:
        plan = await self._plan(tenant, query, start_ns, end_ns)
        table = await self._counted(plan, lambda block: scan.row_fields(plan, block))
        counts: dict[str, int] = {}
        for origin, level, iostream, flags, count in table.iter_rows() if table.height else ():
            names = {"@timestamp", "message", "log.offset", "deckwatch.seq", "event.ingested"}
            names |= origin_fields(plan.origins[origin]).keys()
            names |= {
                name for name, has in (("log.level", level), ("log.iostream", iostream), ("log.flags", flags)) if has
            }
            for name in names:
                counts[name] = counts.get(name, 0) + count
        for name, count in (await self._body_names(plan)).items():
            counts[name] = counts.get(name, 0) + count
        return [FieldName(name, counts[name]) for name in sorted(counts)]

    async def absent(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[Absent]:
        look = partial(self._absence.look, self._store.snapshot(), tenant, query, start_ns, end_ns)
        try:
            return await self._loop.run_in_executor(self._executor, look)
        except (OSError, ValueError):  # a block is damaged: whoever searches it sets it aside
            return []

    async def context(self, tenant: str, key: str, start: int, before: int, after: int) -> Page:
        snapshot = self._store.snapshot()
        origins = scan.tenant_origins(snapshot.origins, tenant)
        ids = [id_ for id_, origin in origins.items() if origin.key == key]
        blocks = [block for block in snapshot.of(tenant).all if not set(ids).isdisjoint(block.stats.origins)]
        near = Neighbourhood(spans(blocks), start, before, after)
        while (place := near.next()) is not None:
            async for rows in self._each([blocks[place]], lambda block: scan.stream_rows(block, ids)):
                near.add(place, rows)
        parts = [pl.DataFrame(schema=STORED_ROWS)]
        for (place,), rows in near.chosen().group_by(BLOCK):
            whole = await self._run(blocks[int(str(place))], lambda block: block.read(STORED_ROWS))
            parts.append(whole[rows[scan.INDEX]])
        rows = pl.concat(parts).sort("start")
        used = set(rows["origin"].unique().to_list())
        return Page(rows, {id_: origins[id_] for id_ in used}, None, Progress(rows.height, rows.height))

    async def tail(self, tenant: str, query: Query, after: TailCursor) -> AsyncIterator[TailPage]:
        while True:
            arrival = self._arrival
            snapshot = self._store.snapshot()
            if snapshot.newest_seq >= after.seq:
                plan = await self._plan_over(snapshot, tenant, query, -_FOREVER_NS, _FOREVER_NS, after.seq)
                behind = plan.place(after.seq, after.key, after.start)
                async for rows, _ in self._ordered(plan, By.ARRIVAL, False, behind, None):
                    if rows.height:
                        after = TailCursor(int(rows["seq"][-1]), self._key(plan, rows), int(rows["start"][-1]))
                        yield TailPage(rows.select(list(STORED_ROWS)), plan.origins, after)
                if snapshot.newest_seq > after.seq:
                    after = TailCursor.behind(snapshot.newest_seq)
                    yield TailPage(pl.DataFrame(schema=STORED_ROWS), plan.origins, after)
            await arrival.wait()

    def _key(self, plan: Plan, rows: pl.DataFrame) -> str:
        """Of the last row's stream."""
        return plan.keys[int(rows[scan.RANK][-1])]

    async def newest_seq(self) -> int:
        return self._store.snapshot().newest_seq

    def pending_bytes(self) -> int:
        return self._pending_bytes()

    # Blocks in threads -----------------------------------------------------------------------------------------

    async def _plan(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> Plan:
        return await self._plan_over(self._store.snapshot(), tenant, query, start_ns, end_ns, -1)

    async def _plan_over(
        self, snapshot: Snapshot, tenant: str, query: Query, start_ns: int, end_ns: int, min_seq: int
    ) -> Plan:
        return await self._loop.run_in_executor(
            self._executor, partial(scan.plan, snapshot, tenant, query, start_ns, end_ns, min_seq)
        )

    async def _run(self, block: Block, work: Callable[[Block], T]) -> T:
        return await self._loop.run_in_executor(self._executor, partial(work, block))

    async def _numbered(self, blocks: Iterable[Block], work: Callable[[Block], T]) -> AsyncGenerator[tuple[int, T]]:
        """(place, result) of each block, in their order, a few being worked on ahead. A block that can't be read is
        set aside by the store and left out."""
        ahead: deque[tuple[int, Block, asyncio.Future[T]]] = deque()
        source = enumerate(blocks)
        try:
            while True:
                while len(ahead) <= self._threads and (following := next(source, None)) is not None:
                    place, block = following
                    ahead.append((place, block, asyncio.ensure_future(self._run(block, work))))
                if not ahead:
                    return
                place, block, future = ahead.popleft()
                try:
                    result = await future
                except (OSError, ValueError) as error:
                    if not isinstance(block, SegmentBlock) or not await self._is_damaged(block, error):
                        raise
                    continue
                yield place, result
        finally:
            for _, _, future in ahead:
                future.cancel()

    async def _is_damaged(self, block: SegmentBlock, error: Exception) -> bool:
        return await self._loop.run_in_executor(None, self._store.damaged, block.segment.id, error)

    async def _each(self, blocks: Iterable[Block], work: Callable[[Block], T]) -> AsyncGenerator[T]:
        async for _, result in self._numbered(blocks, work):
            yield result

    async def _counted(self, plan: Plan, work: Callable[[Block], pl.DataFrame]) -> pl.DataFrame:
        """What the blocks counted, summed up as it comes, so that many blocks take no more memory than few."""
        total: list[pl.DataFrame] = []
        async for part in self._each(plan.blocks, work):
            total.append(part)
            if len(total) == 32:
                total = [scan.merge_counts(total)]
        return scan.merge_counts(total) if total else pl.DataFrame()

    async def _most_frequent(self, plan: Plan, field: str) -> Tally:
        tally = Tally(self._most_values)
        async for part in self._each(plan.blocks, lambda block: scan.values(plan, block, field)):
            tally.add(part)
        return tally

    async def _body_names(self, plan: Plan) -> dict[str, int]:
        """From a sample: the names of fields in bodies and how many of the records looked at have them."""
        counts: dict[str, int] = {}
        left = _BODY_SAMPLE
        blocks = plan.blocks[:: max(1, len(plan.blocks) // _BODY_BLOCKS)]
        async for rows in self._each(blocks, lambda block: scan.some_bodies(plan, block, 200)):
            for message, body in rows.head(left).iter_rows():
                for name in body_fields(message, body):
                    counts[public_name(name)] = counts.get(public_name(name), 0) + 1
            left -= rows.height
            if left <= 0:
                break
        return counts

    # Ordered results -------------------------------------------------------------------------------------------

    async def _ordered(
        self, plan: Plan, by: By, descending: bool, behind: Place | None, limit: int | None
    ) -> AsyncGenerator[tuple[pl.DataFrame, Progress]]:
        """Pages (STORED_ROWS and RANK) in the total order. Blocks are read in the order of their nearest row; what lies
        before every block that is still to come can go out. Where more than may wait would have to, in several passes.
        """
        blocks = sorted(plan.blocks, key=lambda block: nearest(block, by, descending), reverse=descending)
        scanned = 0
        if not blocks:  # all of it could be skipped: that is progress too
            yield NOTHING, Progress(plan.skipped_rows, plan.total_rows)
        while True:
            waiting = Waiting(by, descending, limit, self._most_waiting_bytes)
            async with aclosing(self._pass(plan, by, descending, behind, blocks, waiting)) as pages:
                async for page, done in pages:
                    scanned = max(scanned, done)
                    yield page, Progress(plan.skipped_rows + scanned, plan.total_rows)
            if waiting.end is None or waiting.full:
                return
            behind, limit = waiting.end, waiting.left
            blocks = [one for one in blocks if not is_beyond(behind.value, farthest(one, by, descending), descending)]

    async def _pass(
        self, plan: Plan, by: By, descending: bool, behind: Place | None, blocks: Sequence[Block], waiting: Waiting
    ) -> AsyncGenerator[tuple[pl.DataFrame, int]]:
        """Pages, and how many rows were looked at."""
        limit, scanned = waiting.left, 0

        def work(block: Block) -> pl.DataFrame:
            bound = waiting.bound  # a moment old, which only means that a few rows more are looked at
            if bound is not None and is_beyond(nearest(block, by, descending), bound, descending):
                return NOTHING
            return scan.best(plan, block, by, descending, limit, behind, bound)

        async for place, rows in self._numbered(blocks, work):
            waiting.add(rows)
            scanned += blocks[place].stats.rows
            following = nearest(blocks[place + 1], by, descending) if place + 1 < len(blocks) else None
            sent = False
            for page in waiting.ready(following):
                sent = True
                yield page, scanned
            if waiting.full:
                return
            if not sent:
                yield NOTHING, scanned
