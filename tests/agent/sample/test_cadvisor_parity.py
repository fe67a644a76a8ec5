"""Digit for digit the figures of cAdvisor 0.60.5, but for the differences that parity.py lists with their reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import astuple

from agent.sample.network import container_counters
from agent.sample.series import INTERFACE_NAMES
from deckwatch.wire.metrics_catalogue import CATALOGUE
from tests.agent.sample import parity
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.parity import inventory, ours, scraped
from tests.agent.sample.trees import StaticInventory, inspected

REFERENCE = Path(__file__).parents[4] / "shared/reference/cadvisor_metrics.tsv"
BARE = StaticInventory()
CPU_TOTAL = ("container_cpu_usage_seconds_total", (("cpu", "total"),))


@pytest.mark.parametrize(
    ("recording_of", "containers", "least"),
    [(parity.RECORDINGS[0], 8, 228), (parity.RECORDINGS[1], 8, 228), (parity.RECORDINGS[2], 4, 150)],
    ids=lambda value: getattr(value, "scrape", ""),
)
def test_parity(recording: Recordings, recording_of: parity.Recording, containers: int, least: int) -> None:
    verdicts = parity.compare(recording(recording_of.name), recording_of)
    assert [one for one in verdicts if one.reason is None] == []
    assert len({one.target for one in verdicts if one.target}) == containers
    assert sum(one.reason == "" for one in verdicts) >= least


def test_a_figure_that_differs_is_told(recording: Recordings) -> None:
    """Without the list of reasons for cgroup v1 nothing excuses what it excuses."""
    first = parity.RECORDINGS[0]
    bare = parity.Recording(first.name, first.scrape, {}, first.title)
    wrong = {one.name for one in parity.compare(recording(first.name), bare) if one.reason is None}
    assert wrong == set(parity.V1) - {
        # equal all the same in this recording
        "container_memory_file_dirty_bytes",
        "container_memory_file_writeback_bytes",
        "container_cpu_cfs_burst_periods_total",
        "container_cpu_cfs_burst_seconds_total",
    }


def test_the_documents_table_is_current(recording: Recordings) -> None:
    unpacked = {one.name: recording(one.name) for one in parity.RECORDINGS}
    assert parity.chapter(parity.DOCUMENT.read_text()) == parity.document(unpacked), (
        "run `python -m tests.agent.sample.parity`"
    )


def test_every_metric_that_cadvisor_gives_by_default_is_ours_or_has_its_reason() -> None:
    if not REFERENCE.exists():
        pytest.skip(f"the list of cAdvisor's metrics is not at {REFERENCE}")
    rows = [line.split("\t") for line in REFERENCE.read_text().splitlines() if not line.startswith("#")]
    name, group, default = (rows[0].index(title) for title in ("name", "group", "default_on"))
    wanted = {row[name] for row in rows[1:] if row[default] == "yes" and row[group] != "app"}
    assert len(wanted) > 70
    assert wanted - set(CATALOGUE) - set(parity.NEVER_OURS) == set()
    assert set(parity.NEVER_OURS) & set(CATALOGUE) == {
        *("container_fs_usage_bytes", "container_fs_limit_bytes", "container_fs_inodes_total"),
        *("machine_cpu_books", "machine_cpu_drawers"),
    }


@pytest.mark.parametrize(
    "name", ["cadvisor-parity-cgroup1", "cadvisor-parity-cgroup2", "cgroup1/t1", "cgroup2/t1", "cgroup2-mini/t1"]
)
def test_series_of_a_container(recording: Recordings, name: str) -> None:
    """About as many as cAdvisor gives by default (84 were measured with a network and a disk; without either 64), and
    none by CPU."""
    archive, _, moment = name.partition("/")
    root = recording(archive) / moment
    inspect = next((path for path in (root / "inspect.json", root / "docker/inspect.json") if path.exists()), None)
    known = StaticInventory(*(inspected(inspect) if inspect else []))
    targets = parity.ours(root, known, "cgroup", "state", per_cpu=False)
    counts = [len(series) for series in targets.values() if CPU_TOTAL in series]
    assert len(counts) >= 4
    assert 40 <= min(counts) <= max(counts) <= 84
    by_cpu = {dict(labels)["cpu"] for series in targets.values() for _, labels in series if "cpu" in dict(labels)}
    assert by_cpu == {"total"}


def test_network_figures(recording: Recordings) -> None:
    """The one recorded namespace with more than `lo` is the host's: the parser's figures against cAdvisor's."""
    root = recording("cadvisor-parity-cgroup1")
    (host,) = [one for one in inspected(root / "inspect.json") if one.network_mode == "host"]
    theirs = {
        (name, dict(labels)["interface"]): value
        for (name, labels), value in scraped(root / "cadvisor-0.60.5-default.prom")[
            f"/docker/{host.container.id}"
        ].items()
        if name.startswith("container_network_")
    }
    counters = container_counters((root / f"proc/{host.pid}/net/dev").read_bytes())
    mine = {
        (name, one.interface): value
        for one in counters
        for name, value in zip(INTERFACE_NAMES, astuple(one)[1:], strict=True)
    }
    assert mine == theirs
    assert len(mine) == 24


def test_what_we_have_and_cadvisor_has_not(recording: Recordings) -> None:
    """New names only where the catalogue says so; a CPU that was never used is a true 0, which cAdvisor leaves out."""
    root = recording("cadvisor-parity-cgroup1")
    theirs = scraped(root / "cadvisor-0.60.5-docker-only.prom")
    mine = ours(root, inventory(root), "cgroup")
    more = {key[0] for ident, series in mine.items() for key in series if key not in theirs[ident]}
    assert more == {
        "container_cpu_usage_seconds_total",  # cpu01 of one container: 0
        "container_processes",  # off by default in cAdvisor
        "container_threads",
        "container_threads_max",
        "container_threads_limit_hits_total",
        "container_memory_shmem_bytes",
        "container_frozen",
    }
    unused = [
        value
        for ident, series in mine.items()
        for key, value in series.items()
        if key[0] == "container_cpu_usage_seconds_total" and key not in theirs[ident]
    ]
    assert unused == [0.0]


def test_oom_kill_of_a_child(recording: Recordings) -> None:
    """Docker's own flag says nothing of a killed child; the cgroup does, in both formats."""
    first = recording("cadvisor-parity-cgroup1")
    names = {one["Id"]: one["Name"] for one in json.loads((first / "inspect.json").read_text())}
    kills = {
        names[ident.rpartition("/")[2]]: series["container_oom_events_total", ()]
        for ident, series in ours(first, BARE, "cgroup").items()
    }
    assert kills == {name: float(name == "/oom") for name in names.values()}
    second = ours(recording("cadvisor-parity-cgroup2"), BARE, "cgroup")
    assert sorted(series["container_oom_events_total", ()] for series in second.values())[-1] >= 1
