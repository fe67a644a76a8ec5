"""Is everything there that was acknowledged? Each stream's records must cover all of it but what is declared lost, and
the files must be those that were written.

Two independent looks are put together: the account (what the manifest and the memory say of every byte, see ledger.py),
and each segment's file, read anew from the disk. Segments that are put together meanwhile are looked at again; the last
account is the one that counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

import msgspec

from collector.accounting.account import StreamAccount
from collector.accounting.books import Books, open_books
from collector.accounting.cut import Cut
from collector.accounting.gaps import Gaps, GapView
from collector.accounting.holdings import by_key, memory
from collector.accounting.ledger import Ledger
from collector.accounting.overlaps import Part, overlaps
from collector.accounting.runs import Run, Runs, joined, without
from collector.accounting.segment_check import Finding, check_segment, gone, read_starts
from collector.records import Origin
from collector.search.plan import compile
from collector.search.query import All, Query
from collector.store.embedded.coverage import coverage_of, unpack
from collector.store.embedded.manifest import DAMAGED, SegmentRow
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.times import MIN_NS
from deckwatch.wire.model import Format, Position

SEGMENT = "segment"
"""Reason of what is missing because a segment's file is not the one that was written."""
UNACCOUNTED = "unaccounted"
"""Reason of what nobody holds and nobody declared: a fault of ours, or somebody's hand in the manifest."""


_MEMORY = 0  # segments count from 1


class Missing(msgspec.Struct, frozen=True):
    """Bytes of a stream that are in no record. `end` None: nobody knows how far."""

    start: int
    end: int | None
    reason: str  # of deckwatch.wire.model.GapReason, `damaged`, SEGMENT or UNACCOUNTED
    detail: str
    after_ns: int | None  # lines of this time or later
    noticed_ns: int | None  # and of this time at the latest
    expected: bool = False  # somebody has configured it so


class StreamVerdict(msgspec.Struct, frozen=True):
    key: str
    origin: Origin
    format: Format
    ledger: Ledger
    durable: int  # position that the agent was told; it may be ahead of the ledger's by what the journal holds
    last_received_ns: int
    missing: tuple[Missing, ...]
    repeated_records: int

    @property
    def complete(self) -> bool:
        return self.ledger.balanced and not self.repeated_records and all(one.expected for one in self.missing)


class Looked(msgspec.Struct, frozen=True):
    """How far it is."""

    segments: int
    of: int


class Verdict(msgspec.Struct, frozen=True):
    """The end. `unaccounted_segments`: an older version wrote them; their files are sound, their rows unknown."""

    streams: int
    incomplete: int
    segments: int
    seq: int
    unaccounted_segments: int


