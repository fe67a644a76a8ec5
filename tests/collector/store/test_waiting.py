"""What searches hold in memory has a bound, and nothing is lost for it."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from collector.search.language import parse
from collector.store.embedded import waiting
from collector.store.embedded.context import Neighbourhood, Span
from collector.store.embedded.scan import RANK, By, merge_counts
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.embedded.tally import Tally
from collector.store.embedded.waiting import NOTHING, Waiting
from collector.store.protocol import FieldValue, FieldValues, Order, SearchRequest
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.records import Line, frame, origin

WEB = origin("web")
FOREVER = (-(2**63), 2**63 - 1)


def rows(*places: tuple[int, int, int]) -> pl.DataFrame:
    """(ts, rank, start) each, with a message of 100 bytes."""
    table = pl.DataFrame({"ts": [ts for ts, _, _ in places]}, schema={"ts": pl.Int64()}).with_columns(
        pl.Series(RANK, [rank for _, rank, _ in places], dtype=pl.Int64()),
        pl.Series("start", [start for _, _, start in places], dtype=pl.Int64()),
        message=pl.lit("x" * 100),
    )
    return pl.concat([NOTHING, table], how="diagonal")


def places(page: pl.DataFrame) -> list[tuple[int, int, int]]:
    return list(page.select("ts", RANK, "start").iter_rows())


def test_where_too_much_waits_the_farther_half_is_let_go() -> None:
    held = Waiting(By.TIME, descending=False, left=None, most_bytes=1000)
    held.add(rows(*((ts, 0, ts) for ts in range(20))))
    assert held.end is not None
    assert (held.end.value, held.bound) == (4, 4)
    held.add(rows((4, 0, 9)))  # it lies behind `end`, where rows are missing by now
    (page,) = held.ready(None)
    assert places(page) == [(ts, 0, ts) for ts in range(5)]


def test_within_the_bound_nothing_is_let_go() -> None:
    held = Waiting(By.TIME, descending=True, left=3, most_bytes=10_000)
    held.add(rows(*((ts, 0, ts) for ts in reversed(range(20)))))
    assert (held.end, held.bound) == (None, 17)
    (page,) = held.ready(10)
    assert places(page) == [(19, 0, 19), (18, 0, 18), (17, 0, 17)]
    assert held.full


async def test_wild_clocks_do_not_make_a_search_hold_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block begins in 1970: no row can go out before all blocks were read."""
    most = 0
    add = Waiting.add

    def watched(self: Waiting, table: pl.DataFrame) -> None:
        nonlocal most
        add(self, table)
        most = max(most, self._bytes)

    monkeypatch.setattr(waiting.Waiting, "add", watched)
    store = EmbeddedStore(tmp_path, EmbeddedStoreSettings(), SystemClock())
    reader = EmbeddedSearch(store, lambda: 0, most_waiting_bytes=30_000)
    rng = random.Random(5)
    for seq in range(20):
        lines = [Line(f"{seq}-{n} " + "x" * 100, at_s=rng.uniform(0, 1000)) for n in range(50)]
        store.append(frame(seq, (WEB,), [Line("wild", at_s=-1.7e9 + seq), *lines]))
        store.finish_seal(store.begin_seal(seq, b"", {}, (), (), ()))
    found: list[int] = []
    async for page in reader.search(SearchRequest("default", parse(""), *FOREVER, None, Order.ASC)):
        found += page.rows["ts"].to_list()
    reader.close()
    store.close()
    assert found == sorted(found)
    assert len(found) == 20 * 51
    assert most <= 30_000


def counts(**values: int) -> pl.DataFrame:
    return pl.DataFrame({"value": list(values), "count": list(values.values())})


def test_few_values_are_counted_exactly() -> None:
    tally = Tally(most=4)
    tally.add(counts(a=3, b=1))
    tally.add(counts(a=1, c=2))
    assert tally.top(2) == FieldValues([FieldValue("a", 4), FieldValue("c", 2)])


def test_of_too_many_values_the_rare_ones_are_let_go_and_the_error_is_told() -> None:
    tally, truth = Tally(most=50), []
    rng = random.Random(3)
    for _ in range(40):
        part = counts(often=20, sometimes=8, **{f"v{rng.randrange(10**6)}": rng.randrange(1, 3) for _ in range(40)})
        tally.add(part)
        truth.append(part)
    exact = dict(merge_counts(truth).select("value", "count").iter_rows())
    found = tally.top(2)
    assert [one.value for one in found.values] == ["often", "sometimes"]
    assert found.missing > 0
    for one in tally.top(1000).values:
        assert one.count <= exact[one.value] <= one.count + found.missing
    assert len(tally.top(1000).values) <= 50


def stream(first: int, count: int) -> pl.DataFrame:
    """Rows of 10 bytes each."""
    starts = range(first, first + 10 * count, 10)
    return pl.DataFrame(
        {"start": starts, "end": [start + 10 for start in starts], "_index": range(count)},
        schema={"start": pl.Int64(), "end": pl.Int64(), "_index": pl.UInt32()},
    )


@pytest.mark.parametrize(
    ("start", "before", "after", "read", "found"),
    [
        (155, 2, 2, [1], [130, 140, 150, 160, 170]),
        (155, 0, 0, [1], [150]),
        (100, 2, 0, [1, 0], [80, 90, 100]),
        (199, 0, 1, [1, 2], [190, 200]),
        (199, 1, 12, [1, 2, 3], [180, 190, *range(200, 320, 10)]),
        (5, 5, 1, [0], [0, 10]),
        (395, 1, 9, [3], [380, 390]),
        (1000, 3, 3, [], []),
    ],
)
def test_only_blocks_around_the_place_are_read(
    start: int, before: int, after: int, read: list[int], found: list[int]
) -> None:
    """Four blocks of ten rows, one behind the other."""
    near = Neighbourhood([Span(n, 100 * n, 100 * n + 100) for n in range(4)], start, before, after)
    looked = []
    while (place := near.next()) is not None:
        looked.append(place)
        near.add(place, stream(100 * place, 10))
    assert (looked, near.chosen()["start"].to_list()) == (read, found)


def test_blocks_that_overlap_are_all_looked_into_as_far_as_they_may_hold_a_neighbour() -> None:
    """Rows of several frames lie beside each other; every other row stands in the second block."""
    evens, odds = stream(0, 40)[::2], stream(0, 40)[1::2]
    near = Neighbourhood([Span(0, 0, 390), Span(1, 10, 400)], 201, 1, 1)
    while (place := near.next()) is not None:
        near.add(place, (evens, odds)[place])
    assert near.chosen()["start"].to_list() == [190, 200, 210]
