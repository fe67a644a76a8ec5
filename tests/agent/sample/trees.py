"""What several of the sampler's tests need: an inventory, readers over a tree, frames as plain dictionaries."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from prometheus_client import CollectorRegistry

from agent.model import ContainerState, EventListener, FoundContainer, Health, Listener, LogSource
from agent.sample.app import Sampler
from agent.sample.cgroup1 import Cgroup1Reader, Formats1
from agent.sample.cgroup2 import Cgroup2Reader, Formats2
from agent.sample.cgroup_reader import CgroupReader
from agent.sample.hierarchy import Hierarchies, Layout, find_hierarchies
from agent.sample.kept import DescriptorPool
from agent.sample.settings import SampleSettings
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Container, Event, Labels, Samples

Series = dict[tuple[str, Labels], float]
"""Value by (name, labels of the column)."""


class StaticInventory:
    """An inventory that says what the test puts into it."""

    def __init__(self, *found: FoundContainer) -> None:
        self.containers: dict[str, FoundContainer] = {one.container.id: one for one in found}
        self.sources: dict[str, LogSource] = {}
        self._listeners: list[Listener] = []
        self._event_listeners: list[EventListener] = []

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def on_event(self, listener: EventListener) -> None:
        self._event_listeners.append(listener)

    def tell(self, *events: Event) -> None:
        for event in events:
            for listener in self._event_listeners:
                listener(event)

    def set(self, *found: FoundContainer) -> None:
        self.containers = {one.container.id: one for one in found}
        for listener in self._listeners:
            listener()


class StrictFaults:
    """Of a recording every file can be read and understood."""

    def note(self, where: str, error: Exception) -> None:
        raise AssertionError(f"{where}: {error!r}")


class NotedFaults:
    """Keeps what it is told: `<file name>: <type of the error>`."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def note(self, where: str, error: Exception) -> None:
        self.noted.append(f"{Path(where).name}: {type(error).__name__}")


def reader(root: Path, path: str, *, per_cpu: bool = False) -> CgroupReader:
    hierarchies: Hierarchies = find_hierarchies(str(root))
    pool, faults = DescriptorPool(), StrictFaults()
    if hierarchies.layout is Layout.V2:
        return Cgroup2Reader(hierarchies.v2 + path, Formats2(), pool, faults)
    return Cgroup1Reader(hierarchies, path, Formats1(), pool, faults, per_cpu=per_cpu)


def sampler(root: Path, inventory: StaticInventory | None = None, settings: SampleSettings | None = None) -> Sampler:
    return Sampler(
        settings or SampleSettings(sources=("cgroup", "state")),
        inventory or StaticInventory(),
        str(root),
        ManualClock(),
        "recorded",
        registry=CollectorRegistry(),
    )


def series_of(samples: Samples) -> dict[Labels, Series]:
    """By target: values by (name, labels), the absent left out."""
    targets: dict[Labels, Series] = {}
    for target in samples.targets:
        columns = samples.schemas[target.schema]
        values = struct.unpack(f"<{len(columns)}d", target.values)
        assert target.labels not in targets, f"{target.labels} twice in a frame"
        assert len({(column.name, column.labels) for column in columns}) == len(columns), "a column twice in a schema"
        targets[target.labels] = {
            (column.name, column.labels): value
            for column, value in zip(columns, values, strict=True)
            if not math.isnan(value)
        }
    return targets


def by_source(frames: list[Samples]) -> dict[str, Samples]:
    assert len({frame.source for frame in frames}) == len(frames)
    return {frame.source: frame for frame in frames}


_STATES = {state.value: state for state in ContainerState} | {"restarting": ContainerState.EXITED}


def inspected(path: Path) -> list[FoundContainer]:
    """Containers as a recorded `docker inspect` tells of them."""
    return [_inspected(one) for one in json.loads(path.read_text())]


def _inspected(one: dict[str, object]) -> FoundContainer:
    state = one["State"]
    config, host_config = one["Config"], one["HostConfig"]
    assert isinstance(state, dict)
    assert isinstance(config, dict)
    assert isinstance(host_config, dict)
    health = (state.get("Health") or {}).get("Status", "none")
    return FoundContainer(
        container=Container(
            id=str(one["Id"]), name=str(one["Name"]).lstrip("/"), image=str(config["Image"]), runtime="docker"
        ),
        state=_STATES[state["Status"]],
        pid=state["Pid"] or None,
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restart_count=int(str(one["RestartCount"])),
        health=Health(health),
        network_mode=host_config["NetworkMode"],
    )
