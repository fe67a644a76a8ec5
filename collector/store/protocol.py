"""What a store of logs owes to its callers. Every back end passes tests/conformance/test_log_store.py.

*Order.* Results have one total order: (time stamp, stream key, start), ascending or descending. Live tail has another,
that of arrival: (seq, stream key, start). Both are stable while records are appended and segments are sealed.

*Isolation.* A call sees one generation of the store: what was searchable when it began. Records that arrive meanwhile
may or may not be seen, none is seen twice, and none that was there is missed.

*Tenants never mix:* nothing of another tenant is returned, counted or named.

*Cancelling* a call, or closing an iterator early, stops its scan soon and releases what it held.

*Faults:* `Retry` where the store can't answer now, `Reject` where it never can (a query it has no way to run).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec
import polars as pl

from collector.records import ROWS, Origin
from collector.search.absent import Absent
from collector.search.query import Query
from deckwatch.runtime.faults import Reject

STORED_ROWS: dict[str, pl.DataType] = {
    **ROWS,
    "seq": pl.Int64(),  # of the journal entry that completed the record: deckwatch.seq
    "ingested": pl.Int64(),  # Unix ns at which the collector received it: event.ingested
}
"""Columns of Page.rows."""


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The place of the last record that was returned; the next page begins strictly behind it, in the same order."""

    ts_ns: int
    key: str
    start: int

    def encode(self) -> str:
        """Opaque to clients: they may only hand it back."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return msgspec.msgpack.decode(raw, type=cls)
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise Reject(f"cursor {text[:80]!r} is none of ours: hand back what an earlier answer gave") from None


class TailCursor(msgspec.Struct, frozen=True, array_like=True):
    """A place in the order of arrival. Its text is the id of a server-sent event: `<seq>.<start>.<stream key>`, or
    `<seq>` alone for the place behind everything of that seq."""

    seq: int
    key: str
    start: int

    @classmethod
    def behind(cls, seq: int) -> TailCursor:
        return cls(seq=seq, key=_BEHIND_ALL_KEYS, start=0)

    def encode(self) -> str:
        return str(self.seq) if self.key == _BEHIND_ALL_KEYS else f"{self.seq}.{self.start}.{self.key}"

    @classmethod
    def decode(cls, text: str) -> TailCursor:
        seq, _, rest = text.partition(".")
        start, _, key = rest.partition(".")
        try:
            return cls(seq=int(seq), key=key, start=int(start)) if rest else cls.behind(int(seq))
        except ValueError:
            raise Reject(f"tail position {text[:80]!r} is not <seq> or <seq>.<start>.<stream key>") from None


_BEHIND_ALL_KEYS = "~"  # keys are hex digits: every one of them sorts before this


class SearchRequest(msgspec.Struct, frozen=True):
    tenant: str
    query: Query
    start_ns: int
    end_ns: int  # exclusive
    limit: int | None = 1000  # None: all
    order: Order = Order.DESC
    cursor: Cursor | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a scan is. Records that pruning skipped count as scanned."""

    scanned_records: int
    total_records: int  # in the blocks and frames that the time range touches
    read_bytes: int = 0


class Page(msgspec.Struct, frozen=True):
    """Records in the order asked for. A search yields many; an empty page only reports progress."""

    rows: pl.DataFrame  # STORED_ROWS
    origins: Mapping[int, Origin]  # of at least every id in rows["origin"]
    cursor: Cursor | None  # of the last row of this or an earlier page
    progress: Progress


class TailPage(msgspec.Struct, frozen=True):
    """Records in the order of arrival; perhaps none."""

    rows: pl.DataFrame  # STORED_ROWS
    origins: Mapping[int, Origin]
    after: TailCursor  # everything up to here was looked at: resume from it, even where no row matched


class Bucket(msgspec.Struct, frozen=True):
    start_ns: int  # a multiple of the interval
    level: str | None  # None: all levels together
    count: int


class FieldValue(msgspec.Struct, frozen=True):
    value: str
    count: int


class FieldValues(msgspec.Struct, frozen=True):
    values: list[FieldValue]
    missing: int = 0  # each count may be too small by so much: there were too many values to hold; 0: exact


class FieldName(msgspec.Struct, frozen=True):
    name: str
    count: int  # records (of those looked at) that have it


class LogStore(Protocol):
    """Reading. `start_ns` is inclusive and `end_ns` exclusive everywhere."""

    def search(self, request: SearchRequest) -> AsyncIterator[Page]:
        """Pages in the total order, together at most `limit` rows; ends behind the last one."""
        ...

    async def count(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> int: ...

    async def histogram(
        self, tenant: str, query: Query, start_ns: int, end_ns: int, interval_ns: int, by_level: bool
    ) -> list[Bucket]:
        """Non-empty buckets, ascending by (start, order of levels). Their counts add up to `count`."""
        ...

    async def field_values(
        self, tenant: str, query: Query, start_ns: int, end_ns: int, field: str, size: int
    ) -> FieldValues:
        """The `size` most frequent values of one field (full name), most frequent first, ties by value."""
        ...

    async def field_names(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[FieldName]:
        """Names by ascending name. Body fields may be found from a sample of the records."""
        ...

    async def absent(self, tenant: str, query: Query, start_ns: int, end_ns: int) -> list[Absent]:
        """Fields, and values of origins' fields, that the query names and no record in the range has; never one that a
        record has. Quick: a store that can't tell soon says nothing."""
        ...

    async def context(self, tenant: str, key: str, start: int, before: int, after: int) -> Page:
        """The record of stream `key` that holds byte `start`, with neighbours of the same stream by ascending start.
        Empty where the stream has no such record."""
        ...

    def tail(self, tenant: str, query: Query, after: TailCursor) -> AsyncIterator[TailPage]:
        """Records strictly behind `after` in the order of arrival: what is stored, then what arrives, without end.

        "From now on" is `TailCursor.behind(await newest_seq())`. Nothing is lost or repeated however slowly the caller
        reads: the store keeps no queue for it that could overflow, it reads on from its own data."""
        ...

    async def newest_seq(self) -> int:
        """The highest seq whose records are all searchable; -1 where there is none."""
        ...

    def pending_bytes(self) -> int:
        """Acknowledged and not searchable yet."""
        ...