class Verifier:
    def __init__(
        self,
        store: EmbeddedStore,
        cut: Callable[[], Awaitable[Cut]],
        gaps: Gaps,
        durable_of: Callable[[str], Position | None],
    ) -> None:
        self._durable_of = durable_of
        self._store = store
        self._cut = cut
        self._gaps = gaps

    async def books(self) -> Books:
        return await open_books(self._cut, self._store.manifest)

    async def accounts(self, tenant: str, query: Query) -> list[StreamVerdict]:
        """What the manifest and the memory say, without a look at the files."""
        books = await self.books()
        views = _by_key(await self._gaps.of(tenant))
        keys = sorted(_keys(books, tenant, query))
        return [self._verdict(books, key, _NO_FAULTS, 0, views.get(key, ())) for key in keys]

    async def verify(
        self, tenant: str, query: Query, since_ns: int = MIN_NS
    ) -> AsyncGenerator[Looked | StreamVerdict | Verdict]:
        """Progress, then a verdict for each stream of the tenant that `query` may match, then the end. With `since_ns`
        only what was noticed since then, and streams that something came for since then."""
        books = await self.books()
        findings: dict[int, Finding | None] = {}
        while waiting := [id_ for id_ in _segments(books, _keys(books, tenant, query)) if id_ not in findings]:
            rows = {row.id: row for row in await asyncio.to_thread(self._store.manifest.segments)}
            of = len(findings) + len(waiting)
            for id_ in waiting:
                findings[id_] = await self._check(rows.get(id_), books)
                yield Looked(len(findings), of)
            books = await self.books()
        keys = _keys(books, tenant, query)
        parts = _parts(books, keys)
        serving = {id_ for id_ in findings if id_ in books.shelf.serving}
        faults = _faults(books, [found for id_ in serving if (found := findings[id_]) is not None])
        repeated = await self._repeated(books, parts, {id_ for id_ in serving if findings[id_] is None})
        views = _by_key(await self._gaps.of(tenant))
        told = bad = 0
        for key in sorted(keys):
            fault = faults.get(key, _NO_FAULTS)
            whole = self._verdict(books, key, fault, repeated.get(key, 0), views.get(key, ()))
            if (verdict := _recent(whole, since_ns)) is not None:
                told, bad = told + 1, bad + (not verdict.complete)
                yield verdict
        unknown = sum(books.shelf.serving[id_] is None for id_ in serving)
        yield Verdict(told, bad, len(serving), books.cut.seq, unknown)

    async def _check(self, row: SegmentRow | None, books: Books) -> Finding | None:
        if row is None:
            return None  # compaction or retention took it; what it held is looked at where it is now
        packed = books.shelf.serving.get(row.id)
        try:
            return await asyncio.to_thread(
                check_segment, self._store.folder, row, None if packed is None else unpack(packed)
            )
        except FileNotFoundError:
            still = {one.id for one in await asyncio.to_thread(self._store.manifest.segments)}
            return gone(self._store.folder, row) if row.id in still else None

    async def _repeated(self, books: Books, parts: dict[str, list[Part]], sound: set[int]) -> dict[str, int]:
        """Records that are in more than one place, by stream. Only where places overlap are offsets compared: a stack
        trace may enclose lines of the other iostream that were sealed before it."""
        rows = {row.id: row for row in await asyncio.to_thread(self._store.manifest.segments)}
        found: dict[str, int] = {}
        for key, places in parts.items():
            for within, origins in overlaps(places):
                starts: list[int] = []
                for segment in {part.segment for part in places if part.segment in sound and part.segment in rows}:
                    path = self._store.folder.base_of(rows[segment]).with_suffix(".parquet")
                    try:
                        table = await asyncio.to_thread(read_starts, path, origins, within)
                    except FileNotFoundError:
                        continue  # just put together with others
                    starts += table["start"].to_list()
                starts += _starts_in_memory(books, origins, within)
                found[key] = found.get(key, 0) + len(starts) - len(set(starts))
        return found

    def _verdict(
        self, books: Books, key: str, faults: _Faults, repeated: int, views: Sequence[GapView]
    ) -> StreamVerdict:
        account = books.cut.accounts[key]
        ledger = books.ledger(key)
        assert ledger is not None  # noqa: S101 - it has an account
        declared = [
            Missing(
                view.row.start,
                view.row.end if view.row.end >= 0 else None,
                DAMAGED if view.row.segment else view.row.reason,
                view.row.detail,
                view.after_ns,
                view.row.ts_ns,
                view.is_wanted,
            )
            for view in views
        ]
        lost = [
            Missing(start, end, UNACCOUNTED, "nobody holds it and nobody declared it", None, account.last_received_ns)
            for start, end in ledger.unaccounted
        ]
        missing = sorted([*declared, *faults.missing, *lost], key=lambda one: one.start)
        position = self._durable_of(key)
        return StreamVerdict(
            key=key,
            origin=_origin(key, account),
            format=account.format,
            ledger=ledger,
            durable=max(account.offset, position.offset if position else 0),
            last_received_ns=account.last_received_ns,
            missing=tuple(missing),
            repeated_records=repeated + faults.repeated,
        )


