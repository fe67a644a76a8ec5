"""Targets from DNS. Meta labels: Prometheus "dns_sd_config"."""

from __future__ import annotations

import asyncio

from agent.checks.dns_client import look_up
from agent.checks.dns_message import Message, RecordType
from agent.scrape.find.discovery import Look
from agent.scrape.settings import DnsSd
from agent.scrape.target import Found
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Fault


class DnsTargets:
    """A name that can't be asked for keeps the targets that it had."""

    name = "dns"

    def __init__(self, config: DnsSd) -> None:
        self.interval_s = duration_s(config.refresh_interval) or 30.0
        self._config = config
        self._known: dict[str, list[Found]] = {}

    async def look(self) -> Look:
        troubles = await asyncio.gather(*(self._ask(name) for name in self._config.names))
        found = [found for name in self._config.names for found in self._known.get(name, ())]
        return Look(found, "; ".join(filter(None, troubles)))

    async def close(self) -> None:
        return

    async def _ask(self, name: str) -> str:
        try:
            message = await look_up(name, RecordType[self._config.type])
        except (Fault, OSError) as error:
            return str(error)
        self._known[name] = dns_targets(name, message, self._config.port)
        return ""


def dns_targets(name: str, message: Message, port: int) -> list[Found]:
    """In the order of their addresses: a server turns its answers round. Pure."""
    found = []
    for record in message.answers:
        labels = {"__meta_dns_name": name}
        if record.type == RecordType.SRV:
            _, _, srv_port, target = record.text.split()
            labels |= {
                "__meta_dns_srv_record_target": target,
                "__meta_dns_srv_record_port": srv_port,
                "__address__": f"{target.rstrip('.')}:{srv_port}",
            }
        elif record.type in (RecordType.A, RecordType.AAAA):
            address = f"[{record.text}]" if record.type == RecordType.AAAA else record.text
            labels["__address__"] = f"{address}:{port}"
        else:
            continue  # the CNAMEs on the way
        found.append(Found.of(labels))
    return sorted(found, key=lambda one: one.labels)
