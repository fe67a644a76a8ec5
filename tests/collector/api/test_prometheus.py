"""Prometheus' HTTP API: the same requests to us and to a real Prometheus that holds the same samples."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from collector.api.prometheus import PrometheusApi
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from tests.collector.metrics.frames import T0_NS, S, frame
from tests.fixtures.prometheus_server import PrometheusServer, backfill, prometheus_server

T0_S = T0_NS // S
END_S = T0_S + 1800

SAMPLES: dict[str, Callable[[int], float]] = {
    'requests_total{host="h1",code="200",name="web"}': lambda n: 7.0 * n,
    'requests_total{host="h1",code="500",name="web"}': lambda n: float(n // 3),
    'requests_total{host="h1",code="200",name="db"}': lambda n: 2.5 * n,
    'memory_bytes{host="h1",name="web"}': lambda n: 4096.0 * (1000 + n % 17),
    'ratio{host="h1",name="web"}': lambda n: math.sin(n) / 3,
    'tiny{host="h1"}': lambda n: 1e-9 * n,
    'huge{host="h1"}': lambda n: 1e22 + 1e20 * n,
    'odd{host="h1"}': lambda n: [math.nan, math.inf, -math.inf, -0.0][n % 4],
    'lat_bucket{host="h1",le="0.1"}': lambda n: 1.0 * n,
    'lat_bucket{host="h1",le="1"}': lambda n: 3.0 * n,
    'lat_bucket{host="h1",le="+Inf"}': lambda n: 4.0 * n,
}
STEPS = 121

QUERIES = [
    "requests_total",
    "sum by (code) (rate(requests_total[5m]))",
    "requests_total offset 1m > 100",
    "memory_bytes / 1024",
    "ratio",
    "tiny",
    "huge",
    "odd",
    "histogram_quantile(0.9, rate(lat_bucket[10m]))",
    "topk(2, requests_total)",
    "requests_total[1m]",
    "1 + 2.5",
    '"text"',
    "scalar(memory_bytes)",
    "absent(nobody)",
    'count({host="h1",__name__!="odd"})',
    "rate(memory_bytes[5m])",  # an info: no counter by its name
    "time()",
    "-odd",
]
BAD_REQUESTS = [
    ("query", {}),
    ("query", {"query": "sum("}),
    ("query", {"query": "up{"}),
    ("query", {"query": "1", "time": "yesterday"}),
    ("query", {"query": "1", "timeout": "x"}),
    ("query_range", {"query": "1", "start": "0", "end": "1"}),
    ("query_range", {"query": "1", "start": "10", "end": "1", "step": "1"}),
    ("query_range", {"query": "1", "start": "0", "end": "10", "step": "0"}),
    ("query_range", {"query": "1", "start": "0", "end": "100000", "step": "1"}),
    ("query_range", {"query": "requests_total[1m]", "start": "0", "end": "10", "step": "1"}),
    ("series", {}),
    ("series", {"match[]": "sum(x)"}),
    ("query", {"query": "requests_total * on (host) memory_bytes", "time": str(T0_S + 60)}),
]


def openmetrics() -> str:
    lines = []
    known = set()
    for series, value in SAMPLES.items():
        name = series.partition("{")[0]
        if name not in known:
            known.add(name)
            lines.append(f"# TYPE {name} unknown")
        for n in range(STEPS):
            text = repr(value(n)).replace("inf", "+Inf").replace("-+", "-").replace("nan", "NaN")
            lines.append(f"{series} {text} {T0_S + 15 * n}")
    return "\n".join([*lines, "# EOF", ""])


def fill(store: SampleStore) -> None:
    for n in range(STEPS):
        by_target: dict[str, dict[str, float | None]] = {}
        for series, value in SAMPLES.items():
            name, _, inner = series.rstrip("}").partition("{")
            labels = [pair for pair in inner.replace('"', "").split(",") if not pair.startswith("host=")]
            if not math.isnan(value(n)):
                by_target.setdefault(",".join(labels), {})[name] = value(n)
        store.take("h1", frame(15 * n, by_target))
        if n == 60:
            store.commit(1)
            assert store.flush().result()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(openmetrics(), folder)
    with prometheus_server(folder) as server:
        yield server


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[str]:
    store = SampleStore(tmp_path / "samples", HistorySettings(keep_days=0), ManualClock(T0_NS), CollectorRegistry())
    fill(store)
    api = PrometheusApi(store, PromqlSettings(), ManualClock(END_S * S))
    app = web.Application()
    app.add_routes(api.routes())
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")
    api.close()
    store.close()


class Both:
    def __init__(self, session: aiohttp.ClientSession, ours: str, theirs: str) -> None:
        self._session = session
        self._urls = ours, theirs

    async def ask(self, path: str, parameters: dict[str, str], method: str = "GET") -> list[tuple[int, Any]]:
        answers = []
        for url in self._urls:
            where = f"{url}/api/v1/{path}"
            asked = {"params": parameters} if method == "GET" else {"data": urlencode(parameters)}
            headers = {} if method == "GET" else {"Content-Type": "application/x-www-form-urlencoded"}
            async with self._session.request(method, where, headers=headers, **asked) as answer:
                answers.append((answer.status, json.loads(await answer.text())))
        return answers


@pytest.fixture
async def both(ours: str, theirs: PrometheusServer) -> AsyncIterator[Both]:
    async with aiohttp.ClientSession() as session:
        yield Both(session, ours, theirs.url)


def same(mine: Any, other: Any) -> bool:
    """Equal, where texts that are floats may differ in the last digits: sums are made in another order."""
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(same(mine[key], other[key]) for key in mine)
    if isinstance(mine, list) and isinstance(other, list):
        return len(mine) == len(other) and all(map(same, mine, other))
    if mine == other:
        return True
    try:
        return math.isclose(float(mine), float(other), rel_tol=1e-12)
    except (TypeError, ValueError):
        return False


def ordered(body: Any) -> Any:
    """Without the notes, which Debian's Prometheus is too old for."""
    body = {name: value for name, value in body.items() if name not in ("infos", "warnings")}
    result = body.get("data", {}).get("result") if isinstance(body.get("data"), dict) else None
    if result and isinstance(result[0], dict):
        result.sort(key=lambda each: sorted(each["metric"].items()))
    return body


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_instant_queries(both: Both, method: str) -> None:
    """NaN samples of ours are absent, so `odd` lacks every fourth value; asked where it is +Inf. No time is one
    of a sample: since version 3 a window is open at its left end, and Debian's is older."""
    for query in QUERIES:
        mine, other = await both.ask("query", {"query": query, "time": f"{T0_S + 15 * 41 + 7}"}, method)
        assert mine[0] == other[0] == 200, (query, mine, other)
        assert other[1]["data"]["result"]
        assert same(ordered(mine[1]), ordered(other[1])), (query, mine[1], other[1])


