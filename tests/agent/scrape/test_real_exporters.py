"""Debian's node_exporter and Prometheus' own /metrics, scraped by us: beside what prometheus_client's parser reads."""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.agent.scrape.test_scraper import scraping
from tests.fixtures.prometheus_server import prometheus_server


@pytest.fixture
async def node_exporter(tmp_path: Path) -> AsyncIterator[str]:
    binary = shutil.which("prometheus-node-exporter")
    if binary is None:
        pytest.skip("node_exporter is not installed (Debian: apt-get install prometheus-node-exporter)")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220
            [binary, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
        try:
            async with asyncio.timeout(30):
                while not await _answers(port):
                    assert process.poll() is None, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_node_exporter(node_exporter: str) -> None:
    job = {"static_configs": [{"targets": [node_exporter]}], "scrape_interval": "5s", "scrape_timeout": "5s"}
    async with scraping([job], scrape_interval="5s") as rig:
        await rig.until(lambda: rig.ups(), timeout_s=30)
        found = rig.last()
    assert found["up"] == 1
    assert found["node_memory_MemTotal_bytes"] > 1e6
    assert found["scrape_samples_scraped"] > 300
    assert "node_cpu_seconds_total cpu=0 mode=idle" in found


async def test_prometheus_own_metrics(tmp_path: Path) -> None:
    with prometheus_server(tmp_path) as server:
        address = server.url.removeprefix("http://")
        for _ in range(2):  # the first answer makes series that count answers
            body = await asyncio.to_thread(_text, f"{server.url}/metrics")
        job = {"static_configs": [{"targets": [address]}], "scrape_interval": "5s", "scrape_timeout": "5s"}
        async with scraping([job], scrape_interval="5s") as rig:
            await rig.until(lambda: rig.ups(), timeout_s=30)
            found = {name for name in rig.last() if not name.startswith(("up", "scrape_"))}
    theirs = {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items()) if value)
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if not math.isnan(sample.value)
    }
    assert len(theirs) > 200
    assert theirs <= found, sorted(theirs - found)[:10]


def _text(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
        return re.sub(r"(?m)^(# TYPE \S+) counter$", r"\1 gauge", text)  # the parser adds _total to counters without
