"""Recorded cgroups, sampled by the agent, shown by the collector: the two halves agree on names and labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.containers import ContainerRow, container_rows
from collector.metrics.exposition import Exposition
from collector.metrics.head import Head
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Samples
from tests.agent.sample.trees import StaticInventory, inspected, sampler
from tests.collector.metrics.frames import T0_NS, S
from tests.fixtures.promtool import check_metrics, unexpected
from tests.recordings.unpack import unpack


class Recorded(msgspec.Struct, frozen=True):
    expected: dict[str, dict[str, Any]]
    looks: tuple[list[Samples], list[Samples]]


@pytest.fixture(params=["cgroup1", "cgroup2"], scope="module")
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    root = unpack(request.param, tmp_path_factory.mktemp(request.param))
    expected = json.loads((root / "expected.json").read_text())["containers"]
    return Recorded(expected, (look(root / "t0"), look(root / "t1")))


def look(root: Path) -> list[Samples]:
    return sampler(root, StaticInventory(*inspected(next(root.rglob("inspect*.json"))))).sweep()


def head_of(recorded: Recorded, seconds: float) -> Head:
    """The two looks, `seconds` apart."""
    head = Head(ManualClock(T0_NS), CollectorRegistry())
    for seq, frames in enumerate(recorded.looks):
        for one in frames:
            head.take_samples(seq, "h1", msgspec.structs.replace(one, ts_ns=T0_NS + int(seq * seconds * S)))
    return head


def rows(head: Head) -> dict[str, ContainerRow]:
    return {row.name: row for row in container_rows(head.known_blocks("default", T0_NS + 30 * S), lambda _: None)}


def test_rows_have_the_expected_figures(recorded: Recorded) -> None:
    compared = 0
    for name, want in recorded.expected.items():
        if "seconds_between" not in want:
            continue
        row = rows(head_of(recorded, want["seconds_between"])).get(name)
        assert row is not None, f"{name} is missing"
        assert row.id == want["id"]
        assert row.state == want["status"]
        assert row.memory_usage_bytes == want["memory_bytes"]
        assert row.memory_working_set_bytes == want["working_set_bytes"]
        assert row.pids == want["pids"]
        if not want.get("counter_reset"):
            assert row.cpu_cores is not None
            assert 100 * row.cpu_cores == pytest.approx(want["cpu_percent_of_one_cpu"], abs=0.02)
        compared += 1
    assert compared >= 5


def test_the_exposition_of_recorded_containers_passes_promtool(recorded: Recorded) -> None:
    text = Exposition(head_of(recorded, 10), ()).render("default", T0_NS + 30 * S)
    assert unexpected(check_metrics(text)) == []
    assert text.count(b"\n") > 300