async def test_range_queries(both: Both) -> None:
    window = {"start": f"{T0_S + 0.5}", "end": f"{END_S}", "step": "30"}
    for query in QUERIES:
        if query in ("requests_total[1m]", '"text"') or "odd" in query:
            continue
        mine, other = await both.ask("query_range", {"query": query, **window})
        assert mine[0] == other[0] == 200, (query, mine, other)
        assert same(ordered(mine[1]), ordered(other[1])), (query, mine[1], other[1])


@pytest.mark.parametrize(("path", "parameters"), BAD_REQUESTS)
async def test_refusals(both: Both, path: str, parameters: dict[str, str]) -> None:
    """Status and error type alike; the words are Prometheus' where it isn't a matter of the parser."""
    mine, other = await both.ask(path, parameters)
    assert mine[0] == other[0]
    assert mine[1]["status"] == other[1]["status"] == "error"
    assert mine[1]["errorType"] == other[1]["errorType"]
    if "parse error" not in other[1]["error"]:
        assert mine[1]["error"].split(":")[0] == other[1]["error"].split(":")[0]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("labels", {}),
        ("labels", {"match[]": "memory_bytes"}),
        ("label/__name__/values", {}),
        ("label/code/values", {"match[]": 'requests_total{name="web"}'}),
        ("label/nobody/values", {}),
        ("series", {"match[]": "memory_bytes"}),
        ("query_exemplars", {"query": "up", "start": "1", "end": "2"}),
        ("format_query", {"query": "sum  by(a)(x)"}),
    ],
)
async def test_names_and_series(both: Both, path: str, parameters: dict[str, str]) -> None:
    window = {} if path.endswith(("exemplars", "_query")) else {"start": str(T0_S), "end": str(END_S)}
    mine, other = await both.ask(path, parameters | window)
    assert mine[0] == other[0] == 200
    assert mine[1]["data"] == other[1]["data"]
    assert mine[1].get("warnings") == other[1].get("warnings")


async def test_what_grafana_asks_first(both: Both) -> None:
    mine, other = await both.ask("query", {"query": "1+1", "time": "4"})
    assert mine == other == (200, {"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}})
    mine, other = await both.ask("status/buildinfo", {})
    assert mine[1]["data"].keys() == other[1]["data"].keys()
    mine, _ = await both.ask("metadata", {"metric": "container_cpu_usage_seconds_total"})
    assert mine[1]["data"]["container_cpu_usage_seconds_total"][0]["type"] == "counter"


async def test_another_tenant_sees_nothing(ours: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("query?query=requests_total", "series?match[]=requests_total", "labels", "label/name/values"):
            joint = "&" if "?" in path else "?"
            async with session.get(f"{ours}/api/v1/{path}{joint}tenant=other") as answer:
                data = (await answer.json())["data"]
                assert (data["result"] if isinstance(data, dict) else data) == []


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {"query": "requests_total", "time": str(END_S)}),
        ("query_range", {"query": "requests_total", "start": str(T0_S), "end": str(END_S), "step": "60"}),
        ("series", {"match[]": "requests_total"}),
        ("labels", {}),
        ("label/__name__/values", {}),
    ],
)
async def test_limits(ours: str, path: str, parameters: dict[str, str]) -> None:
    """Newer than the Prometheus that Debian has."""
    async with aiohttp.ClientSession() as session:
        for limit, cut in (("2", True), ("100", False), ("0", False)):
            async with session.get(f"{ours}/api/v1/{path}", params=parameters | {"limit": limit}) as answer:
                body = await answer.json()
            data = body["data"]["result"] if isinstance(body["data"], dict) else body["data"]
            assert (len(data) == 2) is cut
            assert ("results truncated due to limit" in body.get("warnings", [])) is cut
        async with session.get(f"{ours}/api/v1/{path}", params=parameters | {"limit": "-1"}) as answer:
            assert answer.status == 400
