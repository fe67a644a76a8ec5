"""What a search looks at: no more origins, offsets and bodies than it must."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from collector.search.language import parse
from collector.search.plan import filtered
from collector.store.embedded import scan
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.protocol import Order, SearchRequest
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.records import Line, frame, origin

FIRST_NS, LAST_NS = -(2**63), 2**63 - 1
ORIGINS = tuple(origin(f"c{n}") for n in range(20))


def open_store(folder: Path) -> EmbeddedStore:
    return EmbeddedStore(folder, EmbeddedStoreSettings(compaction_bytes=0), SystemClock())


def seal(store: EmbeddedStore, seq: int) -> None:
    store.finish_seal(store.begin_seal(seq, b"", {}, (), (), ()))


def test_a_plan_over_few_blocks_knows_their_origins_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append(frame(0, ORIGINS, [Line("old", origin=n) for n in range(20)]))
    seal(store, 0)
    store.append(frame(1, ORIGINS, [Line("new", origin=7)]))
    newest = scan.plan(store.snapshot(), "default", parse(""), FIRST_NS, LAST_NS, min_seq=1)
    assert [one.key for one in newest.origins.values()] == [ORIGINS[7].key]
    whole = scan.plan(store.snapshot(), "default", parse(""), FIRST_NS, LAST_NS)
    assert {one.key for one in whole.origins.values()} == {one.key for one in ORIGINS}
    store.close()


def test_offsets_of_blocks_hot_and_sealed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    lines = [Line("a", start=500, size=40), Line("b", origin=1, start=90, size=10), Line("c", origin=1, start=100)]
    store.append(frame(0, ORIGINS, lines))
    assert [block.offsets() for block in store.snapshot().of("default").all] == [(90, 540)]
    seal(store, 0)
    (sealed,) = store.snapshot().of("default").all
    assert sealed.offsets() == (90, 540)
    store.close()


@pytest.mark.parametrize("order", list(Order))
async def test_the_first_matches_need_few_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    """Every fifth of 10,000 bodies matches: for two of them no more than the first step is read."""
    looked = 0

    def counting(rows: pl.DataFrame, stages: tuple[pl.Expr, ...]) -> pl.DataFrame:
        nonlocal looked
        looked += rows.height
        return filtered(rows, stages)

    monkeypatch.setattr(scan, "filtered", counting)
    store = open_store(tmp_path)
    store.append(frame(0, ORIGINS, [Line(f'{{"ms":{n % 5}}}', at_s=n, body="json") for n in range(10_000)]))
    reader = EmbeddedSearch(store, lambda: 0)
    request = SearchRequest("default", parse("ms:>=4"), FIRST_NS, LAST_NS, 2, order)
    pages = [page.rows async for page in reader.search(request)]
    reader.close()
    store.close()
    assert sum(page.height for page in pages) == 2
    assert 0 < looked <= 1024
