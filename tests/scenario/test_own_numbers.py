"""Deckwatch's own numbers: they have a past, over restarts too; a real Prometheus scrapes both daemons."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.daemons import Pair
from tests.fixtures.prometheus_server import prometheus_server
from tests.fixtures.promtool import check_metrics, unexpected

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: agent, static_configs: [{{targets: ["{agent}"]}}]}}
  - {{job_name: collector, static_configs: [{{targets: ["{collector}"]}}]}}
"""


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    (tmp_path / "deckwatch.yml").write_text("agent: {sample: {interval_s: 1}}\n")
    return Pair(tmp_path, agent=("--config", str(tmp_path / "deckwatch.yml")))


def answer(pair: Pair, query: str) -> list[dict[str, Any]]:
    body = json.loads(pair.collector.get("/api/v1/query", query=query))
    assert body["status"] == "success"
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


def wait_for(pair: Pair, query: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while not (found := answer(pair, query)):
        assert time.monotonic() < deadline, (query, pair.collector.printed())
        time.sleep(0.2)
    return found


def test_own_metrics_have_a_past(pair: Pair) -> None:
    pair.start()
    try:
        (own,) = wait_for(pair, 'deckwatch_history_series{job="deckwatch-collector"}')
        assert own["metric"]["host"]
        assert len(answer(pair, 'process_resident_memory_bytes{job="deckwatch-collector"}')) == 1
        (up,) = wait_for(pair, "deckwatch_agent_up")
        (age,) = answer(pair, "deckwatch_agent_sample_age_seconds")
        assert (up["value"][1], up["metric"]["host"]) == ("1", age["metric"]["host"])
        kept = "deckwatch_history_series[5m] offset 1s"  # a question about now would see what is not kept yet
        before = wait_for(pair, kept)[0]["values"]
        pair.collector.stop()
        pair.collector.start()
        assert answer(pair, kept)[0]["values"][: len(before)] == before
    finally:
        pair.stop()


def test_a_real_prometheus_scrapes_both_daemons(pair: Pair, tmp_path: Path) -> None:
    pair.start()
    try:
        where = {"agent": pair.agent.url, "collector": pair.collector.url}
        config = CONFIG.format(**{name: url.removeprefix("http://").rstrip("/") for name, url in where.items()})
        (tmp_path / "theirs").mkdir()
        with prometheus_server(tmp_path / "theirs", config) as theirs:
            deadline = time.monotonic() + 60
            found = targets(theirs.url)
            while [target["health"] for target in found] != ["up", "up"]:
                assert time.monotonic() < deadline, found
                time.sleep(0.3)
                found = targets(theirs.url)
            assert [target["lastError"] for target in found] == ["", ""]
        for daemon in (pair.agent, pair.collector):
            assert unexpected(check_metrics(daemon.get("/metrics").encode())) == []
    finally:
        pair.stop()


def targets(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v1/targets", timeout=5) as got:
        found: list[dict[str, Any]] = json.load(got)["data"]["activeTargets"]
    return found
