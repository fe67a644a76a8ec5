"""Containers as targets: all of them with Docker's meta labels, or those that ask for it.

Meta labels: Prometheus "docker_sd_config". Hints: the annotations of Prometheus' Kubernetes examples
(`prometheus.io/scrape`, `port`, `path`, `scheme`), and the same words as Docker labels are written
(`prometheus.scrape`, `prometheus_io_scrape`, `io.prometheus.scrape`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from agent.model import ContainerState, Endpoint, FoundContainer, Inventory
from agent.sample.labels import is_sandbox
from agent.scrape.find.discovery import Look
from agent.scrape.settings import ContainerScrapes, DockerSd
from agent.scrape.target import IDENTITY, Found

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_HINT = re.compile(r"(?:annotation[._/-])?(?:prometheus[._/-]io|io[._/-]prometheus|prometheus)[._/-](\w+)")
_HINTS = frozenset({"scrape", "port", "path", "scheme", "job"})
_TRUE = frozenset({"true", "1", "yes", "on"})
CONTAINERS_JOB = "containers"

Containers = Mapping[str, FoundContainer]


class ContainerTargets:
    """Looks at the inventory; to be woken when that changes."""

    name = "docker"
    interval_s = 86_400.0

    def __init__(self, inventory: Inventory, choose: Callable[[Containers], list[Found]]) -> None:
        self._inventory = inventory
        self._choose = choose

    async def look(self) -> Look:
        return Look(self._choose(self._inventory.containers))

    async def close(self) -> None:
        return


def hints(labels: Mapping[str, str]) -> dict[str, str]:
    """What a container's labels say of being scraped."""
    found = ((_HINT.fullmatch(name), value) for name, value in labels.items())
    return {match[1]: value.strip() for match, value in found if match and match[1] in _HINTS}


def asking(containers: Containers, settings: ContainerScrapes) -> list[Found]:
    """A target for each running container that asks to be scraped, of those whose address is known."""
    found = []
    for container in _running(containers):
        wanted = hints(dict(_endpoint(container).labels))
        if wanted.get("scrape", "").lower() in _TRUE and (one := _asked(container, wanted, containers, settings)):
            found.append(one)
    return found


def _asked(
    container: FoundContainer, wanted: Mapping[str, str], containers: Containers, settings: ContainerScrapes
) -> Found | None:
    address = _address(container, containers, settings.host_address)
    port = wanted.get("port") or _first_port(container)
    if not address or not port:
        return Found.of({"job": CONTAINERS_JOB, "__address__": ""}, identity(container))
    labels = {"__address__": f"{_bracketed(address)}:{port}", "job": wanted.get("job") or _job(container)}
    if path := wanted.get("path"):
        labels["__metrics_path__"] = path
    if scheme := wanted.get("scheme"):
        labels["__scheme__"] = scheme.lower()
    return Found.of(labels, identity(container))


def identity(container: FoundContainer) -> dict[str, str]:
    """Whose series they are: container_id, name, image; and under Kubernetes namespace, pod, container."""
    known = container.container
    labels = {"container_id": known.id, "name": known.name, "image": known.image}
    if known.workload is not None and known.workload.orchestrator == "kubernetes":
        labels |= {
            "namespace": known.workload.namespace,
            "pod": known.workload.instance or known.workload.name,
            "container": "" if is_sandbox(known) else known.workload.component,
        }
    return {IDENTITY + name: value for name, value in labels.items() if value}


def described(containers: Containers, settings: DockerSd) -> list[Found]:
    """A target for each network and TCP port of each running container, as docker_sd_configs finds them."""
    return [found for container in _running(containers) for found in _described(container, containers, settings)]


def _described(container: FoundContainer, containers: Containers, settings: DockerSd) -> Iterator[Found]:
    known, endpoint = container.container, _endpoint(container)
    common = {
        "__meta_docker_container_id": known.id,
        "__meta_docker_container_name": f"/{known.name}",
        "__meta_docker_container_network_mode": container.network_mode,
        **{f"__meta_docker_container_label_{_NOT_IN_NAMES.sub('_', name)}": text for name, text in endpoint.labels},
        **identity(container),
    }
    if container.network_mode == "host":
        yield Found.of(common, {"__address__": settings.host_networking_host})
        return
    owner = _owner(container, containers)
    for network, address in _endpoint(owner).networks:
        about = {"__meta_docker_network_name": network, "__meta_docker_network_ip": address}
        for port in endpoint.tcp_ports or (settings.port,):
            more = {"__meta_docker_port_private": str(port)} if endpoint.tcp_ports else {}
            yield Found.of(common, about, more, {"__address__": f"{_bracketed(address)}:{port}"})


def _running(containers: Containers) -> list[FoundContainer]:
    return [found for _, found in sorted(containers.items()) if found.state is ContainerState.RUNNING]


def _endpoint(container: FoundContainer) -> Endpoint:
    return container.endpoint or Endpoint()


def _owner(container: FoundContainer, containers: Containers) -> FoundContainer:
    """Whose network namespace it lives in."""
    kind, _, ident = container.network_mode.partition(":")
    return containers.get(ident, container) if kind == "container" else container


def _address(container: FoundContainer, containers: Containers, host_address: str) -> str:
    owner = _owner(container, containers)
    if owner.network_mode == "host":
        return host_address
    return next((address for _, address in _endpoint(owner).networks if address), "")


def _first_port(container: FoundContainer) -> str:
    ports = _endpoint(container).tcp_ports
    return str(ports[0]) if ports else ""


def _job(container: FoundContainer) -> str:
    known = container.container
    return known.service or (known.workload.name if known.workload else "") or known.name or CONTAINERS_JOB


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
