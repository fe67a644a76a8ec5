"""Whom a container belongs to, told by its labels and environment. Pure.

Of the environment only the variables named here are ever looked at: the rest may hold secrets and is never kept.
Sources of the keys: Kubernetes pkg/kubelet/types/labels.go; Docker Compose and Swarm label namespaces; Marathon "Task
environment variables"; Nomad "Runtime environment"; Amazon ECS "Container labels"; OpenTelemetry "SDK environment
variables"; Datadog "Unified service tagging".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from urllib.parse import unquote

from agent.discover.settings import LabelSettings
from deckwatch.wire.model import Labels, Workload

ENVIRONMENT = frozenset(
    {
        "CHRONOS_JOB_NAME",
        "DD_SERVICE",
        "MARATHON_APP_ID",
        "MESOS_CONTAINER_NAME",
        "MESOS_TASK_ID",
        "NOMAD_ALLOC_ID",
        "NOMAD_JOB_NAME",
        "NOMAD_NAMESPACE",
        "NOMAD_TASK_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SERVICE_NAME",
    }
)
"""The only variables that are read."""

Texts = Mapping[str, str]


def known_environment(variables: Iterable[str]) -> dict[str, str]:
    """Of `NAME=value` those that tell of a workload or a service."""
    pairs = (variable.partition("=") for variable in variables)
    return {name: value for name, _, value in pairs if name in ENVIRONMENT and value}


def workload(labels: Texts, environment: Texts) -> Workload | None:
    """The orchestrator nearest to the container wins: a Kubernetes pod on a Compose-made node is a pod."""
    for read in (_kubernetes, _swarm, _compose, _nomad, _marathon, _ecs, _chronos, _rancher, _mesos):
        if (found := read(labels, environment)) is not None:
            return found
    return None


def service(labels: Texts, environment: Texts, owner: Workload | None) -> str:
    """`service.name`: what the program calls itself, else what its tags say, else the Compose or Swarm service."""
    said = (
        environment.get("OTEL_SERVICE_NAME")
        or environment.get("DD_SERVICE")
        or resource_attributes(environment.get("OTEL_RESOURCE_ATTRIBUTES", "")).get("service.name")
        or labels.get("com.datadoghq.tags.service")
    )
    if said:
        return said
    return owner.name if owner and owner.orchestrator in ("compose", "swarm") else ""


def resource_attributes(text: str) -> dict[str, str]:
    """`key=value,key=value`, values percent-encoded (OpenTelemetry resource SDK); what is malformed is left out."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, is_pair, value in pairs if is_pair and key.strip()}


def kept_labels(labels: Texts, settings: LabelSettings) -> Labels:
    """Those on the allow list, sorted, capped in number and length."""
    names = sorted(name for name in labels if any(fnmatchcase(name, pattern) for pattern in settings.allow))
    return tuple((name, _cut(labels[name], settings.max_value_bytes)) for name in names[: settings.max_count])


def _cut(value: str, most_bytes: int) -> str:
    raw = value.encode()
    return value if len(raw) <= most_bytes else raw[:most_bytes].decode(errors="ignore")


def pod_owner(pod: str, template_hash: str) -> str:
    """Deployment `web` names its pods `web-<template hash>-<5 letters>`; without the hash nobody can know."""
    match = re.fullmatch(rf"(.+)-{re.escape(template_hash)}-[a-z0-9]+", pod) if template_hash else None
    return match[1] if match else pod


def _kubernetes(labels: Texts, environment: Texts) -> Workload | None:
    pod = labels.get("io.kubernetes.pod.name")
    if not pod:
        return None
    return Workload(
        "kubernetes",
        namespace=labels.get("io.kubernetes.pod.namespace", ""),
        name=pod_owner(pod, labels.get("pod-template-hash", "")),
        instance=pod,
        component=labels.get("io.kubernetes.container.name", ""),
    )


def _swarm(labels: Texts, environment: Texts) -> Workload | None:
    """`docker stack deploy` names services `<stack>_<service>`; a task is `<service>.<slot or node>.<task id>`."""
    name = labels.get("com.docker.swarm.service.name")
    if not name:
        return None
    stack = labels.get("com.docker.stack.namespace", "")
    slot = labels.get("com.docker.swarm.task.name", "").removeprefix(f"{name}.").split(".")[0]
    short = name.removeprefix(f"{stack}_") if stack else name
    return Workload("swarm", namespace=stack, name=short, instance=slot or labels.get("com.docker.swarm.task.id", ""))


def _compose(labels: Texts, environment: Texts) -> Workload | None:
    name = labels.get("com.docker.compose.service")
    if not name:
        return None
    project, number = (labels.get(f"com.docker.compose.{key}", "") for key in ("project", "container-number"))
    return Workload("compose", namespace=project, name=name, instance=number)


def _nomad(labels: Texts, environment: Texts) -> Workload | None:
    if "NOMAD_ALLOC_ID" not in environment and "NOMAD_JOB_NAME" not in environment:
        return None
    keys = ("NOMAD_NAMESPACE", "NOMAD_JOB_NAME", "NOMAD_ALLOC_ID", "NOMAD_TASK_NAME")
    return Workload("nomad", *(environment.get(key, "") for key in keys))


def _marathon(labels: Texts, environment: Texts) -> Workload | None:
    """An app's id is a path: `/shop/web` is app `web` of group `shop`."""
    app = environment.get("MARATHON_APP_ID")
    if not app:
        return None
    group, _, name = app.strip("/").rpartition("/")
    return Workload("marathon", namespace=group, name=name, instance=environment.get("MESOS_TASK_ID", ""))


def _ecs(labels: Texts, environment: Texts) -> Workload | None:
    family = labels.get("com.amazonaws.ecs.task-definition-family")
    if not family:
        return None
    return Workload(
        "ecs",
        namespace=labels.get("com.amazonaws.ecs.cluster", ""),
        name=family,
        instance=labels.get("com.amazonaws.ecs.task-arn", "").rpartition("/")[2],
        component=labels.get("com.amazonaws.ecs.container-name", ""),
    )


def _chronos(labels: Texts, environment: Texts) -> Workload | None:
    job = environment.get("CHRONOS_JOB_NAME")
    return Workload("chronos", name=job, instance=environment.get("MESOS_TASK_ID", "")) if job else None


def _rancher(labels: Texts, environment: Texts) -> Workload | None:
    """Rancher 1: `io.rancher.stack_service.name` is `<stack>/<service>`."""
    name = labels.get("io.rancher.stack_service.name")
    if not name:
        return None
    instance = labels.get("io.rancher.container.name", "")
    return Workload("rancher", labels.get("io.rancher.stack.name", ""), name.rpartition("/")[2], instance)


def _mesos(labels: Texts, environment: Texts) -> Workload | None:
    task = environment.get("MESOS_TASK_ID")
    return Workload("mesos", name=environment.get("MESOS_CONTAINER_NAME", ""), instance=task) if task else None
