"""One generation of the store, as a query sees it from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
import polars as pl

from collector.records import Origin
from collector.store.embedded.hot import HotBlock
from collector.store.embedded.segment import SegmentBlock
from collector.store.embedded.segment_index import BlockStats


class Block(Protocol):
    """Some rows that are read together, and what is known of them beforehand."""

    @property
    def stats(self) -> BlockStats: ...

    def may_contain(self, word: str) -> bool:
        """False: no message of the block has this word."""
        ...

    def offsets(self) -> tuple[int, int]:
        """The least `start` and the greatest `end` of its rows."""
        ...

    def read(self, columns: Iterable[str]) -> pl.DataFrame: ...


class TenantBlocks(msgspec.Struct, frozen=True):
    """A tenant's blocks: sealed, being sealed, and hot. A record is in exactly one of the three."""

    sealed: tuple[SegmentBlock, ...] = ()
    sealing: tuple[HotBlock, ...] = ()
    hot: tuple[HotBlock, ...] = ()

    @property
    def all(self) -> tuple[Block, ...]:
        return (*self.sealed, *self.sealing, *self.hot)


class Snapshot(msgspec.Struct, frozen=True):
    tenants: Mapping[str, TenantBlocks]
    origins: Mapping[int, Origin]
    newest_seq: int
    """Every record of an entry up to this one is in here."""

    def of(self, tenant: str) -> TenantBlocks:
        return self.tenants.get(tenant) or TenantBlocks()
