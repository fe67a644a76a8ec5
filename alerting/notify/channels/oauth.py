"""Access tokens by OAuth 2's client credentials grant (RFC 6749, 4.4), kept until shortly before they end."""

from __future__ import annotations

import time

import aiohttp
import msgspec

from alerting.notify.channels.http_config import OAuth2, tls_context
from alerting.notify.channels.secrets import SecretText, basic_auth, host_of
from deckwatch.runtime.faults import Reject, Retry

_EARLY_S = 30.0
"""A token is renewed so long before it ends: clocks differ, and a message takes time."""
_DEFAULT_LIFE_S = 300.0
"""Where the server doesn't say how long a token lives (expires_in is optional)."""


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = _DEFAULT_LIFE_S


class TokenSource:
    def __init__(self, config: OAuth2, *, timeout_s: float) -> None:
        """Raises ValueError: certificates that can't be used."""
        self._config = config
        self._secret = SecretText(config.client_secret, config.client_secret_file)
        self._tls = tls_context(config.tls_config)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._ends_s = 0.0  # monotonic

    async def token(self) -> str:
        """Raises Retry: no answer, or one that may pass. Raises Reject: the server refuses these credentials."""
        if time.monotonic() >= self._ends_s:
            found = await self._ask()
            self._token, self._ends_s = found.access_token, time.monotonic() + max(0.0, found.expires_in - _EARLY_S)
        return self._token

    async def _ask(self) -> _Token:
        config = self._config
        form = {"grant_type": "client_credentials", **config.endpoint_params}
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        where = f"token_url {host_of(config.token_url)}"
        try:
            async with self._session.post(
                config.token_url,
                data=form,
                headers={"Authorization": basic_auth(config.client_id, self._secret.reveal())},
                ssl=self._tls,
                proxy=config.proxy_url or None,
                allow_redirects=False,
            ) as answer:
                code, body = answer.status, await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Retry(f"{where} can't be reached: {type(error).__name__}") from None
        if code >= 500 or code == 429:
            raise Retry(f"{where} answered {code}")
        if code != 200:
            raise Reject(f"{where} gave no token: it answered {code}")
        try:
            return msgspec.json.decode(body, type=_Token, strict=False)
        except msgspec.DecodeError:
            raise Retry(f"{where} answered something else than a token") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
