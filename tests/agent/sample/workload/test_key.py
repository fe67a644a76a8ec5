from __future__ import annotations

import pytest

from agent.sample.workload.key import OTHER, WorkloadKey, group_key, key_of, pod_owner, repository
from deckwatch.wire.model import Container, Workload

UID = "11111111-2222-3333-4444-555555555551"


def pod(name: str, owner: str = "") -> Workload:
    return Workload("kubernetes", "shop", owner or name, instance=name, component="nginx")


@pytest.mark.parametrize(
    ("container", "want"),
    [
        (Container("1", workload=Workload("compose", "shop", "web", "2")), WorkloadKey("compose", "shop", "web")),
        (Container("1", workload=Workload("swarm", "shop", "web", "7")), WorkloadKey("swarm", "shop", "web")),
        (Container("1", workload=Workload("marathon", "shop", "web")), WorkloadKey("marathon", "shop", "web")),
        (Container("1", workload=pod("web-7d9f8b6c5d-x2x4z", "web")), WorkloadKey("kubernetes", "shop", "web")),
        (Container("1", workload=pod("web-7d9f8b6c5d-x2x4z")), WorkloadKey("kubernetes", "shop", "web")),
        (Container("1", workload=pod("db-0")), WorkloadKey("kubernetes", "shop", "db")),
        (Container("1", name="x", image="shop:1", runtime="docker"), WorkloadKey("docker", "", "shop")),
        (Container("1", name="x", runtime="docker", workload=Workload("mesos")), WorkloadKey("docker", "", "x")),
        (Container("1", name="x", image="sha256:" + "a" * 64, runtime="docker"), WorkloadKey("docker", "", "x")),
    ],
)
def test_key(container: Container, want: WorkloadKey) -> None:
    assert key_of(container) == want


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        ("web-7d9f8b6c5d-x2x4z", "web"),  # Deployment
        ("front-end-5c69d5f5-4xkzq", "front-end"),
        ("node-exporter-x2x4z", "node-exporter"),  # DaemonSet, Job
        ("report-28512345-x2x4z", "report"),  # CronJob
        ("db-0", "db"),  # StatefulSet
        ("web-front", "web-front"),  # words have vowels
        ("web-mysql", "web-mysql"),
        ("web", "web"),
    ],
)
def test_pod_owner(pod: str, owner: str) -> None:
    assert pod_owner(pod) == owner


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("registry.example:5000/shop/web", "registry.example:5000/shop/web"),
        ("registry.example:5000/shop/web:1.4", "registry.example:5000/shop/web"),
        ("nginx@sha256:abcd", "nginx"),
        ("nginx:1@sha256:abcd", "nginx"),
        ("sha256:abcd", ""),
        ("", ""),
    ],
)
def test_repository(image: str, want: str) -> None:
    assert repository(image) == want


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/docker", "/docker"),
        (f"/kubepods/burstable/pod{UID}", "/kubepods/burstable"),  # a pod's name is new each time
        ("/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555551.slice", "/kubepods.slice"),
        ("", "/"),
        ("/caf\udce9", "/caf\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_group_key(path: str, want: str) -> None:
    assert group_key(path) == WorkloadKey("cgroup", "", want)


def test_labels_are_sorted_and_never_empty() -> None:
    assert WorkloadKey("compose", "shop", "web").labels() == (
        ("orchestrator", "compose"),
        ("workload", "web"),
        ("workload_namespace", "shop"),
    )
    assert OTHER.labels() == (("workload", "(other)"),)
