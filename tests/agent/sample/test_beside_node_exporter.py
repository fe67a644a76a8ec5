"""Our host figures beside a real node_exporter's on this machine, of the same moment."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.sample.app import Sampler
from agent.sample.settings import SampleSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.agent.sample.trees import StaticInventory, series_of
from tests.fixtures import beside
from tests.fixtures.node_exporter import Key, NodeExporter, Scrape, node_exporter

SETTINGS = SampleSettings(sources=("host", "hardware", "filesystem"))
ENTERED = ("node_arp_entries", "node_udp_queues", "node_nf_conntrack_")
"""Series that come and go with what this machine does."""


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[NodeExporter]:
    with node_exporter(tmp_path / "node_exporter.log") as one:
        yield one


def ours(sampler: Sampler) -> dict[Key, float]:
    return {
        key: value
        for frame in sampler.sweep()
        for series in series_of(frame).values()
        for key, value in series.items()
        if key[0].startswith("node_")
    }


def moment(exporter: NodeExporter) -> tuple[dict[Key, float], Scrape, Scrape]:
    sampler = Sampler(SETTINGS, StaticInventory(), "/", SystemClock(), platform.node(), registry=CollectorRegistry())
    try:
        sampler.sweep()
        before = exporter.scrape()
        return ours(sampler), before, exporter.scrape()
    finally:
        sampler.close()


def test_counters_names_and_types(exporter: NodeExporter) -> None:
    mine, before, after = moment(exporter)
    found = beside.compare(mine, before, after)
    assert found.types == ()
    counters = [difference for difference in found.differences if difference.counter]
    assert len(counters) > 100
    assert [difference for difference in counters if difference.parts > beside.TOLERANCE] == []
    gauges = [difference for difference in found.differences if not difference.counter]
    assert len(gauges) > 80
    assert sum(difference.parts <= beside.TOLERANCE for difference in gauges) > 0.9 * len(gauges)
    left = (*beside.OTHERWISE, *ENTERED, "node_filesystem_", "node_network_", "node_disk_")
    assert [key for key in found.theirs_only if key[0] in CATALOGUE and not key[0].startswith(left)] == []
    assert [key for key in found.ours_only if key[0] in before.types and not key[0].startswith(left)] == []


def test_interfaces_disks_and_mounts_that_both_have(exporter: NodeExporter) -> None:
    """Those that one of the two leaves out by its settings apart: of each device that both have, both have the same
    metrics."""
    mine, before, _ = moment(exporter)
    for prefix, label in (("node_network_", "device"), ("node_disk_", "device"), ("node_filesystem_", "mountpoint")):
        theirs = names_by(before.values, prefix, label)
        own = names_by(mine, prefix, label)
        both = theirs.keys() & own.keys()
        assert both, prefix
        for device in both:
            missing = theirs[device] - own[device] - set(beside.OTHERWISE)
            assert not missing, (device, missing)


def names_by(series: dict[Key, float], prefix: str, label: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, labels in series:
        if name.startswith(prefix):
            found.setdefault(dict(labels)[label], set()).add(name)
    return found


@pytest.mark.parametrize(
    ("value", "before", "after", "parts"),
    [(5, 5, 5, 0), (5, 4, 6, 0), (6, 7, 5, 0), (110, 90, 100, 10 / 110), (0, 0, 0, 0), (50, 100, 100, 0.5)],
)
def test_outside(value: float, before: float, after: float, parts: float) -> None:
    assert beside.outside(value, before, after) == pytest.approx(parts)


def test_a_wrong_figure_is_seen(exporter: NodeExporter) -> None:
    mine, before, after = moment(exporter)
    mine["node_forks_total", ()] *= 1.02
    found = beside.compare(mine, before, after)
    assert [one.name for one in found.differences if one.counter and one.parts > beside.TOLERANCE] == [
        "node_forks_total"
    ]
