"""Completeness as series, and the collector's own metrics as series."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.accounting import series as module
from collector.metrics.own import OwnSeries
from collector.metrics.selector import Matcher, MatchOp, Selector
from collector.metrics.series import Vector
from collector.store.embedded.manifest import Manifest
from deckwatch.wire.model import Gap, GapReason
from tests.collector.accounting.test_accounts import sealed
from tests.collector.test_app import Running, running
from tests.fixtures.push import Stream

SECOND = 1_000_000_000


def values(vector: Vector) -> dict[tuple[tuple[str, str], ...], float]:
    return {sample.labels: sample.value for sample in vector.samples}


def asked(one: Running, name: str, tenant: str = "default") -> dict[str, float]:
    """By container."""
    now_ns = one.collector.clock.now_ns()
    vector = one.collector.completeness.instant(tenant, Selector(name), now_ns)
    return {dict(sample.labels)["container"]: sample.value for sample in vector.samples}


async def test_gaps_are_series_at_once_and_stay_so_over_sealing_and_restart(tmp_path: Path) -> None:
    web, other = Stream("web"), Stream("secret", tenant="other")
    async with running(tmp_path) as one:
        assert asked(one, "deckwatch_log_gaps") == {}
        await one.push.push(web.batch([web.chunk(b"one\n")], [web.gap(10)]))
        await one.push.push(web.batch([web.chunk(b"two\n")], [web.gap(5)]))
        await one.push.push(other.batch([other.chunk(b"three\n")], [other.gap(7)]))
        started = Stream("late")
        wanted = Gap(0, 0, 30, 0, GapReason.BEFORE_START, 1)
        await one.push.push(started.batch([], [wanted]))
        await one.drained()
        for seal in (False, True):
            if seal:
                await sealed(one)
            assert asked(one, "deckwatch_log_gaps") == {"web": 2.0}  # what begins at the end by wish is no loss
            assert asked(one, "deckwatch_log_gap_bytes") == {"web": 15.0}
            assert asked(one, "deckwatch_log_gap_bytes", "other") == {"secret": 7.0}
            assert 0 <= asked(one, "deckwatch_log_gap_age_seconds")["web"] < 30
    async with running(tmp_path) as one:
        assert asked(one, "deckwatch_log_gap_bytes") == {"web": 15.0}


async def test_a_manifest_that_cant_be_read_now_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.02)
    async with running(tmp_path) as one:
        failures = ["disk I/O error"] * 3
        read = module._read

        def failing(manifest: Manifest) -> Any:
            if failures:
                raise sqlite3.OperationalError(failures.pop())
            return read(manifest)

        monkeypatch.setattr(module, "_read", failing)
        web = Stream("web")
        await one.push.push(web.batch([web.chunk(b"one\n")], [web.gap(10)]))
        await one.drained()
        await sealed(one)
        async with asyncio.timeout(10):
            while failures or asked(one, "deckwatch_log_gaps") != {"web": 1.0}:
                await asyncio.sleep(0.02)
    assert caplog.text.count("can't be read from the manifest, trying again: disk I/O error") == 1


async def test_accounts_are_series_once_they_are_settled(tmp_path: Path) -> None:
    web, db = Stream("web"), Stream("db")
    async with running(tmp_path) as one:
        await one.push.push(web.batch([web.chunk(b"one\ntwo\n")], [web.gap(10)]))
        await one.push.push(db.batch([db.chunk(b"three\n")]))
        await one.drained()
        await one.collector.completeness.settle_once()
        assert asked(one, "deckwatch_log_admitted_bytes") == {"db": 6.0, "web": 8.0}
        assert asked(one, "deckwatch_log_stored_bytes") == {"db": 6.0, "web": 8.0}
        assert asked(one, "deckwatch_log_lost_bytes") == {"db": 0.0, "web": 10.0}
        assert asked(one, "deckwatch_log_unaccounted_bytes") == {"db": 0.0, "web": 0.0}
        assert asked(one, "deckwatch_log_records") == {"db": 1.0, "web": 2.0}
        _, text = await one.get("/metrics")
        assert 'deckwatch_log_stored_bytes{container="web",host="host-1"} 8' in text


async def test_the_number_of_series_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LOGS", 2)
    async with running(tmp_path) as one:
        for n in range(1, 5):
            stream = Stream(f"web-{n}")
            await one.push.push(stream.batch([stream.chunk(b"x" * n + b"\n")], [stream.gap(n)]))
        await one.drained()
        await one.collector.completeness.settle_once()
        assert asked(one, "deckwatch_log_admitted_bytes") == {"web-4": 5.0, "web-3": 4.0, "other": 5.0}
        assert len(asked(one, "deckwatch_log_gaps")) == 2


def test_own_metrics_are_series_of_the_default_tenant() -> None:
    registry = CollectorRegistry()
    lag = Gauge("deckwatch_agent_lag_bytes", "", ["host"], registry=registry)
    lag.labels("a").set(5)
    lag.labels("b").set(7)
    Counter("deckwatch_things", "", registry=registry).inc(3)
    Gauge("python_info", "", registry=registry).set(1)
    Gauge("go_info", "", registry=registry).set(1)
    own = OwnSeries(registry, host="here")
    name, job = ("__name__", "deckwatch_agent_lag_bytes"), ("job", "deckwatch-collector")
    both = values(own.instant("default", Selector("deckwatch_agent_lag_bytes"), SECOND))
    assert both == {(name, ("host", "a"), job): 5.0, (name, ("host", "b"), job): 7.0}
    one = Selector("deckwatch_agent_lag_bytes", (Matcher("host", MatchOp.EQUAL, "b"),))
    assert values(own.instant("default", one, SECOND)) == {(name, ("host", "b"), job): 7.0}
    counter = own.instant("default", Selector("deckwatch_things_total"), SECOND)
    assert values(counter) == {(("__name__", "deckwatch_things_total"), ("host", "here"), job): 3.0}
    every = Selector("", (Matcher("__name__", MatchOp.REGEX, ".*_(total|info)"),))
    assert [sample.value for sample in own.instant("default", every, SECOND).samples] == [3.0, 1.0]
    things = Selector("", (Matcher("__name__", MatchOp.REGEX, "deckwatch_things.*"),))
    assert values(own.instant("default", things, SECOND)) == values(counter)  # without `_created`
    assert own.instant("other", one, SECOND) == Vector()
    assert own.instant("default", Selector("deckwatch_nothing"), SECOND) == Vector()
