"""Whole sweeps over trees: what comes, what goes, what is ended, and once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agent.model import ContainerState, FoundContainer
from agent.sample.app import Sampler
from agent.sample.settings import SampleSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.codec import pack_frame, unpack_frames
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Container, Labels, Samples, Workload
from tests.agent.sample.conftest import Recordings
from tests.agent.sample.trees import Series, StaticInventory, by_source, sampler, series_of

A1, B2, C3 = "a1" * 32, "b2" * 32, "c3" * 32
EVERY = SampleSettings(sources=("cgroup", "state"), slow_every=1)
SELDOM = SampleSettings(sources=("cgroup", "state"), slow_every=1000)


def found(ident: str, name: str, **more: str) -> FoundContainer:
    return FoundContainer(
        Container(ident, name=name, image="busybox:1"), ContainerState.RUNNING, network_mode=more.get("network", "")
    )


@pytest.fixture
def host(tmp_path: Path, recording: Recordings) -> Path:
    """A copy of the small v1 recording, to be changed under the sampler."""
    return Path(shutil.copytree(recording("cgroup1-mini") / "t0", tmp_path / "host", symlinks=True))


def remove(host: Path, ident: str) -> None:
    for directory in list((host / "sys/fs/cgroup").glob(f"*/docker/{ident}")):
        if not directory.parent.parent.is_symlink():
            shutil.rmtree(directory)


def copy(host: Path, ident: str, to: str) -> None:
    for directory in list((host / "sys/fs/cgroup").glob(f"*/docker/{ident}")):
        if not directory.parent.parent.is_symlink():
            shutil.copytree(directory, directory.parent / to)


def ids(frame: Samples) -> set[str]:
    return {dict(target.labels)["id"].rpartition("/")[2] for target in frame.targets}


def cgroup(one: Sampler) -> tuple[set[str], list[Labels]]:
    frame = by_source(one.sweep())["cgroup"]
    return ids(frame), list(frame.ended)


@pytest.mark.parametrize("settings", [EVERY, SELDOM])
def test_containers_that_no_engine_knows(host: Path, settings: SampleSettings) -> None:
    one = sampler(host, settings=settings)
    first, ended = cgroup(one)
    assert first == {digits * 32 for digits in ("07", "29", "a1", "c3", "d4", "e5", "b2", "f6")}
    assert ended == []
    remove(host, A1)
    copy(host, C3, "99" * 32)
    second, ended = cgroup(one)
    if settings is SELDOM:  # the number of directories is as before: found at the next full walk, or ...
        copy(host, C3, "98" * 32)  # ... as soon as the number changes
        second, ended_later = cgroup(one)
        assert second >= {"98" * 32, "99" * 32}
        ended += ended_later
    assert A1 not in second
    assert ended == [(("id", f"/docker/{A1}"),)]
    assert cgroup(one)[1] == []
    one.close()


def test_a_late_name_ends_the_nameless_target(host: Path) -> None:
    inventory = StaticInventory()
    one = sampler(host, inventory, SELDOM)
    one.sweep()
    inventory.set(found(A1, "web"))
    frames = by_source(one.sweep())
    named: Labels = (("id", f"/docker/{A1}"), ("image", "busybox:1"), ("name", "web"))
    assert named in series_of(frames["cgroup"])
    assert frames["cgroup"].ended == ((("id", f"/docker/{A1}"),),)
    assert named in series_of(frames["state"])
    inventory.set(found(A1, "renamed"))
    assert by_source(one.sweep())["cgroup"].ended == (named,)
    assert by_source(one.sweep())["cgroup"].ended == ()
    one.close()


def test_a_container_that_ends_leaves_its_state(host: Path) -> None:
    inventory = StaticInventory(found(A1, "web"))
    one = sampler(host, inventory, SELDOM)
    one.sweep()
    remove(host, A1)
    container = Container(A1, name="web", image="busybox:1")
    inventory.set(FoundContainer(container, ContainerState.EXITED, exit_code=3))
    frames = by_source(one.sweep())
    labels: Labels = (("id", f"/docker/{A1}"), ("image", "busybox:1"), ("name", "web"))
    assert frames["cgroup"].ended == (labels,)
    assert series_of(frames["state"])[labels]["container_exit_code", ()] == 3
    inventory.set()
    frames = by_source(one.sweep())
    assert frames["state"].ended == (labels,)
    assert frames["cgroup"].ended == ()
    one.close()


def test_kubernetes_labels_and_a_path_that_only_the_engine_tells(host: Path) -> None:
    for controller in ("cpu,cpuacct", "memory", "pids"):
        shutil.copytree(
            host / "sys/fs/cgroup" / controller / "docker" / A1, host / "sys/fs/cgroup" / controller / "my/own/name"
        )
    pod = Workload("kubernetes", "shop", "web", "web-1", "nginx")
    inventory = StaticInventory(
        FoundContainer(Container("own", name="own"), ContainerState.RUNNING, cgroup="/my/own/name"),
        FoundContainer(Container(B2, name="k8s_b2", workload=pod), ContainerState.RUNNING),
    )
    one = sampler(host, inventory, SELDOM)
    targets = {dict(labels).get("name", ""): dict(labels) for labels in series_of(by_source(one.sweep())["cgroup"])}
    one.close()
    assert targets["own"] == {"id": "/my/own/name", "name": "own"}
    assert targets["k8s_b2"] == {
        "id": f"/kubepods/burstable/pod11111111-2222-3333-4444-555555555551/{B2}",
        "name": "k8s_b2",
        "namespace": "shop",
        "pod": "web-1",
        "container": "nginx",
    }


def test_a_shared_network_counts_once(recording: Recordings) -> None:
    """cgroup2's dw-web and dw-net have one each; a container in another's network has none."""
    root = recording("cgroup2") / "t1"
    one = sampler(root)
    frame = by_source(one.sweep())["cgroup"]
    one.close()
    received = {
        dict(labels)["id"]: value
        for labels, series in series_of(frame).items()
        for (name, own), value in series.items()
        if name == "container_network_receive_bytes_total" and dict(own)["interface"] == "eth0"
    }
    inodes = {link.read_text() for link in root.glob("proc/*/ns/net.link")}
    assert 10 <= len(received) <= len(inodes)
    assert len(set(received.values())) > 5


def test_start_without_an_engine_is_that_of_the_first_process(recording: Recordings) -> None:
    root = recording("cgroup2") / "t1"
    one = sampler(root)
    targets = series_of(by_source(one.sweep())["cgroup"])
    one.close()
    starts = [series.get(("container_start_time_seconds", ())) for series in targets.values()]
    boot = next(
        int(line.split()[1]) for line in (root / "proc/stat").read_text().splitlines() if line.startswith("btime")
    )
    known = [start for start in starts if start is not None]
    assert len(known) > 10
    assert all(boot < start < boot + 3600 for start in known)


def test_frames_survive_the_wire(recording: Recordings) -> None:
    one = sampler(recording("cgroup2") / "t0")
    frames = one.sweep()
    one.close()
    assert list(unpack_frames(b"".join(pack_frame(frame) for frame in frames))) == frames


def test_a_directory_whose_name_is_no_utf8(host: Path) -> None:
    controller = host / "sys/fs/cgroup/cpu,cpuacct"
    shutil.copytree(controller / "docker" / A1, controller / "lxc" / os.fsdecode(b"caf\xe9"))
    one = sampler(host)
    frame = by_source(one.sweep())["cgroup"]
    one.close()
    assert "caf\N{REPLACEMENT CHARACTER}" in ids(frame)
    assert list(unpack_frames(pack_frame(frame))) == [frame]


def test_few_schemas_for_many_containers(recording: Recordings) -> None:
    one = sampler(recording("cgroup2") / "t0")
    one.sweep()
    frame = by_source(one.sweep())["cgroup"]
    one.close()
    assert len(frame.targets) > 20
    assert len(frame.schemas) <= 5


def test_sources_can_be_switched_off(host: Path) -> None:
    one = sampler(host, settings=SampleSettings(sources=("state",)))
    assert [frame.source for frame in one.sweep()] == ["state"]
    one.close()
    every = sampler(host, settings=SampleSettings())
    assert {"cgroup", "host", "hardware", "filesystem", "unit", "process", "state"} == set(by_source(every.sweep()))
    every.close()


def test_a_host_without_cgroups_still_gives_the_host(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("1 2 3 1/2 3\n")
    one = sampler(tmp_path, StaticInventory(found(A1, "web")), SampleSettings())
    frames = by_source(one.sweep())
    one.close()
    assert {"host", "filesystem", "state"} <= set(frames)
    assert not {"cgroup", "unit", "layer"} & set(frames)
    assert ids(frames["state"]) == {A1}


def test_descriptors_are_given_back(host: Path) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    registry = CollectorRegistry()
    one = Sampler(SELDOM, StaticInventory(), str(host), SystemClock(), "h", registry=registry)
    one.sweep()
    kept = registry.get_sample_value("deckwatch_agent_sample_open_files")
    assert kept is not None
    assert kept > 50
    remove(host, A1)
    one.sweep()
    fewer = registry.get_sample_value("deckwatch_agent_sample_open_files")
    assert fewer is not None
    assert fewer < kept
    one.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_this_machine() -> None:
    """The real kernel's files, whatever its lay-out: nothing fails, every name is known, values are finite numbers."""
    registry = CollectorRegistry()
    settings = SampleSettings(systemd_units=True)
    one = Sampler(settings, StaticInventory(), "/", SystemClock(), "here", registry=registry)
    frames = by_source([*one.sweep()])
    again = by_source(one.sweep())
    one.close()
    assert set(frames) >= set(again) >= {"host", "hardware", "filesystem", "state"}
    assert "process" in frames
    everything: list[Series] = [series for frame in again.values() for series in series_of(frame).values()]
    assert {name for series in everything for name, _ in series} <= set(CATALOGUE)
    assert len(series_of(again["host"])[()]) > 100
    assert not [
        sample
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "deckwatch_agent_sample_faults_total"
    ]
