"""Scrapes, StatsD, checks and the agent's own metrics through both real daemons, asked for by PromQL."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.daemons import Pair, free_port
from tests.fixtures.promtool import check_metrics

TEXT = b"""# HELP shop_orders_total Orders.
# TYPE shop_orders_total counter
shop_orders_total{host="inner",kind="a"} 3
# TYPE shop_took_seconds histogram
shop_took_seconds_bucket{le="0.1"} 1
shop_took_seconds_bucket{le="+Inf"} 2
shop_took_seconds_sum 0.7
shop_took_seconds_count 2
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def shop(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture
def pair(tmp_path: Path, ports: tuple[int, int]) -> Iterator[Pair]:
    config = tmp_path / "deckwatch.yml"
    target = f"127.0.0.1:{ports[0]}"
    scrape = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "jobs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}],
    }
    agent = {
        "scrape": scrape,
        "statsd": {"listen": f"127.0.0.1:{ports[1]}", "interval_s": 1},
        "checks": {
            "nagios": [{"name": "it", "command": "/bin/sh -c 'echo \"ok | used=50%;80;90\"'", "interval_s": 1}],
            "http": [{"url": f"http://{target}/", "interval_s": 1}],
        },
        "own_metrics": {"interval_s": 1},
    }
    config.write_text(yaml.safe_dump({"agent": agent}))
    running = Pair(tmp_path, agent=["--config", str(config)])
    try:
        running.start()
        yield running
    finally:
        running.stop()


def query(pair: Pair, expression: str) -> list[tuple[dict[str, str], float]]:
    answer: dict[str, Any] = json.loads(pair.collector.get("/api/v1/query", query=expression))
    return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def until(done: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.2)


def test_applications_are_seen_from_start_to_end(pair: Pair, ports: tuple[int, int]) -> None:
    with shop(ports[0]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        until(lambda: query(pair, "up == 1"))
        [(labels, value)] = query(pair, "shop_orders_total")
        assert value == 3
        assert labels.pop("host") not in ("", "inner")
        assert labels == {
            "__name__": "shop_orders_total",
            "exported_host": "inner",
            "instance": f"127.0.0.1:{ports[0]}",
            "job": "shop",
            "kind": "a",
        }
        assert query(pair, "histogram_quantile(0.5, shop_took_seconds_bucket)")[0][1] == pytest.approx(0.1)
        statsd.sendto(b"page.views:5|c|#env:prod", ("127.0.0.1", ports[1]))
        until(lambda: [value for _, value in query(pair, 'page_views{env="prod"}')] == [5])
        until(lambda: query(pair, "nagios_perfdata_ratio == 0.5 and on(check) nagios_check_state == 0"))
        until(lambda: query(pair, 'probe_success{job="probe"} == 1'))
        until(lambda: query(pair, 'deckwatch_agent_scrapes_total{outcome="ok"} > 0'))
        until(lambda: query(pair, 'process_resident_memory_bytes{job="deckwatch-agent"} > 1e6'))
        complaints = [line for line in check_metrics(pair.collector.get("/metrics").encode()) if "shop" in line]
        assert complaints == []
        described(pair)
        until(lambda: [one["health"] for one in targets(pair)] == ["up"])
        assert targets(pair)[0]["scrapeUrl"] == f"http://127.0.0.1:{ports[0]}/metrics"
        assert targets(pair)[0]["discoveredLabels"]["__metrics_path__"] == "/metrics"
    until(lambda: query(pair, "up == 0"))
    until(lambda: "Cannot connect" in targets(pair)[0]["lastError"])
    assert query(pair, "shop_orders_total") == []  # at once, not after five minutes
    until(lambda: query(pair, 'probe_success{job="probe"} == 0'))


def targets(pair: Pair) -> list[dict[str, Any]]:
    """With an address: those that the agent has told of."""
    found = json.loads(pair.collector.get("/api/v1/targets", scrapePool="shop"))["data"]["activeTargets"]
    return [one for one in found if one["scrapeUrl"]]


def described(pair: Pair) -> None:
    """Types and helps came along with the samples."""
    told = json.loads(pair.collector.get("/api/v1/metadata"))["data"]
    assert told["shop_orders_total"] == [{"type": "counter", "help": "Orders.", "unit": ""}]
    assert told["shop_took_seconds"][0]["type"] == "histogram"
    text = pair.collector.get("/metrics")
    assert "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\n" in text
    assert "# TYPE shop_took_seconds histogram\n" in text
