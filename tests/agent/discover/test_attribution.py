"""Whom a container belongs to, as a table."""

from __future__ import annotations

import pytest

from agent.discover.attribution import (
    kept_labels,
    known_environment,
    pod_owner,
    resource_attributes,
    service,
    workload,
)
from agent.discover.settings import LabelSettings
from deckwatch.wire.model import Workload

PODNAME = "web-7d4b9c6f5-x2x9k"
POD = {
    "io.kubernetes.pod.name": PODNAME,
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": "0b1c",
    "io.kubernetes.container.name": "nginx",
}
COMPOSE = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "db",
    "com.docker.compose.container-number": "2",
}
SWARM = {
    "com.docker.stack.namespace": "shop",
    "com.docker.swarm.service.name": "shop_web",
    "com.docker.swarm.task.name": "shop_web.3.k2v9x1",
    "com.docker.swarm.task.id": "k2v9x1",
}
ECS = {
    "com.amazonaws.ecs.cluster": "prod",
    "com.amazonaws.ecs.task-definition-family": "web",
    "com.amazonaws.ecs.task-arn": "arn:aws:ecs:eu-central-1:1234:task/prod/9781c248",
    "com.amazonaws.ecs.container-name": "app",
}
RANCHER = {
    "io.rancher.stack.name": "shop",
    "io.rancher.stack_service.name": "shop/web",
    "io.rancher.container.name": "shop-web-1",
}
NOMAD = {
    "NOMAD_NAMESPACE": "default",
    "NOMAD_JOB_NAME": "cache",
    "NOMAD_ALLOC_ID": "a1b2c3",
    "NOMAD_TASK_NAME": "redis",
}
MARATHON = {"MARATHON_APP_ID": "/shop/eu/web", "MESOS_TASK_ID": "shop_eu_web.7f"}


@pytest.mark.parametrize(
    ("labels", "environment", "want"),
    [
        ({}, {}, None),
        ({"app": "x"}, {"PATH": "/bin"}, None),
        (POD, {}, Workload("kubernetes", "shop", "web-7d4b9c6f5-x2x9k", "web-7d4b9c6f5-x2x9k", "nginx")),
        (
            {**POD, "pod-template-hash": "7d4b9c6f5"},
            {},
            Workload("kubernetes", "shop", "web", "web-7d4b9c6f5-x2x9k", "nginx"),
        ),
        (COMPOSE, {}, Workload("compose", "shop", "db", "2")),
        ({"com.docker.compose.service": "db"}, {}, Workload("compose", "", "db", "")),
        (SWARM, {}, Workload("swarm", "shop", "web", "3")),
        ({"com.docker.swarm.service.name": "solo"}, {}, Workload("swarm", "", "solo", "")),
        ({**SWARM, "com.docker.swarm.task.name": ""}, {}, Workload("swarm", "shop", "web", "k2v9x1")),
        (ECS, {}, Workload("ecs", "prod", "web", "9781c248", "app")),
        (RANCHER, {}, Workload("rancher", "shop", "web", "shop-web-1")),
        ({}, NOMAD, Workload("nomad", "default", "cache", "a1b2c3", "redis")),
        ({}, MARATHON, Workload("marathon", "shop/eu", "web", "shop_eu_web.7f")),
        ({}, {"MARATHON_APP_ID": "/web"}, Workload("marathon", "", "web", "")),
        ({}, {"CHRONOS_JOB_NAME": "nightly", "MESOS_TASK_ID": "ct:1"}, Workload("chronos", "", "nightly", "ct:1")),
        ({}, {"MESOS_TASK_ID": "t.1", "MESOS_CONTAINER_NAME": "mesos-9"}, Workload("mesos", "", "mesos-9", "t.1")),
        ({**COMPOSE, **POD}, MARATHON, Workload("kubernetes", "shop", PODNAME, PODNAME, "nginx")),
    ],
)  # fmt: skip
def test_workload(labels: dict[str, str], environment: dict[str, str], want: Workload | None) -> None:
    assert workload(labels, environment) == want


@pytest.mark.parametrize(
    ("pod", "template_hash", "owner"),
    [
        ("web-7d4b9c6f5-x2x9k", "7d4b9c6f5", "web"),
        ("a-b-7d4b9c6f5-x2x9k", "7d4b9c6f5", "a-b"),
        ("web-0", "", "web-0"),
        ("web-1-2", "9", "web-1-2"),
        ("web-x.y-abc", "x.y", "web"),
        ("web-xzy-abc", "x.y", "web-xzy-abc"),  # the hash is text, not a pattern
    ],
)
def test_pod_owner(pod: str, template_hash: str, owner: str) -> None:
    assert pod_owner(pod, template_hash) == owner


@pytest.mark.parametrize(
    ("labels", "environment", "want"),
    [
        ({}, {}, ""),
        ({}, {"OTEL_SERVICE_NAME": "otel", "DD_SERVICE": "dd"}, "otel"),
        ({}, {"DD_SERVICE": "dd", "OTEL_RESOURCE_ATTRIBUTES": "service.name=attr"}, "dd"),
        ({"com.datadoghq.tags.service": "tag"}, {"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=my%20shop"}, "my shop"),
        ({"com.datadoghq.tags.service": "tag", **COMPOSE}, {}, "tag"),
        (COMPOSE, {}, "db"),
        (SWARM, {}, "web"),
        (POD, {}, ""),  # a pod is no service
    ],
)
def test_service(labels: dict[str, str], environment: dict[str, str], want: str) -> None:
    assert service(labels, environment, workload(labels, environment)) == want


def test_only_named_variables_are_kept() -> None:
    variables = [
        "PASSWORD=x",
        "DD_SERVICE=web=1",
        "DD_API_KEY=x",
        "OTEL_SERVICE_NAME=",
        "ODD",
        "AWS_SECRET=DD_SERVICE=no",
    ]
    assert known_environment(variables) == {"DD_SERVICE": "web=1"}


def test_resource_attributes_leave_out_what_is_malformed() -> None:
    assert resource_attributes("a=1, b = x%2Cy ,bad,=none,c=") == {"a": "1", "b": "x,y", "c": ""}


ALL_LABELS = ("app", "app.kubernetes.io/name", "com.docker.compose.service", "secret", "version")


@pytest.mark.parametrize(
    ("settings", "want"),
    [
        (LabelSettings(), ("app", "app.kubernetes.io/name", "com.docker.compose.service", "version")),
        (LabelSettings(allow=()), ()),
        (
            LabelSettings(allow=("*",)),
            ("app", "app.kubernetes.io/name", "com.docker.compose.service", "secret", "version"),
        ),
        (LabelSettings(allow=("*",), max_count=2), ("app", "app.kubernetes.io/name")),
        (LabelSettings(allow=("sec?et", "VERSION")), ("secret",)),
    ],
)
def test_kept_labels(settings: LabelSettings, want: tuple[str, ...]) -> None:
    labels = dict.fromkeys(reversed(ALL_LABELS), "v")
    assert kept_labels(labels, settings) == tuple((name, "v") for name in want)


def test_long_values_are_cut_between_characters() -> None:
    assert kept_labels({"app": "aüüü"}, LabelSettings(max_value_bytes=4)) == (("app", "aü"),)
