"""What top shows of a container, and the two endpoints over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import polars as pl
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from collector.api.metrics import MetricsApi, text_format
from collector.metrics.containers import container_rows
from collector.metrics.exposition import Exposition
from collector.metrics.families import TextFormat
from collector.metrics.head import Head
from collector.metrics.lograte import LogRates
from collector.records import ROWS, Origin, RecordFrame
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Container, Context
from tests.collector.metrics.frames import T0_NS, Values, frame

ID = "ab" * 32
WEB = f"id=/docker/{ID},name=web,image=busybox:1"


def values(cpu_s: float, received: float, **more: float) -> Values:
    return {
        "container_cpu_usage_seconds_total{cpu=total}": cpu_s,
        "container_network_receive_bytes_total{interface=eth0}": received,
        "container_network_receive_bytes_total{interface=eth1}": 2 * received,
        "container_memory_usage_bytes": 5e6,
        "container_memory_working_set_bytes": 4e6,
        "container_spec_memory_limit_bytes": 6e7,
        "container_spec_cpu_quota": 50_000.0,
        "container_spec_cpu_period": 100_000.0,
        "container_threads": 3.0,
        "container_state{state=running}": 1.0,
        "container_state{state=exited}": 0.0,
        **more,
    }


@pytest.fixture
def head() -> Head:
    return Head(ManualClock(T0_NS), CollectorRegistry())


def test_rates_come_from_the_last_two_looks(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: values(10, 1000)}))
    (row,) = container_rows(head.known_blocks("default", T0_NS), lambda _: 7.5)
    assert (row.cpu_cores, row.network_receive_bytes_per_s) == (None, None)
    head.take_samples(1, "h1", frame(10, {WEB: values(12.5, 2000)}))
    (row,) = container_rows(head.known_blocks("default", T0_NS), lambda _: 7.5)
    assert row.cpu_cores == 0.25
    assert row.network_receive_bytes_per_s == 300
    assert row.network_transmit_bytes_per_s is None
    assert (row.name, row.host, row.id, row.image, row.state) == ("web", "h1", ID, "busybox:1", "running")
    assert (row.memory_usage_bytes, row.memory_working_set_bytes, row.memory_limit_bytes) == (5e6, 4e6, 6e7)
    assert (row.cpu_limit_cores, row.pids, row.log_lines_per_s) == (0.5, 3.0, 7.5)


def test_a_counter_that_went_back_has_no_rate(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: values(10, 1000)}))
    head.take_samples(1, "h1", frame(10, {WEB: values(1, 2000)}))
    (row,) = container_rows(head.known_blocks("default", T0_NS), lambda _: None)
    assert row.cpu_cores is None
    assert row.network_receive_bytes_per_s == 300


def test_no_limit_of_cgroup_v1_is_no_limit(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: values(1, 1, container_spec_memory_limit_bytes=9223372036854771712.0)}))
    (row,) = container_rows(head.known_blocks("default", T0_NS), lambda _: None)
    assert row.memory_limit_bytes is None


def test_two_sources_make_one_row_and_slices_make_none(head: Head) -> None:
    head.take_samples(0, "h1", frame(0, {WEB: values(1, 1), "id=/system.slice": {"container_threads": 9.0}}))
    head.take_samples(0, "h1", frame(0, {WEB: {"container_fs_reads_bytes_total": 1.0}}, source="disk"))
    head.take_samples(0, "h1", frame(0, {"": {"node_load1": 1.0}}, source="host"))
    assert [row.name for row in container_rows(head.known_blocks("default", T0_NS), lambda _: None)] == ["web"]


def record_frame(seq: int, counts: dict[str, int]) -> RecordFrame:
    origins = tuple(
        Origin(f"key-{name}", "default", Context("h1", container=Container(name) if name else None)) for name in counts
    )
    places = [place for place, count in enumerate(counts.values()) for _ in range(count)]
    rows = pl.DataFrame({"origin": pl.Series(places, dtype=ROWS["origin"])})
    return RecordFrame(seq, T0_NS, origins, rows)


async def test_log_rates() -> None:
    clock = ManualClock(T0_NS)
    rates = LogRates(clock)
    assert rates.per_second("default", "a") is None
    rates.take(record_frame(0, {"a": 30, "b": 10, "": 5}))
    await clock.advance(4)
    rates.take(record_frame(1, {"a": 20}))
    assert rates.per_second("default", "a") == 5.0
    assert rates.per_second("default", "b") == 1.0
    assert rates.per_second("blue", "a") is None
    await clock.advance(30)
    assert rates.per_second("default", "a") == 0.0
    await clock.advance(60)
    assert rates.per_second("default", "a") is None


@pytest.fixture
async def server(head: Head) -> AsyncIterator[TestServer]:
    api = MetricsApi(head, Exposition(head, ()), ManualClock(T0_NS), lambda tenant, container_id: 1.0)
    app = web.Application()
    app.add_routes(api.routes())
    started = TestServer(app)
    async with started:
        yield started


async def test_the_endpoints(head: Head, server: TestServer) -> None:
    head.take_samples(0, "h1", frame(-10, {WEB: values(10, 1000)}))
    head.take_samples(0, "h1", frame(0, {WEB: values(12, 1000)}))
    async with ClientSession() as session:
        async with session.get(server.make_url("/metrics")) as response:
            assert response.headers["Content-Type"] == TextFormat.PROMETHEUS.value
            assert "container_threads" in await response.text()
        accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"}
        async with session.get(server.make_url("/metrics"), headers=accept) as response:
            assert response.headers["Content-Type"] == TextFormat.OPENMETRICS.value
            assert (await response.text()).endswith("# EOF\n")
        async with session.get(server.make_url("/api/v1/containers")) as response:
            answer = await response.json()
        async with session.get(server.make_url("/api/v1/containers"), params={"tenant": "blue"}) as response:
            other = await response.json()
    assert answer["at_ns"] == T0_NS
    assert answer["containers"][0]["cpu_cores"] == 0.2
    assert answer["containers"][0]["sampled_at_ns"] == T0_NS
    assert answer["containers"][0]["block_read_bytes_per_s"] is None
    assert other["containers"] == []


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TextFormat.PROMETHEUS),
        ("*/*", TextFormat.PROMETHEUS),
        ("text/plain;version=0.0.4", TextFormat.PROMETHEUS),
        ("application/openmetrics-text", TextFormat.OPENMETRICS),
        ("text/plain;q=0.2, application/openmetrics-text; version=1.0.0; q=0.5", TextFormat.OPENMETRICS),
        ("application/openmetrics-text; q=0", TextFormat.PROMETHEUS),
    ],
)
def test_text_format(accept: str, form: TextFormat) -> None:
    assert text_format(accept) is form
