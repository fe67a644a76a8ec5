"""`/federate`: its text as a table, and a real Prometheus that scrapes it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collector.api.federate import Newest, lines, newest
from collector.metrics.promql.source import STALE, Selection
from deckwatch.wire.model import Labels
from tests.collector.api.test_remote_write import one, write
from tests.collector.test_app import Running, running
from tests.fixtures.prometheus_server import prometheus_server
from tests.fixtures.promtool import check_metrics


def named(name: str, **labels: str) -> Labels:
    return tuple(sorted((("__name__", name), *labels.items())))


@pytest.mark.parametrize(
    ("series", "text"),
    [
        ((), ""),
        (((named("up"), 1500, 1.0),), '# TYPE up untyped\nup{instance=""} 1 1500\n'),
        (
            ((named("b", instance="x"), 2, 0.5), (named("a"), 1, math.nan), (named("b", instance="a"), 3, -math.inf)),
            '# TYPE a untyped\na{instance=""} NaN 1\n# TYPE b untyped\nb{instance="a"} -Inf 3\nb{instance="x"} 0.5 2\n',
        ),
        (((named("a", job='"\n\\'), 1, 1.0),), '# TYPE a untyped\na{instance="",job="\\"\\n\\\\"} 1 1\n'),
        (
            (((("__name__", "http.requests"), ("http.status", "200"), ("1st", "x")), 1, 1.0),),
            '# TYPE http_requests untyped\nhttp_requests{_1st="x",http_status="200",instance=""} 1 1\n',
        ),
    ],
)
def test_text(series: tuple[Newest, ...], text: str) -> None:
    assert "".join(lines(series)) == text


def test_the_newest_sample_of_what_has_not_ended() -> None:
    labels = (named("goes on"), named("ended"), named("empty"), named("came back"))
    values = np.array([1.0, 2.0, 5.0, STALE, STALE, 7.0])
    selection = Selection(labels, np.array([0, 2, 4, 4, 6]), np.array([10, 20, 10, 20, 10, 20]), values)
    assert list(newest(selection)) == [(labels[0], 20, 2.0), (labels[3], 20, 7.0)]


async def text_of(ours: Running, *selectors: str, **params: str) -> str:
    given = [*(("match[]", selector) for selector in selectors), *params.items()]
    async with ours.session.get(f"{ours.url}/federate", params=given) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        return await answer.text()


async def test_what_matches_of_the_tenant_once(tmp_path: Path) -> None:
    now_s = round(time.time(), 3)
    stamp = round(now_s * 1000)
    async with running(tmp_path) as ours:
        for body in (one("m", now_s - 10, 1, job="a"), one("m", now_s, 2, job="a"), one("m", now_s, 3, job="b")):
            assert (await write(ours, body))[0] == 204
        assert (await write(ours, one("old", now_s - 301, 1)))[0] == 204
        assert (await write(ours, one("m", now_s, 9), X_Scope_OrgID="blue"))[0] == 204
        both = await text_of(ours, "m", '{job="a"}', "old")
        assert both.splitlines()[1:] == [
            f'm{{instance="",job="a"}} 2 {stamp}',
            f'm{{instance="",job="b"}} 3 {stamp}',
        ]
        assert check_metrics(both.encode()) == ["m no help text"]
        assert await text_of(ours, "m", tenant="blue") == f'# TYPE m untyped\nm{{instance=""}} 9 {stamp}\n'
        assert await text_of(ours) == await text_of(ours, "nobody") == await text_of(ours, "m", tenant="red") == ""
        async with ours.session.get(f"{ours.url}/federate", params={"match[]": "sum(m)"}) as answer:
            assert (answer.status, "parse error" in await answer.text()) == (400, True)


SCRAPER = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{__name__=~".+"}}']}}
    static_configs: [{{targets: ["{target}"]}}]
"""


async def test_a_real_prometheus_scrapes_it_and_answers_alike(tmp_path: Path) -> None:
    now_s = round(time.time(), 3)
    (tmp_path / "theirs").mkdir()
    async with running(tmp_path / "ours") as ours:
        for place in range(50):
            assert (await write(ours, one("m", now_s, place / 7, job="a", place=str(place))))[0] == 204
        config = SCRAPER.format(target=ours.url.removeprefix("http://"))
        with prometheus_server(tmp_path / "theirs", config) as theirs:
            found = await settled(ours, theirs.url, 50)
            _, text = await ours.get("/api/v1/query", query="m")
            mine = {each["metric"]["place"]: each["value"][1] for each in json.loads(text)["data"]["result"]}
            assert {each["metric"]["place"]: each["value"][1] for each in found} == mine
            assert {json.dumps(each["metric"]) for each in found} == {
                json.dumps({"__name__": "m", "job": "a", "place": str(place)}) for place in range(50)
            }
            assert (await write(ours, one("m", now_s + 1, float(STALE), job="a", place="0")))[0] == 204
            left = await text_of(ours, "m")
            assert (left.count("\nm{"), 'place="0"' in left) == (49, False)
            (target,) = (await asked(ours, theirs.url, "targets"))["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")


async def settled(ours: Running, theirs: str, series: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while True:
            found: list[dict[str, Any]] = (await asked(ours, theirs, "query", query="m"))["result"]
            if len(found) == series:
                return found
            await asyncio.sleep(0.2)


async def asked(ours: Running, theirs: str, path: str, **params: str) -> Any:
    async with ours.session.get(f"{theirs}/api/v1/{path}", params=params) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["data"]
