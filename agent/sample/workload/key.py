"""Whose counters a container's figures go to. Pure."""

from __future__ import annotations

import re

import msgspec

from agent.sample.attribution import pod_uid
from agent.sample.labels import printable
from deckwatch.wire.model import Container, Labels


class WorkloadKey(msgspec.Struct, frozen=True, array_like=True):
    """The words of `container_info`: so the series can be joined."""

    orchestrator: str
    namespace: str
    name: str

    def labels(self) -> Labels:
        pairs = (("orchestrator", self.orchestrator), ("workload", self.name), ("workload_namespace", self.namespace))
        return tuple((name, value) for name, value in pairs if value)


OTHER = WorkloadKey("", "", "(other)")
"""Where there are more workloads than are counted one by one."""

CGROUP = "cgroup"
"""`orchestrator` of what is known by the group that it was in alone."""


def key_of(container: Container) -> WorkloadKey:
    """Replicas and the containers of a pod count together. A container that no orchestrator started belongs to its
    image, whatever its version: names that Docker makes up are new each time."""
    workload = container.workload
    if workload is not None and workload.name:
        pod_alone = workload.orchestrator == "kubernetes" and workload.name == workload.instance
        name = pod_owner(workload.name) if pod_alone else workload.name
        return WorkloadKey(workload.orchestrator, workload.namespace, name)
    return WorkloadKey(container.runtime, "", repository(container.image) or container.name)


_RANDOM = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes random names of: no vowels, so no words (k8s.io/apimachinery util/rand)."""
_POD_NAMES = (
    re.compile(rf"(.+)-[{_RANDOM}]{{6,10}}-[{_RANDOM}]{{5}}"),  # Deployment: template hash, pod
    re.compile(rf"(.+)-\d{{8,10}}-[{_RANDOM}]{{5}}"),  # CronJob: the job's minute
    re.compile(rf"(.+)-[{_RANDOM}]{{5}}"),  # DaemonSet, Job, ReplicaSet
    re.compile(r"(.+)-\d+"),  # StatefulSet: ordinal
)


def pod_owner(pod: str) -> str:
    """By the shape of its name, where neither labels nor the API tell: the name is all that log folders have."""
    for shape in _POD_NAMES:
        if match := shape.fullmatch(pod):
            return match[1]
    return pod


def group_key(path: str) -> WorkloadKey:
    """Of containers that nobody named: the group that they are in, above the pods, whose names are new each time."""
    parts = path.split("/")
    while parts and pod_uid(parts[-1:]):
        parts.pop()
    return WorkloadKey(CGROUP, "", printable("/".join(parts)) or "/")


def repository(image: str) -> str:
    """`registry.example:5000/shop/web:1.4@sha256:...` without tag and digest; an image that is only known by its digest
    has no name that lasts."""
    name = image.partition("@")[0]
    path, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = path
    return "" if name == "sha256" else name
