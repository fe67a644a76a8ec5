"""Remote write to a whole collector, by hand and by a real Prometheus, whose answers and ours are compared."""

from __future__ import annotations

import asyncio
import json
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import cramjam
import pytest

from collector.metrics.remote.encode import encode_labels, encode_metadata, write_request
from collector.metrics.remote.metadata import About, Metadata
from collector.metrics.remote.settings import RemoteWriteInSettings
from collector.metrics.remote.wire import read_request
from collector.settings import MetricsSettings
from deckwatch.wire.model import Labels
from tests.collector.test_app import Running, running
from tests.fixtures.prometheus_server import prometheus_server

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


def packed(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def one(name: str, at_s: float, value: float, **labels: str) -> bytes:
    found: Labels = tuple(sorted((("__name__", name), *labels.items())))
    return packed(write_request([(encode_labels(found), [round(at_s * 1000)], [value])]))


async def write(ours: Running, body: bytes, **headers: str) -> tuple[int, str]:
    given = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    async with ours.session.post(f"{ours.url}/api/v1/write", data=body, headers=given) as answer:
        return answer.status, await answer.text()


async def value(ours: Running, query: str, **params: str) -> list[str]:
    status, text = await ours.get("/api/v1/query", query=query, **params)
    assert status == 200, text
    return [each["value"][1] for each in json.loads(text)["data"]["result"]]


async def test_what_was_answered_204_is_there_after_a_kill(tmp_path: Path) -> None:
    now_s = time.time()
    async with running(tmp_path, kill=True) as ours:
        assert await write(ours, one("m", now_s, 7, job="a")) == (204, "")
        assert await value(ours, 'm{job="a"}') == ["7"]
        many = await asyncio.gather(*(write(ours, one("n", now_s, 1, k=str(k))) for k in range(30)))
        assert set(many) == {(204, "")}
    async with running(tmp_path) as ours:
        assert await value(ours, "m") == ["7"]
        assert await value(ours, "count(n)") == ["30"]
        assert await write(ours, one("m", now_s, 7, job="a")) == (204, "")


async def test_refusals(tmp_path: Path) -> None:
    now_s = time.time()
    async with running(tmp_path) as ours:
        assert (await write(ours, one("m", now_s, 1)))[0] == 204
        status, text = await write(ours, one("m", now_s - 60, 1))
        assert status == 400
        assert text.startswith('out of order sample (1); one of them: {__name__="m"} at ')
        for body, headers, wanted in (
            (b"nonsense", {}, 400),
            (packed(b"\xff\xff"), {}, 400),
            (one("m", now_s, 1), {"Content-Type": "application/json"}, 415),
            (one("m", now_s, 1), {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, 415),
            (one("m", now_s, 1), {"Content-Encoding": "identity"}, 415),
            (one("m", now_s, 1), {"X-Scope-OrgID": "../../etc"}, 400),
        ):
            assert (await write(ours, body, **headers))[0] == wanted, headers
        async with ours.session.post(
            f"{ours.url}/api/v1/write", data=BytesIO(bytes(17 << 20)), headers=HEADERS
        ) as large:
            assert large.status == 413
        _, metrics = await ours.get("/metrics")
        assert 'deckwatch_remote_write_refused_samples_total{reason="out of order sample"} 1\n' in metrics


async def test_tenants(tmp_path: Path) -> None:
    now_s = time.time()
    async with running(tmp_path) as ours:
        assert (await write(ours, one("m", now_s, 5), X_Scope_OrgID="blue"))[0] == 204
        assert (await value(ours, "m"), await value(ours, "m", tenant="blue")) == ([], ["5"])


async def test_a_busy_collector_and_one_that_stops_say_so(tmp_path: Path) -> None:
    metrics = MetricsSettings(remote_write_in=RemoteWriteInSettings(max_inflight_bytes=1 << 20))
    async with running(tmp_path, metrics=metrics) as ours:
        slow = asyncio.create_task(slowly(ours))
        await asyncio.sleep(0.3)
        status, text = await write(ours, one("m", time.time(), 1))
        slow.cancel()
        assert (status, "are being taken just now" in text) == (429, True)
        ours.collector.remote_write.stop()
        assert (await write(ours, one("m", time.time(), 1)))[0] == 503


async def slowly(ours: Running) -> None:
    async def pieces() -> Any:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    headers = HEADERS | {"Content-Length": str(2 << 20)}
    async with ours.session.post(f"{ours.url}/api/v1/write", data=pieces(), headers=headers):
        pass


async def test_descriptions_are_kept(tmp_path: Path) -> None:
    body = packed(encode_metadata("things_total", 1, "How many things.", "things"))
    async with running(tmp_path) as ours:
        assert (await write(ours, body))[0] == 204
        _, text = await ours.get("/api/v1/metadata", metric="things_total")
        wanted = {"things_total": [{"type": "counter", "help": "How many things.", "unit": "things"}]}
        assert json.loads(text)["data"] == wanted
        ours.collector.metadata.save()
    assert Metadata(tmp_path / "metadata.json").of("default") == {
        "things_total": About("counter", "How many things.", "things")
    }


def test_descriptions_that_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metadata.json").write_text("{")
    metadata = Metadata(tmp_path / "metadata.json")
    assert "can't be read" in caplog.text
    metadata.take("default", read_request(b"\x1a\x02\x12\x09" + encode_metadata("x", 99, "", "")))
    assert metadata.of("default") == {"x": About("unknown")}


SENDER = """
global: {{scrape_interval: 1s, external_labels: {{replica: a}}}}
scrape_configs:
  - {{job_name: collector, static_configs: [{{targets: ["{target}"]}}]}}
remote_write:
  - {{url: "{url}/api/v1/write", queue_config: {{batch_send_deadline: 200ms}}, metadata_config: {{send_interval: 1s}}}}
"""
QUERIES = (
    "up",
    "deckwatch_history_samples_total",
    "sum by (job) (sum_over_time(deckwatch_remote_write_requests_total[10s]))",  # rate() of 2.42 extrapolates otherwise
    'count({job="collector"})',
    "process_start_time_seconds",
)


async def test_a_real_prometheus_writes_to_us_and_both_answer_alike(tmp_path: Path) -> None:
    """It scrapes us as well: without an error."""
    (tmp_path / "theirs").mkdir()
    async with running(tmp_path / "ours") as ours:
        config = SENDER.format(target=ours.url.removeprefix("http://"), url=ours.url)
        with prometheus_server(tmp_path / "theirs", config) as theirs:
            at_s = await both_have_samples(ours, theirs.url)
            for query in QUERIES:
                mine, other = await settled(ours, theirs.url, query, at_s)
                assert other, query
                assert mine == other, query
            (target,) = (await asked(ours, theirs.url, "targets"))["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")
            async with asyncio.timeout(20):
                while "process_start_time_seconds" not in ours.collector.metadata.of("default"):
                    await asyncio.sleep(0.1)
            told = ours.collector.metadata.of("default")["process_start_time_seconds"]
            assert told == About("gauge", "Start time of the process since unix epoch in seconds.")
        log = (tmp_path / "theirs" / "prometheus.log").read_text()
        assert "non-recoverable" not in log, log


async def both_have_samples(ours: Running, theirs: str) -> float:
    """A moment at which both have the same number of series, the window before it included."""
    async with asyncio.timeout(60):
        while True:
            at_s = time.time() - 3
            mine, other = await answers(ours, theirs, "count_over_time(up[10s]) >= 8", at_s)
            if mine == other and other:
                return at_s
            await asyncio.sleep(0.3)


async def settled(ours: Running, theirs: str, query: str, at_s: float) -> tuple[dict[str, str], dict[str, str]]:
    """Series of one scrape come in several requests: what both answer once all of them are there."""
    deadline = time.monotonic() + 15
    while True:
        mine, other = await answers(ours, theirs, query, at_s)
        if mine == other or time.monotonic() > deadline:
            return mine, other
        await asyncio.sleep(0.2)


async def answers(ours: Running, theirs: str, query: str, at_s: float) -> tuple[dict[str, str], dict[str, str]]:
    _, text = await ours.get("/api/v1/query", query=query, time=f"{at_s:.3f}")
    mine, other = json.loads(text)["data"], await asked(ours, theirs, "query", query=query, time=f"{at_s:.3f}")
    return vector(mine), vector(other)


def vector(data: dict[str, Any]) -> dict[str, str]:
    """Without the label that is put on when it is sent."""
    found = {}
    for each in data["result"]:
        labels = {name: text for name, text in each["metric"].items() if name != "replica"}
        found[json.dumps(labels, sort_keys=True)] = each["value"][1]
    return found


async def asked(ours: Running, theirs: str, path: str, **params: str) -> Any:
    async with ours.session.get(f"{theirs}/api/v1/{path}", params=params) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["data"]
