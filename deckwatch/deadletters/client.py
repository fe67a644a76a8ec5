"""What `deckwatch deadletter` asks the collector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Self, TypeVar

import aiohttp
import msgspec

from deckwatch.logs.target import Target
from deckwatch.runtime.faults import Reject, Retry, Unusable
from deckwatch.runtime.reach import why_unreachable

T = TypeVar("T")

PATH = "api/v1/dead-letters"
_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10)
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


class _Refusal(msgspec.Struct, frozen=True):
    error: str
    expected: str = ""


class DeadLetterClient:
    """An async context manager. Faults: Retry where it may work later, Unusable or Reject where it won't."""

    def __init__(self, target: Target, tenant: str) -> None:
        self._target = target
        self._tenant = {"tenant": tenant} if tenant else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._target.tls or True)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._target.headers(), timeout=_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def letters(self, since: str) -> AsyncIterator[Letter]:
        after = ""
        while True:
            wanted = {"start": since, "after": after}
            page = await self._ask("GET", PATH, {name: value for name, value in wanted.items() if value}, Page)
            for letter in page.dead_letters:
                yield letter
            if not page.next:
                return
            after = page.next

    async def show(self, id_: str) -> Shown:
        return await self._ask("GET", f"{PATH}/show", {"id": id_}, Shown)

    async def retry(self, ids: tuple[str, ...], as_: str) -> Retried:
        """No ids: all of them."""
        return await self._ask("POST", f"{PATH}/retry", _which(ids) | ({"as": as_} if as_ else {}), Retried)

    async def delete(self, ids: tuple[str, ...]) -> Deleted:
        """No ids: all of them."""
        return await self._ask("DELETE", PATH, _which(ids), Deleted)

    async def _ask(self, method: str, path: str, parameters: Mapping[str, str], answer: type[T]) -> T:
        assert self._session is not None, "use `async with`"  # noqa: S101
        url = self._target.url.joinpath(path)
        where = f"the collector at {self._target.url} (from {self._target.origin})"
        try:
            asked = self._session.request(method, url, params={**parameters, **self._tenant}, allow_redirects=False)
            async with asked as response:
                body, status = await response.read(), response.status
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Retry(f"can't reach {where}: {why_unreachable(error, url, options='--')}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retry(f"{where} gave no whole answer: {str(error) or 'it took too long'}") from None
        if status == 200:
            return _decoded(body, answer, where)
        raise _fault(status, body, where)


def _which(ids: tuple[str, ...]) -> dict[str, str]:
    return {"id": ",".join(ids)} if ids else {"all": "true"}


def _decoded(body: bytes, answer: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(body, type=answer)
    except msgspec.DecodeError as error:
        raise Unusable(f"{where} gave an answer that can't be read: {error}") from None


def _fault(status: int, body: bytes, where: str) -> Exception:
    if status in (401, 403):
        return Unusable(f"{where} wants a token: give it with --token-file or DECKWATCH_TOKEN")
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        return Unusable(f"{where} answered {status}: is it a collector of this version?")
    said = refusal.error + (f"; expected {refusal.expected}" if refusal.expected else "")
    return Retry(f"{where}: {said}") if status >= 500 else Reject(said)
