"""What `deckwatch alerts`, `silence` and `why` ask the collector: Alertmanager's API v2, and one path of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from deckwatch.json_client import JsonClient
from deckwatch.runtime.faults import Unusable

_MATCHER = re.compile(r"\s*(?P<name>[^=!~\s]+)\s*(?P<op>=~|!=|!~|=)\s*(?P<value>.*?)\s*", re.DOTALL)


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True

    def __str__(self) -> str:
        op = ("=~" if self.is_equal else "!~") if self.is_regex else "=" if self.is_equal else "!="
        return f"{self.name}{op}{msgspec.json.encode(self.value).decode()}"


class Status(msgspec.Struct, frozen=True, rename="camel"):
    state: str
    inhibited_by: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()


class Receiver(msgspec.Struct, frozen=True):
    name: str


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    status: Status
    receivers: tuple[Receiver, ...] = ()


class SilenceStatus(msgspec.Struct, frozen=True):
    state: str


class Silence(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    status: SilenceStatus
    matchers: tuple[Matcher, ...]
    starts_at: str
    ends_at: str
    created_by: str = ""
    comment: str = ""


class Integration(msgspec.Struct, frozen=True):
    integration: str
    told_ns: int
    knows: bool
    waiting: int
    attempts: int
    reason: str
    repeat_ns: int


class Route(msgspec.Struct, frozen=True):
    receiver: str
    route: str
    group_key: str
    group_wait_ns: int
    group_interval_ns: int
    repeat_interval_ns: int
    next_ns: int
    alerts: int
    muted: str
    intervals: tuple[str, ...]
    integrations: tuple[Integration, ...]
    held: str = ""


class Why(msgspec.Struct, frozen=True):
    fingerprint: str
    labels: tuple[tuple[str, str], ...]
    state: str
    starts_ns: int
    inhibited_by: str
    silenced_by: tuple[str, ...]
    routes: tuple[Route, ...]


class Reasons(msgspec.Struct, frozen=True):
    now_ns: int
    alerts: tuple[Why, ...]


class _Made(msgspec.Struct, frozen=True, rename={"silence_id": "silenceID"}):
    silence_id: str


class AlertClient(JsonClient):
    async def alerts(self, filters: Sequence[str], receiver: str, flags: Mapping[str, bool]) -> tuple[Alert, ...]:
        """`flags`: of active, silenced, inhibited those that are asked for."""
        asked = {name: "true" if wanted else "false" for name, wanted in flags.items()}
        return await self.ask(
            "GET", "api/v2/alerts", tuple[Alert, ...], {"filter": filters, "receiver": receiver, **asked}
        )

    async def silences(self, filters: Sequence[str]) -> tuple[Silence, ...]:
        return await self.ask("GET", "api/v2/silences", tuple[Silence, ...], {"filter": filters})

    async def silence(self, matchers: Sequence[Matcher], start: str, end: str, by: str, comment: str) -> str:
        """Its id."""
        body: dict[str, Any] = {
            "matchers": msgspec.to_builtins(matchers),
            "startsAt": start,
            "endsAt": end,
            "createdBy": by,
            "comment": comment,
        }
        return (await self.ask("POST", "api/v2/silences", _Made, None, body)).silence_id

    async def expire(self, id_: str) -> None:
        await self.ask_raw("DELETE", f"api/v2/silence/{id_}")

    async def why(self, fingerprint: str, labels: str) -> Reasons:
        return await self.ask("GET", "api/v1/why", Reasons, {"fingerprint": fingerprint, "labels": labels})


def read_matcher(text: str) -> Matcher:
    """`severity=critical`, `host=~"web.*"`; a word alone is the alertname, as amtool has it. Raises Unusable."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        if text and not set(text) & set("=!~"):
            return Matcher("alertname", text, False)
        raise Unusable(f"{text!r} is no matcher; expected name=value, name!=value, name=~regex or name!~regex")
    value = found["value"]
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            value = msgspec.json.decode(value, type=str)
        except msgspec.DecodeError:
            value = value[1:-1]
    return Matcher(found["name"].strip('"'), value, found["op"].endswith("~"), found["op"].startswith("="))
