from __future__ import annotations

import msgspec
import pytest

from agent.model import ContainerState, FoundContainer, Health
from agent.sample.inventory_view import InventoryView
from agent.sample.labels import info_labels, is_sandbox, target_labels
from agent.sample.namespaces import NetworkNamespace
from agent.sample.state import NOTHING_SEEN, Seen, StateSource, state_series
from deckwatch.wire.model import Container, Labels, Samples, Target, Workload
from tests.agent.sample.trees import Series, StaticInventory, series_of

IDENT = "a" * 64
POD = Workload("kubernetes", "shop", "web-7d9f", "web-7d9f-abcde", "nginx")


def found(
    state: ContainerState = ContainerState.RUNNING,
    *,
    container: Container | None = None,
    exit_code: int | None = None,
    health: Health = Health.NONE,
    restarts: int | None = None,
) -> FoundContainer:
    return FoundContainer(
        container or Container(IDENT, name="web", image="nginx:1"),
        state,
        exit_code=exit_code,
        health=health,
        restart_count=restarts,
    )


def series(one: FoundContainer, seen: Seen = NOTHING_SEEN) -> Series:
    columns, values = state_series(one, seen)
    return series_of(Samples("state", 0, "default", (columns,), (Target((), 0, values),)))[()]


@pytest.mark.parametrize(
    ("one", "want"),
    [
        (found(), {"container_health_state": -1}),
        (found(exit_code=0), {"container_health_state": -1}),  # the code of its last run says nothing of this one
        (found(ContainerState.EXITED, exit_code=137), {"container_health_state": -1, "container_exit_code": 137}),
        (found(ContainerState.DEAD), {"container_health_state": -1}),
        (found(health=Health.HEALTHY, restarts=3), {"container_health_state": 1, "container_restarts_total": 3}),
        (found(health=Health.STARTING), {"container_health_state": 0}),
        (found(health=Health.UNHEALTHY), {"container_health_state": 0}),
    ],
)
def test_series(one: FoundContainer, want: dict[str, float]) -> None:
    got = series(one)
    assert {name: value for (name, labels), value in got.items() if not labels} == want
    states = {dict(labels)["state"]: value for (name, labels), value in got.items() if name == "container_state"}
    assert states == {state.value: float(state is one.state) for state in ContainerState}


@pytest.mark.parametrize(
    ("one", "want"),
    [
        (None, {"id": "/x"}),
        (found(), {"id": "/x", "name": "web", "image": "nginx:1"}),
        (
            found(container=Container(IDENT, name="k8s_nginx", image="nginx:1", workload=POD)),
            {
                "id": "/x",
                "name": "k8s_nginx",
                "image": "nginx:1",
                "namespace": "shop",
                "pod": "web-7d9f-abcde",
                "container": "nginx",
            },
        ),
        (
            found(container=Container(IDENT, name="web", workload=Workload("compose", "shop", "web"))),
            {"id": "/x", "name": "web"},
        ),
    ],
)
def test_target_labels(one: FoundContainer | None, want: dict[str, str]) -> None:
    labels = target_labels("/x", one)
    assert dict(labels) == want
    assert list(labels) == sorted(labels)


def test_info_labels() -> None:
    container = Container(
        IDENT,
        runtime="docker",
        labels=(("com.docker.compose.project", "shop"), ("tier", "front")),
        workload=Workload("compose", "shop", "web", "1"),
        service="web",
    )
    assert dict(info_labels(container)) == {
        "container_id": IDENT,
        "container_label_com_docker_compose_project": "shop",
        "container_label_tier": "front",
        "orchestrator": "compose",
        "runtime": "docker",
        "service": "web",
        "workload": "web",
        "workload_instance": "1",
        "workload_namespace": "shop",
    }


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ((("io.cri-containerd.kind", "sandbox"),), True),
        ((("io.kubernetes.docker.type", "podsandbox"),), True),
        ((("io.kubernetes.container.name", "POD"),), True),
        ((("io.kubernetes.container.name", "web"),), False),
    ],
)
def test_sandbox(labels: Labels, want: bool) -> None:
    assert is_sandbox(Container(IDENT, labels=labels)) is want


RAN = FoundContainer(
    Container(IDENT),
    ContainerState.EXITED,
    started_ns=1_000_000_000,
    finished_ns=3_500_000_000,
    exit_code=0,
    network_mode="container:x",
    namespace_modes=(("pid_mode", "host"),),
)


