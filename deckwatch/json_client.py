"""What commands ask a collector in JSON: one request, its answer as a struct, faults as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from deckwatch.logs.target import Target
from deckwatch.runtime.faults import Reject, Retry, Unusable
from deckwatch.runtime.reach import why_unreachable

T = TypeVar("T")


class _Refusal(msgspec.Struct, frozen=True):
    """`message` is what Alertmanager's API says instead; or it says a text alone. Only where it is about a place in a
    query (`position`) does `error` leave out what was expected there."""

    error: str = ""
    expected: str = ""
    position: int | None = None
    message: str = ""


class JsonClient:
    """An async context manager. Faults: Retry where it may work later, Unusable or Reject where it won't."""

    def __init__(self, target: Target, tenant: str, *, timeout_s: float = 60.0) -> None:
        self._target = target
        self._tenant = {"tenant": tenant} if tenant else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._target.tls or True)
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._target.headers(), timeout=self._timeout
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """Parameters that are empty are left out."""
        raw = await self.ask_raw(method, path, parameters, body)
        try:
            return msgspec.json.decode(raw, type=answer)
        except msgspec.DecodeError as error:
            raise Unusable(f"{self._where} gave an answer that can't be read: {error}") from None

    async def ask_raw(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
    ) -> bytes:
        assert self._session is not None, "use `async with`"  # noqa: S101
        url = self._target.url.joinpath(path)
        given = {name: value for name, value in (parameters or {}).items() if value}
        sent = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        try:
            asked = self._session.request(
                method, url, params={**given, **self._tenant}, data=sent, allow_redirects=False
            )
            async with asked as response:
                raw, status = await response.read(), response.status
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise Retry(f"can't reach {self._where}: {why_unreachable(error, url, options='--')}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retry(f"{self._where} gave no whole answer: {str(error) or 'it took too long'}") from None
        if status == 200:
            return raw
        raise _fault(status, raw, self._where)

    @property
    def _where(self) -> str:
        return f"the collector at {self._target.url} (from {self._target.origin})"


def _fault(status: int, body: bytes, where: str) -> Exception:
    if status in (401, 403):
        return Unusable(f"{where} wants a token: give it with --token-file or DECKWATCH_TOKEN")
    try:
        refusal = msgspec.json.decode(body, type=_Refusal | str)
    except msgspec.DecodeError:
        return Unusable(f"{where} answered {status}: is it a collector of this version?")
    if isinstance(refusal, str):
        refusal = _Refusal(refusal)
    said = (refusal.error or refusal.message) + (
        f"; expected {refusal.expected}" if refusal.expected and refusal.position is not None else ""
    )
    return Retry(f"{where}: {said}") if status >= 500 else Reject(said)
