"""Samples of a real Prometheus, as rules read them: by remote read and by range selectors."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import cramjam
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.metrics.backend.client import Backend
from collector.metrics.backend.joined import Joined
from collector.metrics.backend.read import read_query, results
from collector.metrics.backend.settings import BackendSettings
from collector.metrics.backend.source import far_source
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ErrorType, QueryError, TooManySamples
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.parser import parse_selector
from collector.metrics.promql.source import STALE, Selection, SeriesSource
from collector.metrics.remote.encode import encode_labels, write_request
from deckwatch.runtime.http_settings import Authorization, BasicAuth
from deckwatch.wire.model import Labels
from tests.conformance.test_series_source import SERIES, STEP_MS, T0
from tests.fixtures.prometheus_server import PrometheusServer, prometheus_server

ANY = 10**9
WAYS = ("remote_read", "query")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Has SERIES, written remotely."""
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus_server(folder, "", "--web.enable-remote-write-receiver") as server:
        asyncio.run(_fill(server.url))
        yield server


async def _fill(url: str) -> None:
    """In the order of time: it refuses what goes back more than its head's range."""
    points = sorted(
        (at_ms, labels, value)
        for labels, times_ms, values in SERIES
        for at_ms, value in zip(times_ms, values, strict=True)
    )
    async with aiohttp.ClientSession() as session:
        for at_ms, labels, value in points:
            body = bytes(cramjam.snappy.compress_raw(write_request([(encode_labels(labels), [at_ms], [value])])))
            headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
            async with session.post(f"{url}/api/v1/write", data=body, headers=headers) as answer:
                assert answer.status == 204, await answer.text()


@asynccontextmanager
async def far(
    url: str, way: str = "remote_read", tenant: str = "default", **options: Any
) -> AsyncIterator[SeriesSource]:
    backend = Backend(BackendSettings(url=url, selectors=way, **options))  # type: ignore[arg-type]
    try:
        yield far_source(backend, tenant, 300.0)
    finally:
        await backend.close()


async def asked(source: SeriesSource, selector: str, start_ms: int, end_ms: int, most: int = ANY) -> Selection:
    """As rules do: in a thread."""
    return await asyncio.to_thread(source.select, parse_selector(selector), start_ms, end_ms, most)


def by_series(found: Selection) -> dict[Labels, list[tuple[int, float]]]:
    bounds = found.offsets.tolist()
    return {
        labels: list(zip(found.times_ms[low:high].tolist(), found.values[low:high].tolist(), strict=True))
        for labels, low, high in zip(found.labels, bounds[:-1], bounds[1:], strict=True)
        if high > low
    }


@pytest.fixture
def memory() -> MemorySource:
    source = MemorySource()
    for labels, times_ms, values in SERIES:
        source.add(labels, times_ms, values)
    return source


@pytest.mark.parametrize(
    "selector",
    ["up", '{job="a"}', '{__name__=~".+"}', 'up{job=~"a|b"}', 'up{job!="a"}', 'up{job!~"a.*"}', 'up{job=""}', "nobody",
     'text{line="two\\nlines"}'],
)  # fmt: skip
async def test_remote_read_gives_what_is_stored(
    prometheus: PrometheusServer, memory: MemorySource, selector: str
) -> None:
    async with far(prometheus.url) as source:
        for start, end in ((0, 1000), (1, 2), (3, 5), (200, 300)):
            span = T0 + start * STEP_MS, T0 + end * STEP_MS
            found, want = await asked(source, selector, *span), await asked(memory, selector, *span)
            # Prometheus' own encoder leaves a zero out, whatever its sign is
            assert repr(by_series(found)) == repr(by_series(want)).replace("-0.0", "0.0")


