"""A whole collector and a real Prometheus: samples sent there, read back from there, equal answers on both sides."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from collector.metrics.backend.settings import BackendSettings
from collector.metrics.remote.encode import encode_metadata
from collector.metrics.remote.metadata import About, Metadata
from collector.metrics.remote.settings import MetadataConfig, QueueConfig, RemoteWriteSettings
from collector.settings import MetricsSettings
from tests.chaos.daemons import Daemon, free_port
from tests.collector.api.test_remote_write import HEADERS, asked, one, packed, value, write
from tests.collector.test_app import Running, running
from tests.fixtures.prometheus_server import prometheus_server
from tests.fixtures.write_receiver import write_receiver

RECEIVES = "--web.enable-remote-write-receiver"
FAST = QueueConfig(batch_send_deadline="200ms", min_backoff="20ms", max_backoff="200ms")
SCRAPES_US = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: collector, static_configs: [{{targets: ["{target}"]}}]}}
remote_write:
  - {{url: "{url}/api/v1/write", queue_config: {{batch_send_deadline: 200ms}}}}
"""


def to(url: str, **options: Any) -> RemoteWriteSettings:
    return RemoteWriteSettings(url=f"{url}/api/v1/write", queue_config=FAST, **options)


async def query_range(get: Any, query: str, end_s: float) -> dict[str, list[Any]]:
    params = {"query": query, "start": f"{end_s - 8:.3f}", "end": f"{end_s:.3f}", "step": "1"}
    data = await get(params)
    return {json.dumps(each["metric"], sort_keys=True): each["values"] for each in data["result"]}


@pytest.mark.parametrize(
    "query",
    ["m", "rate(m[4s])", "sum by (k) (m) / 2", "m == 3", "absent(m{k='9'})", "histogram_quantile(0.5, h_bucket)"],
)
async def test_what_we_send_gives_equal_answers_there(tmp_path: Path, query: str) -> None:
    (tmp_path / "theirs").mkdir()
    with prometheus_server(tmp_path / "theirs", "", RECEIVES) as theirs:
        metrics = MetricsSettings(remote_write=(to(theirs.url),))
        async with running(tmp_path / "ours", metrics=metrics) as ours:
            end_s = float(int(time.time()))
            for at_s in range(8):
                for k in range(3):
                    assert (await write(ours, one("m", end_s - 8 + at_s, at_s * (k + 1), k=str(k))))[0] == 204
                for le, count in (("1", 1), ("2", 3), ("+Inf", 4)):
                    assert (await write(ours, one("h_bucket", end_s - 8 + at_s, count, le=le)))[0] == 204

            async def here(params: dict[str, str]) -> Any:
                status, text = await ours.get("/api/v1/query_range", **params)
                assert status == 200, text
                return json.loads(text)["data"]

            async def there(params: dict[str, str]) -> Any:
                return await asked(ours, theirs.url, "query_range", **params)

            async with asyncio.timeout(30):
                while (await there_count(ours, theirs.url)) < 24 + 24:
                    await asyncio.sleep(0.1)
            mine, other = await query_range(here, query, end_s), await query_range(there, query, end_s)
            assert mine == other
            assert mine


async def there_count(ours: Running, url: str) -> int:
    data = await asked(ours, url, "query", query='sum(count_over_time({__name__=~"m|h_bucket"}[1m]))')
    return int(data["result"][0]["value"][1]) if data["result"] else 0


async def test_both_ways_at_a_time(tmp_path: Path) -> None:
    """Prometheus A scrapes us and writes to us; we write to Prometheus B: all three have the same."""
    with ExitStack() as stack:
        for name in "ab":
            (tmp_path / name).mkdir()
        last = stack.enter_context(prometheus_server(tmp_path / "b", "", RECEIVES))
        metrics = MetricsSettings(remote_write=(to(last.url),))
        async with running(tmp_path / "ours", metrics=metrics) as ours:
            config = SCRAPES_US.format(target=ours.url.removeprefix("http://"), url=ours.url)
            first = stack.enter_context(prometheus_server(tmp_path / "a", config))
            query = '{job="collector",__name__=~"up|process_.*"}'
            async with asyncio.timeout(60):
                while True:
                    at = f"{time.time() - 3:.3f}"
                    found = [
                        await asked(ours, url, "query", query=query, time=at) for url in (first.url, ours.url, last.url)
                    ]
                    if found[0] == found[1] == found[2] and len(found[0]["result"]) > 3:
                        break
                    await asyncio.sleep(0.5)
            assert (await value(ours, 'deckwatch_remote_write_out_samples_total{outcome="refused"}')) in ([], ["0"])
        log = (tmp_path / "b" / "prometheus.log").read_text()
        assert "Out of order" not in log, log


def sender(folder: Path, url: str) -> Daemon:
    """A collector as a process of its own that sends `m` there, in small requests."""
    send = {
        "url": url,
        "name": "r",
        "queue_config": {
            "max_samples_per_send": 40, "capacity": 120, "max_shards": 2, "batch_send_deadline": "50ms",
            "min_backoff": "5ms", "max_backoff": "50ms",
        },
        "metadata_config": {"send": False},
        "write_relabel_configs": [{"action": "keep", "source_labels": ["__name__"], "regex": "m"}],
    }  # fmt: skip
    config, data = folder / "deckwatch.yml", folder / "data"
    config.write_text(yaml.safe_dump({"collector": {"metrics": {"remote_write": [send]}}}))
    listen = f"127.0.0.1:{free_port()}"
    words = ["collector", "--data-dir", str(data), "--listen", listen, "--config", str(config)]
    return Daemon("collector", folder, words, data / "address")


