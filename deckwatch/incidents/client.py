"""What `deckwatch incidents` and `deckwatch ack` ask the collector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from deckwatch.json_client import JsonClient

PATH = "api/v1/incidents"
_PAGE = "200"


class Untold(msgspec.Struct, frozen=True):
    receiver: str
    why: str


class Incident(msgspec.Struct, frozen=True):
    """As much of it as is shown."""

    id: str
    title: str
    state: str
    rule: str
    opened: str
    duration_s: float
    alerts_firing: int
    events: int
    alerts: int = 0
    team: str = ""
    ended: str = ""
    owner: str = ""
    held: str = ""
    assignee: str = ""
    reopened: int = 0
    flaps: int = 0
    not_told: tuple[Untold, ...] = ()


class Entry(msgspec.Struct, frozen=True):
    """Of a timeline."""

    at: str
    by: str
    message: str


class Alert(msgspec.Struct, frozen=True):
    state: str
    labels: dict[str, str]
    annotations: dict[str, str]
    joined: str
    times: int
    ended: str = ""


class Whole(msgspec.Struct, frozen=True):
    incident: Incident
    alerts: tuple[Alert, ...]
    timeline: tuple[Entry, ...]


class Changed(msgspec.Struct, frozen=True):
    incident: Incident


class Times(msgspec.Struct, frozen=True):
    count: int
    mean_s: float
    p90_s: float


class Statistics(msgspec.Struct, frozen=True):
    name: str
    periods: int
    acknowledged: int
    ended: int
    unattended: int
    flaps: int
    noise: float | None = None
    to_acknowledge: Times | None = None
    to_resolve: Times | None = None


class _Page(msgspec.Struct, frozen=True):
    incidents: tuple[Incident, ...]
    next: str = ""


class _RawPage(msgspec.Struct, frozen=True):
    incidents: tuple[msgspec.Raw, ...]
    next: str = ""


class _StatisticsAnswer(msgspec.Struct, frozen=True):
    statistics: tuple[Statistics, ...]


class IncidentClient(JsonClient):
    async def incidents(self, choice: Mapping[str, str]) -> AsyncIterator[Incident]:
        """Newest first, page by page as they are asked for."""
        cursor = ""
        while True:
            page = await self.ask("GET", PATH, _Page, {**choice, "cursor": cursor, "limit": _PAGE})
            for incident in page.incidents:
                yield incident
            if not page.next:
                return
            cursor = page.next

    async def raw_incidents(self, choice: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Likewise, as the collector wrote them."""
        cursor = ""
        while True:
            page = await self.ask("GET", PATH, _RawPage, {**choice, "cursor": cursor, "limit": _PAGE})
            for incident in page.incidents:
                yield bytes(incident)
            if not page.next:
                return
            cursor = page.next

    async def whole(self, id_: str) -> Whole:
        return await self.ask("GET", f"{PATH}/{id_}", Whole)

    async def raw(self, id_: str) -> bytes:
        return await self.ask_raw("GET", f"{PATH}/{id_}")

    async def report(self, id_: str) -> bytes:
        return await self.ask_raw("GET", f"{PATH}/{id_}/report.md")

    async def do(self, id_: str, verb: str, body: Mapping[str, Any]) -> Incident:
        return (await self.ask("POST", f"{PATH}/{id_}/{verb}", Changed, body=body)).incident

    async def statistics(self, by: str, since: str) -> tuple[Statistics, ...]:
        answer = await self.ask("GET", f"{PATH}/statistics", _StatisticsAnswer, {"by": by, "start": since})
        return answer.statistics
