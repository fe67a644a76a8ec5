"""A probe of a DNS server. Names are blackbox_exporter's (prober/dns.go)."""

from __future__ import annotations

import re
import time

from agent.checks.dns_client import PORT, ask
from agent.checks.dns_message import Message, Record, RecordType
from agent.checks.outcome import ProbeFailed, probe_labels
from agent.checks.settings import DnsProbe
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Column, Labels


class DnsCheck:
    kind = "dns"

    def __init__(self, settings: DnsProbe) -> None:
        self.labels: Labels = probe_labels(
            settings.server,
            {"query_name": settings.query_name, "query_type": settings.query_type, **settings.labels},
        )
        self.interval_s, self.timeout_s = settings.interval_s, settings.timeout_s
        self.title = f"{settings.query_name} at {settings.server}"
        self._settings = settings
        self._server = server_address(settings.server)

    async def look(self) -> dict[Column, float]:
        settings, begun = self._settings, time.monotonic()
        try:
            message = await ask(
                self._server,
                settings.query_name,
                RecordType[settings.query_type],
                tcp=settings.transport_protocol == "tcp",
                recurse=settings.recursion_desired,
            )
        except (OSError, Reject) as error:
            raise ProbeFailed(str(error), {Column("probe_dns_query_succeeded"): 0.0}) from None
        series = message_series(message) | {
            Column("probe_dns_duration_seconds", (("phase", "request"),)): time.monotonic() - begun
        }
        if failure := judge(settings, message):
            raise ProbeFailed(failure, series)
        return series

    def failed(self, why: str) -> dict[Column, float]:
        return {Column("probe_dns_query_succeeded"): 0.0}


def server_address(text: str) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[IPv6]:PORT`, or a bare IPv6 address. Pure."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        return text.strip("[]"), PORT
    return host.strip("[]"), int(port)


def message_series(message: Message) -> dict[Column, float]:
    series = {
        Column("probe_dns_query_succeeded"): 1.0,
        Column("probe_dns_answer_rrs"): float(len(message.answers)),
        Column("probe_dns_authority_rrs"): float(len(message.authority)),
        Column("probe_dns_additional_rrs"): float(len(message.additional)),
    }
    serials = [one.serial for one in (*message.answers, *message.authority) if one.serial is not None]
    if serials:
        series[Column("probe_dns_serial")] = float(serials[0])
    return series


def judge(settings: DnsProbe, message: Message) -> str:
    """Why it has failed; empty: it hasn't. Pure."""
    if message.status not in settings.valid_rcodes:
        return f"it answered {message.status}"
    records = [zone_line(record) for record in message.answers]
    for pattern in settings.fail_if_none_matches_regexp:
        if not any(re.search(pattern, record) for record in records):
            return f"no answer matches {pattern!r}; it said {'; '.join(records[:5]) or 'nothing'}"
    return ""


def zone_line(record: Record) -> str:
    names = {kind.value: kind.name for kind in RecordType}
    return f"{record.name} {record.ttl_s} {names.get(record.type, f'TYPE{record.type}')} {record.text}"
