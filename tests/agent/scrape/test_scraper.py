"""Jobs against real servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from agent.scrape.app import Scraper
from agent.scrape.settings import ScrapeSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Samples
from tests.fixtures.exporters import Exporter, exporter
from tests.fixtures.listed_inventory import Listed

FAST = {"scrape_interval": "200ms", "scrape_timeout": "150ms"}


class Rig:
    def __init__(self, jobs: list[dict[str, Any]], **settings: Any) -> None:
        filled = {**FAST, "jobs": [{"job_name": f"job{n}", **job} for n, job in enumerate(jobs)], **settings}
        self.settings = msgspec.convert(filled, ScrapeSettings, dec_hook=lambda kind, value: kind(value))
        self.frames: list[Samples] = []
        self.inventory = Listed()
        self.registry = CollectorRegistry()
        self.scraper = Scraper(self.settings, self.inventory, self.frames.append, SystemClock(), self.registry)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    async def until(self, done: Callable[[], object], timeout_s: float = 10) -> None:
        async with asyncio.timeout(timeout_s):
            while not done():
                await asyncio.sleep(0.01)

    def last(self, part: str = "") -> dict[str, float]:
        """Series of the last frame whose source has that part in its name."""
        frame = next((frame for frame in reversed(self.frames) if part in frame.source and frame.targets), None)
        return series(frame) if frame else {}

    def ups(self, part: str = "") -> list[float]:
        found = [series(frame) for frame in self.frames if part in frame.source]
        return [one["up"] for one in found if "up" in one]


def series(frame: Samples) -> dict[str, float]:
    found = {}
    for target in frame.targets:
        columns = frame.schemas[target.schema]
        for column, value in zip(columns, struct.unpack(f"<{len(columns)}d", target.values), strict=True):
            if not math.isnan(value):
                found[column.name + "".join(f" {name}={text}" for name, text in column.labels)] = value
    return found


@contextlib.asynccontextmanager
async def scraping(jobs: list[dict[str, Any]], **settings: Any) -> AsyncIterator[Rig]:
    rig = Rig(jobs, **settings)
    task = asyncio.create_task(rig.scraper.run())
    try:
        yield rig
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def server() -> AsyncIterator[Exporter]:
    async with exporter() as running:
        yield running


def static(server: Exporter, **labels: str) -> list[dict[str, Any]]:
    return [{"targets": [server.address], "labels": labels}]


async def test_samples_and_the_report_of_the_scrape(server: Exporter) -> None:
    server.text = 'a{x="1"} 2\nb 3\ngo_c 4\n'
    drop = {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}
    job = {"static_configs": static(server, env="prod"), "metric_relabel_configs": [drop]}
    async with scraping([job]) as rig:
        await rig.until(lambda: rig.ups())
        frame = rig.frames[0]
        assert dict(frame.targets[0].labels) == {"env": "prod", "instance": server.address, "job": "job0"}
        found = series(frame)
        assert 0 < found.pop("scrape_duration_seconds") < 5
        assert found == {
            "a x=1": 2,
            "b": 3,
            "up": 1,
            "scrape_samples_scraped": 3,
            "scrape_samples_post_metric_relabeling": 2,
            "scrape_series_added": 2,
        }
        server.text = "b 5\n"
        await rig.until(lambda: rig.last().get("b") == 5)
        assert "a x=1" not in rig.last()
        assert rig.last()["scrape_series_added"] == 0
    asked = server.requests[0][1]
    assert "openmetrics" in asked["Accept"]
    assert asked["X-Prometheus-Scrape-Timeout-Seconds"] == "0.15"


@pytest.mark.parametrize(
    ("path", "outcome", "says"),
    [
        ("/hang", "timeout", "no whole answer within 0.15 s"),
        ("/slow", "timeout", "no whole answer within 0.15 s"),
        ("/nowhere", "status", "it answered 404 Not Found"),
        ("/html", "malformed", "line 1: '<html>"),
        ("/circle", "unreachable", ""),
        ("/close", "unreachable", ""),
    ],
)
async def test_a_target_that_fails_is_down(server: Exporter, path: str, outcome: str, says: str) -> None:
    async with scraping([{"static_configs": static(server), "metrics_path": path}]) as rig:
        await rig.until(lambda: len(rig.ups()) >= 2)
        assert set(rig.ups()) == {0}
        assert set(rig.last()) == {
            "up",
            "scrape_duration_seconds",
            "scrape_samples_scraped",
            "scrape_samples_post_metric_relabeling",
            "scrape_series_added",
        }
        assert rig.metric("deckwatch_agent_scrapes_total", job="job0", outcome=outcome) >= 2
        assert says in rig.scraper.loops[0].trouble


async def test_nobody_listens_then_somebody_does(server: Exporter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with scraping([{"static_configs": static(server)}]) as rig:
        server.content_type = "text/plain"
        server.text = "<html>\n"
        await rig.until(lambda: rig.ups().count(0) >= 2)
        server.text = "a 1\n"
        await rig.until(lambda: rig.ups()[-1] == 1)
    said = [record.getMessage() for record in caplog.records if "scrape of" in record.getMessage()]
    assert [text.split()[-1] == "again" for text in said] == [False, True]  # once each


async def test_an_answer_beyond_the_limit_is_left_before_it_is_whole(server: Exporter) -> None:
    job = {"static_configs": static(server), "metrics_path": "/huge", "body_size_limit": "2MB", "scrape_timeout": "5s"}
    async with scraping([{**job, "scrape_interval": "5s"}], scrape_interval="5s") as rig:
        await rig.until(lambda: rig.ups())
        assert rig.metric("deckwatch_agent_scrapes_total", job="job0", outcome="too_large") == 1


async def test_a_hung_target_delays_nobody(server: Exporter) -> None:
    hung = {"static_configs": static(server), "metrics_path": "/hang"}
    async with scraping([hung, hung, hung, {"static_configs": static(server)}]) as rig:
        begun = asyncio.get_running_loop().time()
        await rig.until(lambda: len(rig.ups("job3")) >= 4)
        assert asyncio.get_running_loop().time() - begun < 3
        assert set(rig.ups("job3")) == {1}


async def test_a_target_out_of_its_sample_limit_is_down(server: Exporter) -> None:
    server.text = "a 1\nb 1\nc 1\n"
    async with scraping([{"static_configs": static(server), "sample_limit": 2}]) as rig:
        await rig.until(lambda: rig.ups())
        assert rig.last()["up"] == 0
        assert rig.metric("deckwatch_agent_scrapes_total", job="job0", outcome="limit") >= 1


async def test_series_of_all_targets_are_bounded(server: Exporter) -> None:
    server.text = "".join(f"m{n} 1\n" for n in range(60))
    job = {"static_configs": static(server)}
    async with scraping([job, job], max_series=100) as rig:
        await rig.until(lambda: rig.ups("job0") and rig.ups("job1"))
        assert sorted([rig.ups("job0")[0], rig.ups("job1")[0]]) == [0, 1]
        assert rig.metric("deckwatch_agent_scrape_series") <= 100


@pytest.mark.parametrize(("follow", "up"), [(True, 1), (False, 0)])
async def test_redirects(server: Exporter, follow: bool, up: float) -> None:
    job = {"static_configs": static(server), "metrics_path": "/redirect", "follow_redirects": follow}
    async with scraping([job]) as rig:
        await rig.until(lambda: rig.ups())
        assert rig.ups()[0] == up


async def test_credentials_come_from_files_each_time(server: Exporter, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "password").write_text("secret\n")
    server.token = "Bearer one"
    token = {"static_configs": static(server), "authorization": {"credentials_file": str(tmp_path / "token")}}
    login = {
        "static_configs": static(server),
        "basic_auth": {"username": "me", "password_file": str(tmp_path / "password")},
    }
    async with scraping([token, login]) as rig:
        await rig.until(lambda: rig.ups("job0") == [1])
        server.token, _ = "Bearer two", (tmp_path / "token").write_text("two")
        await rig.until(lambda: rig.last("job0") and rig.ups("job0")[-1] == 1 and len(rig.ups("job0")) > 3)
        server.token = "Basic bWU6c2VjcmV0"
        await rig.until(lambda: rig.ups("job1")[-1:] == [1])
        (tmp_path / "token").unlink()
        await rig.until(lambda: "can't be read" in rig.scraper.jobs[0].loops[0].trouble)


async def test_targets_from_files_are_followed(server: Exporter, tmp_path: Path) -> None:
    file = tmp_path / "targets.json"
    job = {
        "file_sd_configs": [{"files": [str(tmp_path / "*.json"), str(tmp_path / "*.yml")], "refresh_interval": "50ms"}]
    }
    async with scraping([job]) as rig:
        await asyncio.sleep(0.1)
        file.write_text(json.dumps([{"targets": [server.address], "labels": {"env": "a"}}]))
        await rig.until(lambda: rig.ups())
        assert ("env", "a") in rig.frames[-1].targets[0].labels
        file.write_text("[{")  # half written: what it said before stays
        (tmp_path / "more.yml").write_text(f"- targets: ['{server.address}']\n  labels: {{env: b, n: 3}}\n")
        await rig.until(lambda: len(rig.scraper.loops) == 2)
        assert rig.metric("deckwatch_agent_scrape_discovery_faults_total", job="job0", discovery="file") >= 1
        file.unlink()
        await rig.until(lambda: len(rig.scraper.loops) == 1)
        ended = [frame for frame in rig.frames if frame.ended]
        assert [dict(frame.ended[0])["env"] for frame in ended] == ["a"]
        before = len(rig.frames)
        await asyncio.sleep(0.5)
        assert all(("env", "b") in frame.targets[0].labels for frame in rig.frames[before:])


async def test_targets_are_bounded(server: Exporter) -> None:
    many = [{"targets": [f"127.0.0.1:{port}" for port in range(1, 11)]}]
    limited = {"static_configs": many, "target_limit": 4}
    async with scraping([limited, {"static_configs": many}], max_targets=9) as rig:
        await rig.until(lambda: len(rig.scraper.loops) == 9)
        kept = [rig.metric("deckwatch_agent_scrape_targets", job=f"job{n}") for n in range(2)]
        left = [rig.metric("deckwatch_agent_scrape_targets_left_out", job=f"job{n}", reason="limit") for n in range(2)]
        assert kept == [4, 5]
        assert left == [6, 5]


async def test_what_two_configs_find_is_scraped_once(server: Exporter) -> None:
    async with scraping([{"static_configs": [*static(server), *static(server)]}]) as rig:
        await rig.until(lambda: rig.ups())
        assert len(rig.scraper.loops) == 1


async def test_a_job_without_its_authority_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"tls\.ca_file"):
        Rig([{"static_configs": [], "tls_config": {"ca_file": str(tmp_path / "none.pem")}}])


async def test_a_large_answer_is_read_beside_the_loop(server: Exporter) -> None:
    server.text = "".join(f'metric_with_a_name{{number="{n}",path="/some/path/{n}"}} {n}\n' for n in range(10_000))
    job = {"static_configs": static(server), "scrape_interval": "5s", "scrape_timeout": "5s"}
    async with scraping([job], scrape_interval="5s") as rig:
        await rig.until(lambda: rig.ups())
        first = next(frame for frame in rig.frames if frame.targets)
        assert series(first)["scrape_samples_scraped"] == 10_000
        assert rig.last()["metric_with_a_name number=9999 path=/some/path/9999"] == 9999