async def test_markers_and_nan_keep_their_bits(prometheus: PrometheusServer) -> None:
    async with far(prometheus.url) as source:
        found = await asked(source, 'up{job="b"}', T0, T0 + 10 * STEP_MS)
        assert found.values.view(np.uint64)[2] == STALE.view(np.uint64)
        assert math.isnan(found.values[1])
        assert found.values.view(np.uint64)[1] != STALE.view(np.uint64)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [0, 2, 5, 9, 15, 19, 25, 99, 100, 101])
@pytest.mark.parametrize(
    "query", ["up", "sum(up) by (job)", "count_over_time(up[1m])", "absent(up{job='b'})", "max_over_time(up[2m:30s])"]
)
async def test_rules_see_the_same_either_way(
    prometheus: PrometheusServer, memory: MemorySource, way: str, step: int, query: str
) -> None:
    """But for subqueries by range selectors: when a series ended in the midst of its samples isn't known then."""
    if way == "query" and ":" in query:
        return
    at_ms = T0 + step * STEP_MS
    async with far(prometheus.url, way) as source:
        found = await asyncio.to_thread(evaluate, query, at_ms, at_ms, 0, source)
        want = evaluate(query, at_ms, at_ms, 0, memory)
        assert (found.labels, repr(found.values.tolist())) == (want.labels, repr(want.values.tolist()))


@pytest.mark.parametrize("way", WAYS)
async def test_too_many_samples(prometheus: PrometheusServer, way: str) -> None:
    async with far(prometheus.url, way) as source:
        with pytest.raises(TooManySamples):
            await asked(source, "up", T0, T0 + 100 * STEP_MS, 5)


class Odd:
    """A storage that answers as it is told to."""

    def __init__(self) -> None:
        self.status, self.body, self.hang_s = 200, b"", 0.0
        self.seen: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        await request.read()
        await asyncio.sleep(self.hang_s)
        return web.Response(status=self.status, body=self.body)


@asynccontextmanager
async def odd() -> AsyncIterator[tuple[Odd, str]]:
    storage = Odd()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", storage.answer)
    async with TestServer(app) as server:
        yield storage, str(server.make_url("/base"))


Break = Callable[[Odd], None]


def set_to(**changes: Any) -> Break:
    def breaking(storage: Odd) -> None:
        for name, value in changes.items():
            setattr(storage, name, value)

    return breaking


@pytest.mark.parametrize(
    ("breaking", "kind", "text"),
    [
        (set_to(status=404), ErrorType.UNAVAILABLE, "where it has no remote read, set selectors: query"),
        (set_to(status=401), ErrorType.UNAVAILABLE, "it answered 401: check authorization or basic_auth"),
        (set_to(status=503, body=b"busy"), ErrorType.UNAVAILABLE, "can't be asked: it answered 503: busy"),
        (set_to(status=400, body=b"bad"), ErrorType.EXECUTION, "it answered 400: bad"),
        (set_to(hang_s=5.0), ErrorType.TIMEOUT, "gave no answer within 0.2 s"),
        (set_to(body=b"nonsense"), ErrorType.UNAVAILABLE, "its answer can't be read"),
        (set_to(body=b"x" * 70_000), ErrorType.EXECUTION, "answers with more than 65536 bytes"),
        (
            set_to(body=bytes(cramjam.snappy.compress_raw(bytes(1 << 20)))),
            ErrorType.EXECUTION,
            "answers with more than 65536 bytes",
        ),
        (set_to(body=b"\xff\xff\xff\xff\x0f"), ErrorType.EXECUTION, "answers with more than 65536 bytes"),
    ],
    ids=["404", "401", "503", "400", "hangs", "nonsense", "huge", "huge unpacked", "says that it is huge"],
)
async def test_faults_say_what_and_where(breaking: Break, kind: ErrorType, text: str) -> None:
    async with odd() as (storage, url), far(url, rule_timeout="200ms", max_answer_bytes=1 << 16) as source:
        breaking(storage)
        with pytest.raises(QueryError, match=text) as fault:
            await asked(source, "up", 0, 1)
        assert fault.value.kind is kind
        assert url in str(fault.value)