class _Faults(msgspec.Struct):
    missing: list[Missing] = []
    repeated: int = 0


_NO_FAULTS = _Faults()


def _origin(key: str, account: StreamAccount) -> Origin:
    return Origin(key, account.tenant, account.context)


def _keys(books: Books, tenant: str, query: Query) -> set[str]:
    """Streams of the tenant of which some record may match."""
    accounts = {key: one for key, one in books.cut.accounts.items() if one.tenant == tenant}
    if isinstance(query, All):
        return set(accounts)
    origins = {place: _origin(key, one) for place, (key, one) in enumerate(accounts.items())}
    compiled = compile(query, origins)
    return set() if compiled.expr is False else {origins[place].key for place in compiled.origin_ids}


def _segments(books: Books, keys: set[str]) -> list[int]:
    """Those that hold something of these streams, or of which nobody knows."""
    return [
        id_
        for id_, packed in books.shelf.serving.items()
        if packed is None or any(key in keys for key, _, _ in by_key(unpack(packed), books.cut))
    ]


def _parts(books: Books, keys: set[str]) -> dict[str, list[Part]]:
    """Where rows of these streams lie."""
    parts: dict[str, list[Part]] = {}
    origins = books.cut.snapshot.origins
    for id_, packed in books.shelf.serving.items():
        for one in unpack(packed) if packed is not None else ():
            origin = origins.get(one.origin)
            if origin is not None and origin.key in keys:
                parts.setdefault(origin.key, []).append(Part(id_, one.origin, one.runs))
    for rows in memory(books.cut):
        for one in coverage_of(rows):
            if (key := origins[one.origin].key) in keys:
                parts.setdefault(key, []).append(Part(_MEMORY, one.origin, one.runs))
    return parts


def _starts_in_memory(books: Books, origins: frozenset[int], within: Run) -> list[int]:
    low, high = within
    starts: list[int] = []
    for rows in memory(books.cut):
        wanted = rows["origin"].is_in(list(origins)) & rows["start"].is_between(low, high, closed="left")
        starts += rows["start"].filter(wanted).to_list()
    return starts


def _faults(books: Books, findings: Iterable[Finding]) -> dict[str, _Faults]:
    """What is missing or there twice because of segments that are not as they were written."""
    faults: dict[str, _Faults] = {}
    for finding in findings:
        row = finding.row
        packed = books.shelf.serving[row.id]
        expected = _runs_by_key(by_key(unpack(packed), books.cut) if packed is not None else ())
        found = _runs_by_key(by_key(finding.found, books.cut) if finding.found is not None else ())
        for key, runs in expected.items():
            for start, end in without(runs, found.get(key, ())):
                missing = Missing(start, end, SEGMENT, finding.problem, row.min_ts, row.max_ingested)
                faults.setdefault(key, _Faults()).missing.append(missing)
        for origin, count in finding.repeated:
            faults.setdefault(books.cut.snapshot.origins[origin].key, _Faults()).repeated += count
    return faults


def _runs_by_key(parts: Iterable[tuple[str, int, Runs]]) -> dict[str, Runs]:
    runs: dict[str, list[Run]] = {}
    for key, _, some in parts:
        runs.setdefault(key, []).extend(some)
    return {key: joined(some) for key, some in runs.items()}


def _by_key(views: Iterable[GapView]) -> dict[str, list[GapView]]:
    found: dict[str, list[GapView]] = {}
    for view in views:
        found.setdefault(view.row.key, []).append(view)
    return found


def _recent(verdict: StreamVerdict, since_ns: int) -> StreamVerdict | None:
    """None: nothing came of the stream since then, and nothing was noticed."""
    missing = tuple(one for one in verdict.missing if one.noticed_ns is None or one.noticed_ns >= since_ns)
    if not missing and verdict.last_received_ns < since_ns:
        return None
    return msgspec.structs.replace(verdict, missing=missing)
