"""Labels of a container's target and of its info metric. Pure."""

from __future__ import annotations

import re

from agent.model import FoundContainer
from agent.sample.namespaces import NetworkNamespace
from deckwatch.wire.model import Container, Labels

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")


def printable(path: str) -> str:
    """A path as a label: bytes that are no UTF-8, which Python carries as lone surrogates, become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def target_labels(ident: str, found: FoundContainer | None) -> Labels:
    """As cAdvisor's: id, name, image; and under Kubernetes, as the kubelet's: namespace, pod, container.

    `ident` is the cgroup's path. Of a container that no engine told us of, the id is all there is.
    """
    labels = {"id": printable(ident)}
    if found is not None:
        labels |= {"name": found.container.name, "image": found.container.image}
        workload = found.container.workload
        if workload is not None and workload.orchestrator == "kubernetes":
            labels |= {
                "namespace": workload.namespace,
                "pod": workload.instance or workload.name,
                "container": workload.component,
            }
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def info_labels(container: Container) -> Labels:
    """What `container_info` adds: the labels that the allow list let through, as cAdvisor names them, and workload."""
    labels = {"container_label_" + _NOT_IN_NAMES.sub("_", name): value for name, value in container.labels}
    labels |= {"container_id": container.id, "runtime": container.runtime, "service": container.service}
    if (workload := container.workload) is not None:
        labels |= {
            "orchestrator": workload.orchestrator,
            "workload_namespace": workload.namespace,
            "workload": workload.name,
            "workload_instance": workload.instance,
            "workload_component": workload.component,
        }
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def namespace_labels(found: FoundContainer, network: NetworkNamespace | None) -> Labels:
    """Of `container_namespaces_info`: what it shares with the host or other containers, as its start said, and the
    network namespace that it really is in."""
    labels = {"network_mode": found.network_mode, **dict(found.namespace_modes)}
    if network is not None:
        labels |= {"network_namespace": network.inode, "network_counted_in": network.counted_in}
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def is_sandbox(container: Container) -> bool:
    """A pod's own container (pause), as containerd, cri-dockerd and the kubelet mark it."""
    labels = dict(container.labels)
    return (
        labels.get("io.cri-containerd.kind") == "sandbox"
        or labels.get("io.kubernetes.docker.type") == "podsandbox"
        or labels.get("io.kubernetes.container.name") == "POD"
    )