async def test_a_storage_that_hangs_costs_one_timeout_not_one_a_rule() -> None:
    async with odd() as (storage, url), far(url, rule_timeout="100ms") as source:
        storage.hang_s = 5.0
        for _ in range(20):
            with pytest.raises(QueryError, match=r"gave no answer within 0\.1 s"):
                await asked(source, "up", 0, 1)
        assert len(storage.seen) == 1


async def test_nobody_there() -> None:
    async with far("http://127.0.0.1:9") as source:
        with pytest.raises(QueryError, match="can't be asked: Cannot connect"):
            await asked(source, "up", 0, 1)


async def test_credentials_headers_and_tenants_are_sent(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    token, basic = Authorization(tmp_path / "secret"), BasicAuth("me", tmp_path / "secret")
    async with odd() as (storage, url):
        storage.body = bytes(cramjam.snappy.compress_raw(b""))
        async with far(
            url, tenant="blue", tenant_header="X-Scope-OrgID", headers={"X-More": "1"}, authorization=token
        ) as source:
            await asked(source, "up", 0, 1)
        async with far(url, basic_auth=basic) as source:
            await asked(source, "up", 0, 1)
    first, second = storage.seen
    assert first.path == "/base/api/v1/read"
    assert first.headers["Authorization"] == "Bearer s3cret"
    assert (first.headers["X-Scope-OrgID"], first.headers["X-More"]) == ("blue", "1")
    assert second.headers["Authorization"] == "Basic bWU6czNjcmV0"
    assert "X-Scope-OrgID" not in second.headers


@pytest.mark.parametrize(
    ("header", "tenant", "served"), [("", "default", True), ("", "blue", False), ("X-Scope-OrgID", "blue", True)]
)
async def test_tenants_that_it_has(header: str, tenant: str, served: bool) -> None:
    backend = Backend(BackendSettings(url="http://h/", tenant_header=header))
    assert backend.serves(tenant) is served
    await backend.close()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"url": "prometheus:9090"}, "is no http:// or https:// address"),
        ({"url": "http://u:p@h/"}, "password"),
        ({"url": "http://h/api/v1"}, "ends with /api/v1"),
        ({"url": "http://h/", "query_timeout": "0s"}, "a timeout is 0"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        BackendSettings(**options)


def test_a_read_request_byte_for_byte() -> None:
    (matcher,) = parse_selector('{a=~"b"}')
    want = "0a 11 08 01 10 ff ff ff ff ff ff ff ff ff 01".replace("11", f"{2 + 11 + 2 + 8:02x}")
    assert read_query([matcher], 1, -1).hex(" ").startswith(want)
    assert results(b"\x0a\x02\x0a\x00") == [b"\x0a\x00"]


# Joined with what is made here -----------------------------------------------------------------------------------


def source_of(*series: tuple[str, float]) -> MemorySource:
    source = MemorySource()
    for text, value in series:
        name, _, label = text.partition(",")
        source.add([("__name__", name), ("x", label)], [T0], [value])
    return source


@pytest.mark.parametrize(
    ("selector", "want"),
    [
        ("ours", {"ours,near": 1.0}),
        ("theirs", {"theirs,far": 2.0}),
        ('{__name__=~"ours|theirs"}', {"ours,near": 1.0, "theirs,far": 2.0}),
        ('{x="far"}', {"theirs,far": 2.0}),
        ('{x="none"}', {}),
    ],
)
def test_what_is_made_here_is_taken_from_here(selector: str, want: dict[str, float]) -> None:
    away = source_of(("ours,far", 9.0), ("theirs,far", 2.0))
    near = source_of(("ours,near", 1.0), ("theirs,near", 9.0))
    joined = Joined(away, near, lambda name: name == "ours")
    found = joined.select(parse_selector(selector), T0, T0, ANY)
    got = {
        f"{dict(labels)['__name__']},{dict(labels)['x']}": points[0][1] for labels, points in by_series(found).items()
    }
    assert got == want
