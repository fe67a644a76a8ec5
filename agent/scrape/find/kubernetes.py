"""Pods as targets, from the API server or from the node's kubelet. Meta labels: Prometheus "kubernetes_sd_config", role
pod. Both give a PodList (Kubernetes API, core/v1)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import msgspec

from agent.scrape.find.discovery import Look
from agent.scrape.find.web import get_json
from agent.scrape.settings import KubernetesSd
from agent.scrape.target import IDENTITY, Found
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.http_client import HttpClient
from deckwatch.runtime.http_settings import Authorization

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    kind: str = ""
    name: str = ""
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()


class Port(msgspec.Struct, frozen=True, rename="camel"):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class PodContainer(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    image: str = ""
    ports: tuple[Port, ...] = ()


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    containers: tuple[PodContainer, ...] = ()
    init_containers: tuple[PodContainer, ...] = ()


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    status: str = ""


class ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    container_id: str = msgspec.field(default="", name="containerID")


class Status(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    host_ip: str = msgspec.field(default="", name="hostIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()


class PodList(msgspec.Struct, frozen=True):
    items: tuple[Pod, ...] | None = None


class PodTargets:
    name = "kubernetes"

    def __init__(self, config: KubernetesSd, env: Mapping[str, str] = os.environ) -> None:
        """Raises Unusable where neither the settings nor the environment name a server."""
        self.interval_s = duration_s(config.refresh_interval) or 15.0
        self._namespaces = frozenset(config.namespaces)
        self.url = pods_url(config, env)
        self._client = HttpClient(_with_account(config))

    async def look(self) -> Look:
        pods = await get_json(self._client, self.url, PodList)
        wanted = [pod for pod in pods.items or () if not self._namespaces or pod.metadata.namespace in self._namespaces]
        return Look(sorted((found for pod in wanted for found in pod_targets(pod)), key=lambda one: one.labels))

    async def close(self) -> None:
        await self._client.close()


def pods_url(config: KubernetesSd, env: Mapping[str, str]) -> str:
    """Pure. Raises Unusable."""
    url = config.url
    if not url and (host := env.get("KUBERNETES_SERVICE_HOST")):
        url = f"https://{f'[{host}]' if ':' in host else host}:{env.get('KUBERNETES_SERVICE_PORT', '443')}"
    if not url:
        raise Unusable("kubernetes_sd_configs: url is not set, and no KUBERNETES_SERVICE_HOST is in the environment")
    if urlsplit(url).path.rstrip("/"):
        return url  # a kubelet's, which knows the pods of its node only
    node = config.node_name or env.get("NODE_NAME", "")
    query = "?" + urlencode({"fieldSelector": f"spec.nodeName={node}"}) if node else ""
    return f"{url.rstrip('/')}/api/v1/pods{query}"


def _with_account(config: KubernetesSd) -> KubernetesSd:
    """A pod's service account, where nothing else is set."""
    token, authorities = ACCOUNT / "token", ACCOUNT / "ca.crt"
    if config.basic_auth is None and config.authorization is None and token.exists():
        config = msgspec.structs.replace(config, authorization=Authorization(token))
    if config.tls_config.ca_file is None and authorities.exists():
        config = msgspec.structs.replace(
            config, tls_config=msgspec.structs.replace(config.tls_config, ca_file=authorities)
        )
    return config


def pod_targets(pod: Pod) -> Iterator[Found]:
    """One for each declared port, or one for a container without any. Pure."""
    if not pod.status.pod_ip or pod.status.phase in ("Succeeded", "Failed"):
        return
    common = _pod_labels(pod)
    ids = {status.name: status.container_id.partition("://")[2] for status in pod.status.container_statuses}
    address = f"[{pod.status.pod_ip}]" if ":" in pod.status.pod_ip else pod.status.pod_ip
    for init, containers in ((False, pod.spec.containers), (True, pod.spec.init_containers)):
        for container in containers:
            about = {
                "__meta_kubernetes_pod_container_name": container.name,
                "__meta_kubernetes_pod_container_image": container.image,
                "__meta_kubernetes_pod_container_init": str(init).lower(),
                "__meta_kubernetes_pod_container_id": ids.get(container.name, ""),
                IDENTITY + "namespace": pod.metadata.namespace,
                IDENTITY + "pod": pod.metadata.name,
                IDENTITY + "container": container.name,
                IDENTITY + "container_id": ids.get(container.name, ""),
            }
            if not container.ports:
                yield Found.of(common, about, {"__address__": address})
            for port in container.ports:
                more = {
                    "__address__": f"{address}:{port.container_port}",
                    "__meta_kubernetes_pod_container_port_name": port.name,
                    "__meta_kubernetes_pod_container_port_number": str(port.container_port),
                    "__meta_kubernetes_pod_container_port_protocol": port.protocol,
                }
                yield Found.of(common, about, more)


def _pod_labels(pod: Pod) -> dict[str, str]:
    about, ready = pod.metadata, next((one for one in pod.status.conditions if one.type == "Ready"), None)
    owner = next((one for one in about.owner_references if one.controller), Owner())
    labels = {
        "__meta_kubernetes_namespace": about.namespace,
        "__meta_kubernetes_pod_name": about.name,
        "__meta_kubernetes_pod_uid": about.uid,
        "__meta_kubernetes_pod_ip": pod.status.pod_ip,
        "__meta_kubernetes_pod_host_ip": pod.status.host_ip,
        "__meta_kubernetes_pod_node_name": pod.spec.node_name,
        "__meta_kubernetes_pod_phase": pod.status.phase,
        "__meta_kubernetes_pod_ready": ready.status.lower() if ready else "unknown",
        "__meta_kubernetes_pod_controller_kind": owner.kind,
        "__meta_kubernetes_pod_controller_name": owner.name,
    }
    for kind, texts in (("label", about.labels), ("annotation", about.annotations)):
        for name, value in texts.items():
            safe = _NOT_IN_NAMES.sub("_", name)
            labels[f"__meta_kubernetes_pod_{kind}_{safe}"] = value
            labels[f"__meta_kubernetes_pod_{kind}present_{safe}"] = "true"
    return labels