async def all_of(wanted: int, arrived: Callable[[], Awaitable[int]]) -> None:
    deadline = time.monotonic() + 60
    while (count := await arrived()) < wanted:
        assert time.monotonic() < deadline, f"{count} of {wanted} samples arrived"
        await asyncio.sleep(0.1)


async def test_kill_9_between_batches_leaves_each_sample_there_once(tmp_path: Path) -> None:
    async with write_receiver() as receiver:
        daemon = sender(tmp_path, receiver.url)

        async def arrived() -> int:
            return len(receiver.samples)

        await asyncio.to_thread(daemon.start)
        try:
            wanted = await written_and_killed(daemon, arrived, rounds=201)
            await all_of(wanted, arrived)
        finally:
            await asyncio.to_thread(daemon.stop)
        assert (len(receiver.samples), daemon.kills) == (wanted, 2)
        assert "which are dropped" not in daemon.log_text()


async def test_kill_9_beside_a_real_prometheus(tmp_path: Path) -> None:
    """Each sample is there, with its value: repeats are the very same, and it takes them as such or not at all."""
    (tmp_path / "theirs").mkdir()
    with prometheus_server(tmp_path / "theirs", "", RECEIVES) as theirs:
        daemon = sender(tmp_path, f"{theirs.url}/api/v1/write")
        async with aiohttp.ClientSession() as session:

            async def there(query: str) -> list[dict[str, Any]]:
                async with session.get(f"{theirs.url}/api/v1/query", params={"query": query}) as answer:
                    found: list[dict[str, Any]] = (await answer.json())["data"]["result"]
                    return found

            async def arrived() -> int:
                found = await there("sum(count_over_time(m[2h]))")
                return int(found[0]["value"][1]) if found else 0

            await asyncio.to_thread(daemon.start)
            try:
                wanted = await written_and_killed(daemon, arrived, rounds=60)
                await all_of(wanted, arrived)
            finally:
                await asyncio.to_thread(daemon.stop)
            assert (await arrived(), daemon.kills) == (wanted, 2)
            for series in await there("m[2h]"):
                assert [value for _, value in series["values"]] == [str(batch) for batch in range(60)]
        assert "which are dropped" not in daemon.log_text()


async def written_and_killed(daemon: Daemon, arrived: Callable[[], Awaitable[int]], rounds: int) -> int:
    """Writes three series so many times and kills while they are sent on; how many samples there are."""
    begun_s, count = time.time() - 3000, 0
    async with aiohttp.ClientSession() as session:
        for batch in range(rounds):
            for part in range(3):
                body = one("m", begun_s + batch * 5, batch, k=str(part), n=str(part * 7))
                async with session.post(f"{daemon.url}/api/v1/write", data=body, headers=HEADERS) as answer:
                    assert answer.status == 204, await answer.text()
                count += 1
            if batch and batch % (rounds // 3) == 0:
                async with asyncio.timeout(30):
                    while await arrived() < count // 2:
                        await asyncio.sleep(0.002)
                await asyncio.to_thread(daemon.kill)
                await asyncio.to_thread(daemon.start)
    return count


async def test_a_storage_that_is_gone_is_said_so(tmp_path: Path) -> None:
    metrics = MetricsSettings(backend=BackendSettings(url="http://127.0.0.1:9"))
    async with running(tmp_path, metrics=metrics) as ours:
        for path in ("query", "labels", "metadata", "status/buildinfo"):
            status, text = await ours.get(f"/api/v1/{path}", query="up")
            assert status == 503
            told = json.loads(text)
            assert told["errorType"] == "unavailable"
            assert "the storage of samples at http://127.0.0.1:9 can't be asked" in told["error"]
        assert (await ours.get("/federate", **{"match[]": "up"}))[0] == 503
        assert (await ours.get("/api/v1/query", query="up", tenant="blue"))[0] == 200
        assert (await ours.get("/api/v1/targets"))[0] == 200


async def test_types_reach_a_receiver(tmp_path: Path) -> None:
    metadata = Metadata(tmp_path / "none.json")
    async with write_receiver(metadata=metadata) as receiver:
        sent = RemoteWriteSettings(
            url=receiver.url, queue_config=FAST, metadata_config=MetadataConfig(send_interval="100ms")
        )
        async with running(tmp_path / "ours", metrics=MetricsSettings(remote_write=(sent,))) as ours:
            assert (await write(ours, packed(encode_metadata("m", 2, "What it is.", "bytes"))))[0] == 204
            assert (await write(ours, one("m", time.time(), 7)))[0] == 204
            assert (await write(ours, one("container_memory_rss", time.time(), 7)))[0] == 204
            async with asyncio.timeout(30):
                while metadata.of("default").keys() != {"m", "container_memory_rss"}:
                    await asyncio.sleep(0.1)
            assert metadata.of("default")["m"] == About("gauge", "What it is.", "bytes")
