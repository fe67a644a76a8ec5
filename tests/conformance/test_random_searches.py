"""Any query over any records: the embedded store finds what the plain model in memory finds, in the same order, whole
or by pages, and all its ways of counting agree. Its limits are so small that every search takes several passes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.records import RecordFrame
from collector.search.language import parse
from collector.search.query import And, Not, Or, Query
from collector.store.embedded import scan
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from collector.store.protocol import Cursor, LogStore, Order, SearchRequest
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.memory_store import MemoryStore
from tests.fixtures.records import SECOND, T0, Line, frame, origin

FIRST_NS, LAST_NS = -(2**63), 2**63 - 1
NOW = T0 + 500 * SECOND
ORIGINS = (origin("web"), origin("db", host="host-2"), origin("cache", image="redis:7"))

PLAIN = ("connection refused by 10.0.0.12", "request timeout", "GET /api/v1/users/42 200", "数据库错误", "", "grüße")
JSON = (
    '{"status":500,"took":"13ms","client":{"ip":"10.1.2.3"},"tags":["a","b"]}',
    '{"status":200.0,"took":"1m30s","at":"2023-11-14T22:14:00Z","version":"1.10.0"}',
    '{"status":"nan","msg":"request timeout"}',
)
LOGFMT = ("status=503 took=2s msg=timeout", 'status=404 took="900 ms" version=1.9.9')
LINES = st.builds(
    Line,
    message=st.sampled_from(PLAIN),
    at_s=st.one_of(st.integers(0, 8), st.sampled_from((-1e9, 4e9))),  # many ties, and wild clocks
    origin=st.integers(0, len(ORIGINS) - 1),
    level=st.sampled_from(("", "info", "warn", "error")),
    iostream=st.sampled_from(("stdout", "stderr")),
)
RECORDS = st.one_of(
    LINES,
    st.builds(Line, message=st.sampled_from(JSON), at_s=st.integers(0, 8), body=st.just("json")),
    st.builds(Line, message=st.sampled_from(LOGFMT), at_s=st.integers(0, 8), origin=st.just(1), body=st.just("logfmt")),
)
FRAMES = st.lists(st.lists(RECORDS, min_size=1, max_size=12), min_size=1, max_size=6)
LEAVES = (
    "*",
    "timeout",
    '"connection refused"',
    "time*",
    "/us.rs/",
    "level:>=warn",
    "NOT level:*",
    "container:web",
    "host:host-?",
    "stream:stderr",
    "status:500",
    "status:>=500",
    "took:>1s",
    "took:*",
    "client.ip:10.0.0.0/8",
    "version:>=1.10.0",
    "at:>now-10m",
    "tags:b",
    "nope:1",
    "log.offset:<1000300",
    "@timestamp:>2023-11-14T22:13:23Z",
)
QUERIES = st.recursive(
    st.sampled_from(LEAVES).map(lambda text: parse(text, NOW)),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=5,
)
RANGES = st.sampled_from([(FIRST_NS, LAST_NS), (T0, T0 + 9 * SECOND), (T0 + 2 * SECOND, T0 + 6 * SECOND)])
Found = list[tuple[int, str, int, str]]


async def search(reader: LogStore, request: SearchRequest) -> Found:
    found: Found = []
    async for page in reader.search(request):
        found.extend(
            (ts, page.origins[number].key, start, message)
            for number, ts, start, message in page.rows.select("origin", "ts", "start", "message").iter_rows()
        )
        assert page.progress.scanned_records <= page.progress.total_records
    return found


async def by_pages(reader: LogStore, request: SearchRequest, limit: int) -> Found:
    found: Found = []
    cursor: Cursor | None = None
    while page := await search(
        reader,
        SearchRequest(request.tenant, request.query, request.start_ns, request.end_ns, limit, request.order, cursor),
    ):
        assert len(page) <= limit
        found += page
        cursor = Cursor(*page[-1][:3])
    return found


async def compare(frames: list[RecordFrame], seal_each: int, query: Query, span: tuple[int, int], limit: int) -> None:
    memory = MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder), EmbeddedStoreSettings(compaction_bytes=1000), SystemClock())
        reader = EmbeddedSearch(store, lambda: 0, most_waiting_bytes=400)
        for number, one in enumerate(frames, start=1):
            memory.consume(one)
            store.append(one)
            if seal_each and number % seal_each == 0:
                store.finish_seal(store.begin_seal(one.seq, b"", {}, (), (), ()))
                store.compact_all()
        for order in Order:
            request = SearchRequest("default", query, *span, None, order)
            expected = await search(memory, request)
            assert await search(reader, request) == expected
            assert await by_pages(reader, request, limit) == expected
        await counts_agree(reader, query, span, len(expected))
        reader.close()
        store.close()


async def counts_agree(reader: LogStore, query: Query, span: tuple[int, int], expected: int) -> None:
    assert await reader.count("default", query, *span) == expected
    buckets = await reader.histogram("default", query, *span, 3 * SECOND, by_level=True)
    assert sum(bucket.count for bucket in buckets) == expected
    hosts = await reader.field_values("default", query, *span, "host.name", 9)
    assert sum(value.count for value in hosts.values) == expected


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_FIRST_STEP", 2)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the same for every example
)
@given(FRAMES, st.integers(0, 3), QUERIES, RANGES, st.integers(1, 5))
def test_any_search_is_that_of_the_model(
    lines: list[list[Line]], seal_each: int, query: Query, span: tuple[int, int], limit: int
) -> None:
    frames = [frame(seq, ORIGINS, some) for seq, some in enumerate(lines)]
    asyncio.run(compare(frames, seal_each, query, span, limit))
