"""What every LogStore owes (collector/store/protocol.py), against each implementation in stores.py."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from collector.records import Origin, RecordFrame
from collector.search.ecs import to_documents
from collector.search.language import parse
from collector.store.protocol import Cursor, FieldValues, Order, SearchRequest, TailCursor, TailPage
from tests.conformance.stores import STORES, Harness
from tests.fixtures.records import SECOND, T0, Line, frame, origin

FIRST_NS, LAST_NS = -(2**63), 2**63 - 1
WEB, DB, OTHER = origin("web"), origin("db", host="host-2"), origin("web", tenant="other")

Coordinates = tuple[int, str, int]


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with STORES[request.param](tmp_path) as harness:
        yield harness


def many(seq: int, count: int, *, seed: int = 0, ties: int = 1, origins: tuple[Origin, ...] = (WEB, DB)) -> RecordFrame:
    """Records in random order of time, `ties` of them at each second on average."""
    rng = random.Random(seed * 1000 + seq)
    levels = ("", "info", "warn", "error")
    lines = [
        Line(
            f"request {seq}-{number} took {rng.randrange(1000)} ms" + (" timeout" if rng.random() < 0.1 else ""),
            at_s=rng.randrange(max(1, count // ties)),
            origin=rng.randrange(len(origins)),
            level=rng.choice(levels),
            iostream=rng.choice(("stdout", "stderr")),
        )
        for number in range(count)
    ]
    return frame(seq, origins, lines)


def coordinates(frames: list[RecordFrame], tenant: str = "default") -> list[Coordinates]:
    """(time, key, start) of all records of a tenant, in the total order."""
    return sorted(
        (ts, found.key, start)
        for one in frames
        for number, ts, start in one.rows.select("origin", "ts", "start").iter_rows()
        if (found := one.origins[number]).tenant == tenant
    )


async def fill(store: Harness, frames: list[RecordFrame], *, seal_each: int = 0) -> None:
    for number, one in enumerate(frames, start=1):
        await store.append(one)
        if seal_each and number % seal_each == 0:
            await store.seal()


async def search(store: Harness, text: str = "", tenant: str = "default", **options: Any) -> list[Coordinates]:
    request = SearchRequest(tenant, parse(text), **{"start_ns": FIRST_NS, "end_ns": LAST_NS, "limit": None, **options})
    found: list[Coordinates] = []
    async for page in store.reader.search(request):
        found.extend(
            (ts, page.origins[number].key, start)
            for number, ts, start in page.rows.select("origin", "ts", "start").iter_rows()
        )
        assert page.progress.scanned_records <= page.progress.total_records
        if found:
            assert page.cursor == Cursor(*found[-1])
    return found


@pytest.mark.parametrize("seal_each", [0, 1, 3])
async def test_results_come_in_the_total_order_both_ways(store: Harness, seal_each: int) -> None:
    frames = [many(seq, 200, ties=10) for seq in range(8)]
    await fill(store, frames, seal_each=seal_each)
    expected = coordinates(frames)
    assert await search(store, order=Order.ASC) == expected
    assert await search(store, order=Order.DESC) == expected[::-1]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("limit", [1, 7, 64])
async def test_pages_by_cursor_are_the_whole_without_repeats(store: Harness, order: Order, limit: int) -> None:
    """All records share three time stamps: the cursor must break ties by stream and start."""
    frames = [many(seq, 40, ties=100) for seq in range(3)]
    await fill(store, frames, seal_each=2)
    found: list[Coordinates] = []
    cursor: Cursor | None = None
    while page := await search(store, order=order, limit=limit, cursor=cursor):
        assert len(page) <= limit
        found += page
        cursor = Cursor.decode(Cursor(*page[-1]).encode())
    expected = coordinates(frames)
    assert found == (expected if order is Order.ASC else expected[::-1])


async def test_paging_backwards_is_not_moved_by_what_is_appended_and_sealed(store: Harness) -> None:
    frames = [many(seq, 50, ties=20) for seq in range(4)]
    await fill(store, frames)
    expected = coordinates(frames)[::-1]
    found = await search(store, limit=60)
    later = [frame(seq, (WEB,), [Line(f"later {seq}", at_s=10_000 + seq)]) for seq in range(4, 8)]
    for one in later:
        await store.append(one)
        await store.seal()
        found += await search(store, limit=40, cursor=Cursor(*found[-1]))
    assert found == expected[: len(found)]
    assert len(found) == 200


async def test_time_ranges_hold_their_start_and_not_their_end(store: Harness) -> None:
    lines = [Line(f"line {second}", at_s=second) for second in range(10)]
    await fill(store, [frame(0, (WEB,), lines)], seal_each=1)
    found = await search(store, start_ns=T0 + 3 * SECOND, end_ns=T0 + 6 * SECOND, order=Order.ASC)
    assert [(ts - T0) // SECOND for ts, _, _ in found] == [3, 4, 5]
    assert await store.reader.count("default", parse(""), T0 + 3 * SECOND, T0 + 6 * SECOND) == 3
    assert await search(store, start_ns=T0 + 6 * SECOND, end_ns=T0 + 6 * SECOND) == []


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("timeout", ["connect timeout", "TIMEOUT of the upstream"]),
        ("level:>=warn", ["connect timeout", "disk full"]),
        ("container:db", ["disk full"]),
        ("NOT container:db", ["connect timeout", "TIMEOUT of the upstream", "timeouts: 0"]),
        ("stream:stderr timeout", ["TIMEOUT of the upstream"]),
        ("timeout*", ["connect timeout", "TIMEOUT of the upstream", "timeouts: 0"]),
        ("zebra", []),
        ("host:nowhere", []),
    ],
)
async def test_a_query_finds_the_same_hot_and_sealed(store: Harness, text: str, matching: list[str]) -> None:
    lines = [
        Line("connect timeout", at_s=1, level="error"),
        Line("TIMEOUT of the upstream", at_s=2, iostream="stderr"),
        Line("timeouts: 0", at_s=3, level="info"),
        Line("disk full", at_s=4, origin=1, level="warn"),
    ]
    await store.append(frame(0, (WEB, DB), lines))
    for _ in ("hot", "sealed"):
        found: list[str] = []
        request = SearchRequest("default", parse(text), FIRST_NS, LAST_NS, None, Order.ASC)
        async for page in store.reader.search(request):
            found.extend(page.rows["message"])
        assert found == matching
        assert await store.reader.count("default", parse(text), FIRST_NS, LAST_NS) == len(matching)
        await store.seal()


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("tags:a", [1, 2]),
        ("tags:b", [1]),
        ("tags:(a AND b)", [1]),
        ("NOT tags:a", [3, 4, 5]),
        ("tags:c*", [3]),
        ("items.id:3", [1, 4]),
        ("items.id:>=5", [1, 5]),
        ("items.id:[3 TO 4]", [1, 4]),
        ("items:*", [1, 4]),
        ("user:*", [4]),
        ("tags:*", [1, 2, 3]),
        ("status:200", [5]),
        ('body.path:"/x y"', [5]),
    ],
)
async def test_any_element_of_an_array_and_any_pair_behind_a_text_has_a_say(
    store: Harness, text: str, matching: list[int]
) -> None:
    lines = [
        Line('{"n":1,"tags":["a","b"],"items":[{"id":3},{"id":7}]}', at_s=1, body="json"),
        Line('{"n":2,"tags":"a","items":[]}', at_s=2, body="json"),
        Line('{"n":3,"tags":["cc",null]}', at_s=3, body="json"),
        Line('{"n":4,"items":{"id":3.0},"user":{"name":"a"}}', at_s=4, body="json"),
        Line('n 5 done status=200 items.id=9 path="/x y"', at_s=5, body="logfmt"),
    ]
    await store.append(frame(0, (WEB,), lines))
    for _ in ("hot", "sealed"):
        found = [(ts - T0) // SECOND for ts, _, _ in await search(store, text, order=Order.ASC)]
        assert found == matching
        await store.seal()
    tags = await store.reader.field_values("default", parse(""), FIRST_NS, LAST_NS, "tags", 5)
    assert [(one.value, one.count) for one in tags.values] == [("a", 2), ("b", 1), ("cc", 1)]


async def test_records_come_back_whole(store: Harness) -> None:
    lines = [Line('{"user":"ann"}', level="error", iostream="stderr", body="json", flags=2), Line("ümlaut\n\tat x\x00")]
    one = frame(5, (WEB,), lines)
    await fill(store, [one], seal_each=1)
    request = SearchRequest("default", parse(""), FIRST_NS, LAST_NS, None, Order.ASC)
    pages = [page async for page in store.reader.search(request)]
    documents = [document for page in pages for document in to_documents(page.rows, page.origins)]
    stored = one.rows.sort("start").with_columns(seq=5, ingested=T0 + 5 * SECOND)
    assert sorted(documents, key=lambda d: d["log.offset"]) == to_documents(stored, dict(enumerate(one.origins)))


@pytest.mark.parametrize("text", ["", "timeout", "level:error OR container:db"])
async def test_histogram_adds_up_to_the_count(store: Harness, text: str) -> None:
    await fill(store, [many(seq, 300) for seq in range(4)], seal_each=3)
    start, end, interval = T0 + 17 * SECOND, T0 + 211 * SECOND, 10 * SECOND
    count = await store.reader.count("default", parse(text), start, end)
    assert count > 0
    plain = await store.reader.histogram("default", parse(text), start, end, interval, by_level=False)
    by_level = await store.reader.histogram("default", parse(text), start, end, interval, by_level=True)
    assert sum(bucket.count for bucket in plain) == sum(bucket.count for bucket in by_level) == count
    assert [bucket.start_ns for bucket in plain] == sorted({bucket.start_ns for bucket in by_level})
    assert all(bucket.start_ns % interval == 0 and bucket.count > 0 for bucket in plain)
    assert all(bucket.level is None for bucket in plain)
    assert {bucket.level for bucket in by_level} <= {"", "info", "warn", "error"}


async def test_field_values_and_names(store: Harness) -> None:
    lines = [Line(f"a{n}", origin=n % 3 == 0, level="error" if n < 4 else "", at_s=n) for n in range(10)]
    await fill(store, [frame(0, (WEB, DB), lines)], seal_each=1)

    async def values(field: str, size: int = 10, text: str = "") -> list[tuple[str, int]]:
        found = await store.reader.field_values("default", parse(text), FIRST_NS, LAST_NS, field, size)
        return [(one.value, one.count) for one in found.values]

    assert await values("container.name") == [("web", 6), ("db", 4)]
    assert await values("container.name", 1) == [("web", 6)]
    assert await values("log.level") == [("error", 4)]
    assert await values("host.name", text="level:error") == [("host-1", 2), ("host-2", 2)]
    assert await values("no.such.field") == []
    names = {one.name: one.count for one in await store.reader.field_names("default", parse(""), FIRST_NS, LAST_NS)}
    assert names["message"] == names["container.labels.app"] == 10
    assert names["log.level"] == 4
    assert "orchestrator.namespace" in names


async def test_context_shows_the_neighbours_of_one_stream(store: Harness) -> None:
    lines = [Line(f"line {n}", origin=n % 2, at_s=-n) for n in range(20)]
    await fill(store, [frame(0, (WEB, DB), lines[:10]), frame(1, (WEB, DB), lines[10:])], seal_each=1)

    async def context(key: str, start: int, before: int, after: int) -> list[str]:
        page = await store.reader.context("default", key, start, before, after)
        return list(page.rows["message"])

    assert await context(WEB.key, 250, 1, 2) == ["line 2", "line 4", "line 6", "line 8"]
    assert await context(WEB.key, 400, 0, 1) == ["line 8", "line 10"]  # across frames
    assert await context(DB.key, 0, 5, 0) == ["line 1"]
    assert await context(WEB.key, 999_999, 3, 3) == []
    assert await context("0" * 32, 0, 3, 3) == []


async def test_tenants_never_mix(store: Harness) -> None:
    mixed = [many(seq, 60, origins=(WEB, OTHER)) for seq in range(3)]
    await fill(store, mixed, seal_each=2)
    for tenant in ("default", "other"):
        expected = coordinates(mixed, tenant)
        assert await search(store, order=Order.ASC, tenant=tenant) == expected
        assert await store.reader.count(tenant, parse(""), FIRST_NS, LAST_NS) == len(expected)
        values = await store.reader.field_values(tenant, parse(""), FIRST_NS, LAST_NS, "deckwatch.tenant", 9)
        assert [one.value for one in values.values] == [tenant]
    foreign = await store.reader.context("default", OTHER.key, 0, 9, 9)
    assert foreign.rows.is_empty()
    assert await search(store, "deckwatch.tenant:other") == []
    assert await search(store, tenant="nobody") == []


async def test_progress_counts_what_could_be_skipped(tmp_path: Path) -> None:
    async with STORES["embedded"](tmp_path) as store:
        await fill(store, [many(seq, 30) for seq in range(3)], seal_each=2)
        for text in ("container:nowhere", "level:fatal", "nothing"):
            request = SearchRequest("default", parse(text), FIRST_NS, LAST_NS)
            progress = [page.progress async for page in store.reader.search(request)]
            assert (progress[-1].scanned_records, progress[-1].total_records) == (90, 90), text


async def test_an_empty_store_answers(store: Harness) -> None:
    assert await search(store) == []
    assert await store.reader.count("default", parse("x"), FIRST_NS, LAST_NS) == 0
    assert await store.reader.histogram("default", parse(""), FIRST_NS, LAST_NS, SECOND, by_level=True) == []
    assert await store.reader.field_values("default", parse(""), FIRST_NS, LAST_NS, "host.name", 5) == FieldValues([])
    assert await store.reader.field_names("default", parse(""), FIRST_NS, LAST_NS) == []
    assert await store.reader.newest_seq() == -1


async def test_searching_while_appending_and_sealing_misses_and_repeats_nothing(store: Harness) -> None:
    frames = [many(seq, 80, ties=30) for seq in range(12)]
    await fill(store, frames[:6])
    there_before = set(coordinates(frames[:6]))

    async def append() -> None:
        for one in frames[6:]:
            await store.append(one)
            await store.seal()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(append())
        searches = [group.create_task(search(store, order=order)) for order in (Order.ASC, Order.DESC) * 4]
    for task in searches:
        found = task.result()
        assert len(found) == len(set(found))
        assert there_before <= set(found)
    assert await search(store, order=Order.ASC) == coordinates(frames)


# Live tail


async def take(pages: AsyncIterator[TailPage], count: int) -> tuple[list[tuple[int, str, int]], TailCursor]:
    """`count` records or more, each as its place in the order of arrival, and where the last page ended."""
    found: list[tuple[int, str, int]] = []
    while True:
        page = await asyncio.wait_for(anext(pages), timeout=20)
        found.extend(
            (seq, page.origins[number].key, start)
            for number, seq, start in page.rows.select("origin", "seq", "start").iter_rows()
        )
        if found:
            assert (page.after.seq, page.after.key, page.after.start) >= found[-1]
        if len(found) >= count:
            return found, page.after


def arrivals(frames: list[RecordFrame]) -> list[tuple[int, str, int]]:
    return sorted(
        (one.seq, one.origins[number].key, start)
        for one in frames
        for number, start in one.rows.select("origin", "start").iter_rows()
        if one.origins[number].tenant == "default"
    )


def tail(store: Harness, text: str, after: TailCursor) -> Any:
    return aclosing(cast("Any", store.reader.tail("default", parse(text), after)))


async def test_tail_gives_what_is_stored_then_what_arrives(store: Harness) -> None:
    frames = [many(seq, 30, origins=(WEB, DB, OTHER)) for seq in range(0, 16, 2)]
    await fill(store, frames[:4], seal_each=3)
    expected = arrivals(frames)
    stored = len(arrivals(frames[:4]))
    async with tail(store, "", TailCursor.behind(-1)) as pages:
        found, _ = await take(pages, stored)
        for one in frames[4:]:
            await store.append(one)
            await store.seal()
        more, _ = await take(pages, len(expected) - stored)
    assert found + more == expected


async def test_tail_from_now_on_shows_nothing_old(store: Harness) -> None:
    await fill(store, [many(seq, 10) for seq in range(3)])
    now = await store.reader.newest_seq()
    assert now == 2
    async with tail(store, "", TailCursor.behind(now)) as pages:
        later = many(7, 10)
        await store.append(later)
        found, _ = await take(pages, 10)
    assert found == arrivals([later])


async def test_tail_resumes_at_any_record_without_loss_or_repeat(store: Harness) -> None:
    """Cut after every record in turn, inside an entry too; the id goes through its text form."""
    frames = [many(seq, 6) for seq in range(4)]
    await fill(store, frames, seal_each=2)
    expected = arrivals(frames)
    for cut in range(1, len(expected)):
        after = TailCursor.decode(TailCursor(*expected[cut - 1]).encode())
        async with tail(store, "", after) as pages:
            found, _ = await take(pages, len(expected) - cut)
        assert found == expected[cut:]


async def test_tail_resumes_where_a_page_ended(store: Harness) -> None:
    frames = [many(seq, 20) for seq in range(6)]
    expected = arrivals(frames)
    after, found = TailCursor.behind(-1), list[tuple[int, str, int]]()
    for one in frames:
        await store.append(one)
        async with tail(store, "", after) as pages:
            more, after = await take(pages, 20)
            found += more
    assert found == expected


async def test_tail_filters_and_moves_on_behind_what_does_not_match(store: Harness) -> None:
    await fill(store, [many(seq, 10) for seq in range(3)])
    async with tail(store, "needle", TailCursor.behind(-1)) as pages:
        waiting = asyncio.ensure_future(take(pages, 1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        needle = frame(9, (WEB,), [Line("hay"), Line("a needle"), Line("hay")])
        await store.append(needle)
        found, after = await waiting
    assert found == [(9, WEB.key, 9_000_100)]
    assert after.seq == 9


async def test_a_slow_tail_loses_nothing(store: Harness) -> None:
    frames = [many(seq, 25) for seq in range(40)]
    async with tail(store, "", TailCursor.behind(-1)) as pages:
        await fill(store, frames[:1])
        found, _ = await take(pages, 1)
        await fill(store, frames[1:], seal_each=5)
        more, _ = await take(pages, 1000 - len(found))
    assert found + more == arrivals(frames)
