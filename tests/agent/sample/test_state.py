from __future__ import annotations

import pytest

from agent.model import ContainerState, FoundContainer, Health
from agent.sample.inventory_view import InventoryView
from agent.sample.labels import info_labels, is_sandbox, target_labels
from agent.sample.state import StateSource, state_series
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


def series(one: FoundContainer) -> Series:
    columns, values = state_series(one)
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
