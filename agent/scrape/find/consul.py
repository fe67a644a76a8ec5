"""Targets from Consul's HTTP API. Meta labels: Prometheus "consul_sd_config"."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from agent.scrape.find.discovery import Look
from agent.scrape.find.web import get_json
from agent.scrape.settings import ConsulSd
from agent.scrape.target import Found
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.http_client import HttpClient

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_AT_ONCE = 8


class Node(msgspec.Struct, frozen=True, rename="pascal"):
    node: str = ""
    address: str = ""
    datacenter: str = ""
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None


class Service(msgspec.Struct, frozen=True, rename="pascal"):
    id: str = msgspec.field(default="", name="ID")
    service: str = ""
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] | None = None
    meta: dict[str, str] | None = None


class Check(msgspec.Struct, frozen=True, rename="pascal"):
    status: str = ""


class Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """One of `/v1/health/service/<name>`."""

    node: Node
    service: Service
    checks: tuple[Check, ...] | None = None


class ConsulTargets:
    name = "consul"

    def __init__(self, config: ConsulSd) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self.interval_s = duration_s(config.refresh_interval) or 30.0
        self._config = config
        self._client = HttpClient(config)
        self._base = f"{config.scheme}://{config.server}/v1"
        self._query = "?" + urlencode({"dc": config.datacenter}) if config.datacenter else ""

    async def look(self) -> Look:
        names = self._config.services or await self._names()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def entries(name: str) -> tuple[Entry, ...]:
            url = f"{self._base}/health/service/{quote(name, safe='')}{self._query}"
            async with gate:
                return await get_json(self._client, url, tuple[Entry, ...])

        answers = await asyncio.gather(*(entries(name) for name in sorted(names)))
        wanted = set(self._config.tags)
        found = [
            consul_target(entry, self._config.tag_separator)
            for answer in answers
            for entry in answer
            if wanted <= set(entry.service.tags or ())
        ]
        return Look(sorted(found, key=lambda one: one.labels))

    async def close(self) -> None:
        await self._client.close()

    async def _names(self) -> tuple[str, ...]:
        services = await get_json(
            self._client, f"{self._base}/catalog/services{self._query}", dict[str, tuple[str, ...] | None]
        )
        wanted = set(self._config.tags)
        return tuple(name for name, tags in services.items() if wanted <= set(tags or ()))


def consul_target(entry: Entry, separator: str) -> Found:
    """Pure."""
    node, service = entry.node, entry.service
    address = service.address or node.address
    tags = service.tags or ()
    labels = {
        "__address__": f"{f'[{address}]' if ':' in address else address}:{service.port}",
        "__meta_consul_address": node.address,
        "__meta_consul_dc": node.datacenter,
        "__meta_consul_health": health(entry.checks or ()),
        "__meta_consul_node": node.node,
        "__meta_consul_service": service.service,
        "__meta_consul_service_address": service.address,
        "__meta_consul_service_id": service.id,
        "__meta_consul_service_port": str(service.port),
        "__meta_consul_tags": separator + separator.join(tags) + separator if tags else "",
    }
    return Found.of(
        labels,
        _prefixed("__meta_consul_metadata_", node.meta),
        _prefixed("__meta_consul_service_metadata_", service.meta),
        _prefixed("__meta_consul_tagged_address_", node.tagged_addresses),
    )


def health(checks: tuple[Check, ...]) -> str:
    """The worst, as Consul's AggregatedStatus."""
    states = {check.status for check in checks}
    return next((state for state in ("maintenance", "critical", "warning") if state in states), "passing")


def _prefixed(prefix: str, values: Mapping[str, str] | None) -> dict[str, str]:
    return {prefix + _NOT_IN_NAMES.sub("_", name): value for name, value in (values or {}).items()}