def test_the_last_run() -> None:
    got = series(RAN)
    assert got["container_finish_time_seconds", ()] == 3.5
    assert got["container_last_run_seconds", ()] == 2.5
    running = msgspec.structs.replace(RAN, state=ContainerState.RUNNING, started_ns=4_000_000_000)
    assert not {name for name, _ in series(running)} & {"container_finish_time_seconds", "container_last_run_seconds"}


def test_health_by_status_only_with_a_check() -> None:
    told = {
        dict(labels)["status"]: value
        for (name, labels), value in series(found(health=Health.STARTING)).items()
        if name == "container_health_status"
    }
    assert told == {"starting": 1, "healthy": 0, "unhealthy": 0}
    assert not [name for name, _ in series(found()) if name == "container_health_status"]


def test_oom_kills_are_told_where_somebody_counts_them() -> None:
    assert ("container_oom_kills_total", ()) not in series(found())
    assert series(found(), Seen(oom_kills=0))["container_oom_kills_total", ()] == 0
    assert series(found(), Seen(oom_kills=3))["container_oom_kills_total", ()] == 3


def test_namespaces() -> None:
    seen = Seen(network=NetworkNamespace("4026532281", counted_in="x"))
    assert [labels for name, labels in series(RAN, seen) if name == "container_namespaces_info"] == [
        (
            ("network_counted_in", "x"),
            ("network_mode", "container:x"),
            ("network_namespace", "4026532281"),
            ("pid_mode", "host"),
        )
    ]
    assert not [name for name, _ in series(found()) if name == "container_namespaces_info"]


class Looks:
    """A state source, its inventory and what it sent last."""

    def __init__(self, *, cgroups: bool = True) -> None:
        self.inventory = StaticInventory()
        self.view = InventoryView(self.inventory)
        self.source = StateSource("default", self.view, cgroups=cgroups)

    def look(self, *containers: FoundContainer) -> tuple[list[str], list[str]]:
        """(ids of the targets, ids of the ended ones)"""
        self.inventory.set(*containers)
        self.view.refresh()
        frame = self.source.look(1)
        return [dict(one.labels)["id"] for one in frame.targets], [dict(one)["id"] for one in frame.ended]


def test_the_id_is_the_cgroup_path_also_after_the_end() -> None:
    looks = Looks()
    looks.view.paths[IDENT] = "/docker/" + IDENT
    assert looks.look(found()) == (["/docker/" + IDENT], [])
    assert looks.look(found(ContainerState.EXITED, exit_code=1)) == (["/docker/" + IDENT], [])
    assert looks.look() == ([], ["/docker/" + IDENT])
    assert looks.look() == ([], [])


def test_a_running_container_waits_for_its_path() -> None:
    looks = Looks()
    assert looks.look(found()) == ([], [])
    looks.view.paths[IDENT] = "/docker/" + IDENT
    assert looks.look(found()) == (["/docker/" + IDENT], [])


def test_but_not_for_ever() -> None:
    looks = Looks()
    assert [looks.look(found())[0] for _ in range(5)] == [[], [], [], [IDENT], [IDENT]]
    looks.view.paths[IDENT] = "/docker/" + IDENT
    assert looks.look(found()) == (["/docker/" + IDENT], [IDENT])


def test_one_that_never_ran_has_its_bare_id() -> None:
    assert Looks().look(found(ContainerState.CREATED)) == ([IDENT], [])
    assert Looks(cgroups=False).look(found()) == ([IDENT], [])


def test_a_new_name_ends_the_old_target() -> None:
    looks = Looks(cgroups=False)
    looks.look(found())
    looks.inventory.set(found(container=Container(IDENT, name="renamed", image="nginx:1")))
    looks.view.refresh()
    frame = looks.source.look(2)
    assert [dict(one.labels)["name"] for one in frame.targets] == ["renamed"]
    assert [dict(labels)["name"] for labels in frame.ended] == ["web"]


def test_what_others_found_out_comes_with_the_next_look() -> None:
    looks = Looks(cgroups=False)
    looks.look(found())
    looks.view.oom_kills = {IDENT: 2}
    (made,) = series_of(looks.source.look(2)).values()
    assert made["container_oom_kills_total", ()] == 2
