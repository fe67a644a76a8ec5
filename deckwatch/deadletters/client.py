"""What `deckwatch deadletter` asks the collector."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from deckwatch.json_client import JsonClient
from deckwatch.logs.target import Target

PATH = "api/v1/dead-letters"
_TIMEOUT_S = 600.0
"""Many letters that are tried again take a while."""


class Letter(msgspec.Struct, frozen=True):
    id: str
    received: str
    reason: str
    bytes: int
    host: str = ""
    source: str = ""
    container: str = ""
    stream: str = ""
    offset: int = 0
    end: int = 0
    format: str = ""
    attempts: int = 0
    tried: str = ""


class Page(msgspec.Struct, frozen=True):
    dead_letters: tuple[Letter, ...]
    next: str = ""  # id behind which the next page begins


class Payload(msgspec.Struct, frozen=True):
    text: str
    base64: str


class Shown(Letter, frozen=True, kw_only=True):
    payload: Payload


class Failure(msgspec.Struct, frozen=True):
    id: str
    error: str


class Retried(msgspec.Struct, frozen=True):
    stored: int
    failed: int
    records: int
    failures: tuple[Failure, ...] = ()  # the first of them


class Deleted(msgspec.Struct, frozen=True):
    deleted: int


class DeadLetterClient(JsonClient):
    def __init__(self, target: Target, tenant: str) -> None:
        super().__init__(target, tenant, timeout_s=_TIMEOUT_S)

    async def letters(self, since: str) -> AsyncIterator[Letter]:
        after = ""
        while True:
            page = await self.ask("GET", PATH, Page, {"start": since, "after": after})
            for letter in page.dead_letters:
                yield letter
            if not page.next:
                return
            after = page.next

    async def show(self, id_: str) -> Shown:
        return await self.ask("GET", f"{PATH}/show", Shown, {"id": id_})

    async def retry(self, ids: tuple[str, ...], as_: str) -> Retried:
        """No ids: all of them."""
        return await self.ask("POST", f"{PATH}/retry", Retried, _which(ids) | {"as": as_})

    async def delete(self, ids: tuple[str, ...]) -> Deleted:
        """No ids: all of them."""
        return await self.ask("DELETE", PATH, Deleted, _which(ids))


def _which(ids: tuple[str, ...]) -> dict[str, str]:
    return {"id": ",".join(ids)} if ids else {"all": "true"}
