"""What of Prometheus' API is neither query nor name: targets, pools, the status of the storage, too many queries."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from collector.api.prometheus import WORKERS, PrometheusApi
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.scrapes import ScrapePools
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Samples, ScrapePool, ScrapeTarget
from tests.collector.metrics.frames import T0_NS, S, frame

A, B, GONE = "job=node,instance=a:9100", "job=node,instance=b:9100", "job=gone,instance=c:80"


class Api:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(T0_NS + 60 * S)
        settings = PromqlSettings(max_waiting=2)
        self.store = SampleStore(folder, HistorySettings(keep_days=0), self.clock, CollectorRegistry())
        self.scrapes = ScrapePools(self.clock)
        self.api = PrometheusApi(self.store, settings, self.clock, scrapes=self.scrapes)
        self.url = ""

    async def get(self, path: str, **params: str) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=params) as answer,
        ):
            return answer.status, json.loads(await answer.text())


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    made = Api(tmp_path / "samples")
    app = web.Application()
    app.add_routes(made.api.routes())
    async with TestServer(app) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made
    made.api.close()
    made.store.close()


def fill(api: Api) -> None:
    scraped = {"up": 1.0, "scrape_duration_seconds": 0.25}
    api.store.take("h1", frame(0, {A: scraped, GONE: scraped}, source="scrape"))
    api.store.take("h1", frame(50, {A: scraped, B: {"up": 0.0}}, source="scrape", ended=(GONE,)))
    api.store.take("", frame(55, {"host=h1": {"deckwatch_agent_up": 1.0}, "host=h2": {"deckwatch_agent_up": 0.0}}))
    api.store.take("", frame(55, {"host=h9": {"deckwatch_agent_up": 1.0}}, tenant="blue"))


async def test_targets_are_agents_and_what_they_scrape(api: Api) -> None:
    fill(api)
    _, body = await api.get("targets")
    found = {(one["scrapePool"], one["labels"]["instance"]): one for one in body["data"]["activeTargets"]}
    assert {key: (one["health"], one["lastScrapeDuration"]) for key, one in found.items()} == {
        ("deckwatch-agent", "h1"): ("up", 0.0),
        ("deckwatch-agent", "h2"): ("down", 0.0),
        ("node", "a:9100"): ("up", 0.25),
        ("node", "b:9100"): ("down", 0.0),
    }
    assert found["node", "a:9100"]["lastScrape"] == "2023-11-14T22:14:10Z"
    assert found["node", "a:9100"]["labels"] == {"host": "h1", "instance": "a:9100", "job": "node"}
    assert found["node", "b:9100"]["lastError"] == "the agent's scrape failed"
    assert body["data"]["droppedTargets"] == []


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"state": "active"}, 4),
        ({"state": "dropped"}, 0),
        ({"scrapePool": "node"}, 2),
        ({"tenant": "blue"}, 1),
        ({"tenant": "red"}, 0),
    ],
)
async def test_a_choice_of_targets(api: Api, params: dict[str, str], count: int) -> None:
    fill(api)
    assert len((await api.get("targets", **params))[1]["data"]["activeTargets"]) == count


async def test_targets_that_were_not_looked_at_for_long_are_gone(api: Api) -> None:
    fill(api)
    assert (await api.get("scrape_pools"))[1]["data"] == {"scrapePools": ["deckwatch-agent", "node"]}
    api.clock.jump_wall(400)
    assert (await api.get("scrape_pools"))[1]["data"] == {"scrapePools": []}


def told(api: Api, host: str = "h1", part: int = 0, parts: int = 1, tenant: str = "default") -> None:
    """What an agent says of its job `nodes`, which gives its targets the label job=node."""
    found = (("__address__", "a:9100"), ("__meta_x", "y"))
    labels = {"a": (("instance", "a:9100"), ("job", "node")), "b": (("instance", "b:9100"), ("job", "node"))}
    active = (
        ScrapeTarget("http://a:9100/metrics", found, labels["a"], 15, 10),
        ScrapeTarget("http://b:9100/metrics", (("__address__", "b:9100"),), labels["b"], 60, 7.5, "it answered 500"),
        ScrapeTarget("http://new:1/metrics", (), (("instance", "new:1"), ("job", "node")), 15, 10),
    )
    dropped = ((("__address__", "d:1"),), (("__address__", "e:1"),))
    pool = ScrapePool("nodes", part, parts, active, dropped, 7)
    api.scrapes.take_samples(0, host, Samples(f"scrape-pool/nodes/{part}", T0_NS, tenant, (), (), pool=pool))


async def test_targets_as_their_agent_tells_of_them(api: Api) -> None:
    fill(api)
    told(api)
    data = (await api.get("targets", scrapePool="nodes"))[1]["data"]
    assert [(one["scrapeUrl"], one["health"], one["lastError"]) for one in data["activeTargets"]] == [
        ("http://a:9100/metrics", "up", ""),
        ("http://b:9100/metrics", "down", "it answered 500"),
        ("http://new:1/metrics", "unknown", ""),
    ]
    a, b, new = data["activeTargets"]
    assert a["discoveredLabels"] == {"__address__": "a:9100", "__meta_x": "y"}
    assert a["labels"] == {"host": "h1", "instance": "a:9100", "job": "node"}
    assert (b["scrapeInterval"], b["scrapeTimeout"], b["globalUrl"]) == ("60s", "7.5s", "http://b:9100/metrics")
    assert (new["lastScrape"], new["lastScrapeDuration"]) == ("0001-01-01T00:00:00Z", 0.0)
    assert data["droppedTargets"] == [
        {"discoveredLabels": {"__address__": "d:1"}, "scrapePool": "nodes"},
        {"discoveredLabels": {"__address__": "e:1"}, "scrapePool": "nodes"},
    ]
    assert data["droppedTargetCounts"] == {"nodes": 7}
    assert (await api.get("scrape_pools"))[1]["data"] == {"scrapePools": ["deckwatch-agent", "nodes"]}


@pytest.mark.parametrize(
    ("params", "active", "dropped", "counts"),
    [
        ({}, 5, 2, {"nodes": 7}),
        ({"state": "any"}, 5, 2, {"nodes": 7}),
        ({"state": "active"}, 5, 0, {}),
        ({"state": "dropped"}, 0, 2, {"nodes": 7}),
        ({"state": "nonsense"}, 0, 0, {}),
        ({"scrapePool": "other"}, 0, 0, {}),
        ({"tenant": "blue"}, 1, 0, {}),
    ],
)
async def test_a_choice_of_states(
    api: Api, params: dict[str, str], active: int, dropped: int, counts: dict[str, int]
) -> None:
    fill(api)
    told(api)
    data = (await api.get("targets", **params))[1]["data"]
    assert (len(data["activeTargets"]), len(data["droppedTargets"]), data["droppedTargetCounts"]) == (
        active,
        dropped,
        counts,
    )


async def test_what_no_agent_tells_any_more_is_forgotten(api: Api) -> None:
    fill(api)
    told(api, part=0, parts=2)
    told(api, part=1, parts=2)
    told(api, host="h2")
    assert (await api.get("targets", state="dropped"))[1]["data"]["droppedTargetCounts"] == {"nodes": 14}
    assert len(api.scrapes.of("default")) == 3
    told(api, part=0, parts=1)
    assert len(api.scrapes.of("default")) == 2
    api.clock.jump_wall(901)
    assert api.scrapes.of("default") == []


async def test_the_state_of_the_storage(api: Api) -> None:
    fill(api)
    _, body = await api.get("status/tsdb")
    assert body["data"]["headStats"]["numSeries"] == 7
    assert body["data"]["seriesCountByMetricName"] == [
        {"name": "up", "value": 3},
        {"name": "deckwatch_agent_up", "value": 2},
        {"name": "scrape_duration_seconds", "value": 2},
    ]
    labels = {one["name"]: one["value"] for one in body["data"]["labelValueCountByLabelName"]}
    assert labels == {"__name__": 3, "host": 2, "instance": 3, "job": 2}
    assert len((await api.get("status/tsdb", limit="1"))[1]["data"]["seriesCountByMetricName"]) == 1
    assert (await api.get("status/tsdb", tenant="red"))[1]["data"]["seriesCountByMetricName"] == []
    assert (await api.get("status/config"))[1]["data"] == {"yaml": ""}


async def test_what_a_query_cost(api: Api) -> None:
    fill(api)
    _, body = await api.get("query", query="up + up", stats="all")
    assert body["data"]["stats"]["samples"] == {"totalQueryableSamples": 10, "peakSamples": 10}
    timings = body["data"]["stats"]["timings"]
    assert timings["execTotalTime"] >= timings["evalTotalTime"] > 0
    assert "stats" not in (await api.get("query", query="up"))[1]["data"]


DEEP = "(" * 4 + "up" + (" + up" * 79 + ")") * 4
"""Each operator is a level of JSON."""


async def test_an_expression_as_a_tree(api: Api) -> None:
    _, body = await api.get("parse_query", query="1")
    assert body == {"status": "success", "data": {"type": "numberLiteral", "val": "1"}}
    for query, word in (("sum(", "parse error"), (" + ".join(["1"] * 300), "too many to be shown"), (DEEP, "too deep")):
        status, body = await api.get("parse_query", query=query)
        assert (status, body["errorType"], word in body["error"]) == (400, "bad_data", True)


async def test_more_queries_than_may_wait_are_told_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api)
    with monkeypatch.context() as slowed:
        slowed.setattr(api.store, "source", lambda tenant: SlowSource())
        asked = [asyncio.create_task(api.get("query", query="up")) for _ in range(WORKERS + 4)]
        statuses = sorted([(await one)[0] for one in asked])
    assert statuses == [200] * (WORKERS + 2) + [503] * 2
    assert (await api.get("query", query="up"))[0] == 200


class SlowSource:
    def select(self, *_: object) -> Any:
        time.sleep(0.5)
        return MemorySource().select((), 0, 1, 1)
