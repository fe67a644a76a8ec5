"""Rules and queries where samples lie elsewhere, and queries that see what is newer than the history."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from alerting.settings import AlertingSettings
from collector.metrics.backend.settings import BackendSettings
from collector.settings import MetricsSettings
from tests.collector.api.test_remote_write import HEADERS, one, value
from tests.collector.test_app import Running
from tests.fixtures.alerting_collector import alerting_collector
from tests.fixtures.prometheus_server import prometheus_server
from tests.fixtures.push import Stream

RULES = """
log_metrics:
  - {name: errors_total, query: "level:error"}
groups:
  - name: g
    interval: 1s
    rules:
      - {record: "theirs:twice", expr: "theirs * 2"}
      - {alert: Both, expr: "theirs > 1 and on() (errors_total >= 0)"}
      - {alert: OnAlerts, expr: 'count(ALERTS{alertname="Both"}) > 0'}
"""


@pytest.mark.parametrize("way", ["remote_read", "query"])
async def test_queries_and_rules_over_another_storage(tmp_path: Path, way: str) -> None:
    """`theirs` is in Prometheus alone; log metrics and ALERTS are ours alone; rules join them."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "rules.yml").write_text(RULES)
    with prometheus_server(tmp_path / "theirs", "", "--web.enable-remote-write-receiver") as theirs:
        backend = BackendSettings(url=theirs.url, selectors=way)  # type: ignore[arg-type]
        metrics = MetricsSettings(backend=backend)
        rules = AlertingSettings(rules=(str(tmp_path / "rules.yml"),), builtin_rules=False)
        async with alerting_collector(tmp_path / "ours", rules, metrics) as ours:
            body = one("theirs", time.time(), 7, job="j")
            async with ours.session.post(f"{theirs.url}/api/v1/write", data=body, headers=HEADERS) as answer:
                assert answer.status == 204
            assert await value(ours, "theirs") == ["7"]
            _, text = await ours.get("/api/v1/label/job/values")
            assert json.loads(text)["data"] == ["j"]
            _, text = await ours.get("/api/v1/series", **{"match[]": "theirs"})
            assert json.loads(text)["data"] == [{"__name__": "theirs", "job": "j"}]
            status, text = await ours.get("/api/v1/query", query="sum(")
            assert (status, json.loads(text)["errorType"]) == (400, "bad_data")
            assert await value(ours, "theirs", tenant="blue") == []
            async with asyncio.timeout(30):
                while {alert["labels"]["alertname"] for alert in await alerts(ours)} != {"Both", "OnAlerts"}:
                    await asyncio.sleep(0.2)
            found = [alert for alert in await alerts(ours) if alert["labels"]["alertname"] == "Both"]
            assert [alert["labels"]["job"] for alert in found] == ["j"]


async def alerts(ours: Running) -> list[dict[str, Any]]:
    _, text = await ours.get("/api/v1/alerts")
    found: list[dict[str, Any]] = json.loads(text)["data"]["alerts"]
    return found


async def test_an_instant_query_sees_lines_that_came_just_now(tmp_path: Path) -> None:
    """The history gets log metrics every 15 s; who asks about now sees them as rules do. Not who asks about then."""
    (tmp_path / "rules.yml").write_text('log_metrics:\n  - {name: errors_total, query: "level:error"}\n')
    rules = AlertingSettings(rules=(str(tmp_path / "rules.yml"),), builtin_rules=False)
    async with alerting_collector(tmp_path / "data", rules) as ours:
        async with asyncio.timeout(10):
            while await value(ours, "errors_total") != ["0"]:
                await asyncio.sleep(0.05)
        stream = Stream("web")
        await ours.push.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z ERROR disk is full\n" * 3, eof=True)]))
        async with asyncio.timeout(10):
            while await value(ours, "errors_total") != ["3"]:
                await asyncio.sleep(0.05)
        assert await value(ours, "increase(errors_total[1m]) > 2") != []
        assert await value(ours, "errors_total", time=str(time.time() - 3600)) == []
        assert await value(ours, "errors_total", tenant="blue") == []
        assert await value(ours, 'deckwatch_history_series{job="deckwatch-collector"}') != []
