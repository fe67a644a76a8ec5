"""A session for each way to speak to servers, and their credentials, read from files when they are needed."""

from __future__ import annotations

import base64
import ssl
from functools import cache
from pathlib import Path

import aiohttp

from deckwatch import __version__
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.http_settings import HttpClientSettings, TlsConfig
from deckwatch.runtime.tls import ClientTls, client_context

USER_AGENT = f"deckwatch/{__version__}"
MOST_REDIRECTS = 10


@cache
def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Shared by all that have the same settings: the system's authorities take 30 ms to read and a megabyte to keep.
    Raises Unusable: half a pair, a missing or broken file."""
    return new_tls_context(tls)


def new_tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Raises Unusable."""
    context = client_context(ClientTls(tls.ca_file, tls.cert_file, tls.key_file))
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class HttpClient:
    """One session, without limits of its own: whoever asks bounds his time and bytes."""

    def __init__(self, settings: HttpClientSettings, *, keep_alive: bool = True) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self.settings = settings
        self._tls = tls_context(settings.tls_config)
        self._keep_alive = keep_alive
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, force_close=not self._keep_alive)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                headers={"User-Agent": USER_AGENT},
            )
        return self._opened

    async def request(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, data: bytes | None = None
    ) -> aiohttp.ClientResponse:
        """Raises Retry (a file of credentials can't be read), aiohttp.ClientError, OSError."""
        return await self._session.request(
            method,
            url,
            headers={**(headers or {}), **authorization(self.settings)},
            data=data,
            allow_redirects=self.settings.follow_redirects,
            max_redirects=MOST_REDIRECTS,
            server_hostname=self.settings.tls_config.server_name or None,
        )

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


async def start_of(content: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """So much of an answer's body, or all of it where it is shorter: `read(n)` ends with the first piece that arrives.
    Raises aiohttp.ClientError."""
    start = b""
    while len(start) < most_bytes and (piece := await content.read(most_bytes - len(start))):
        start += piece
    return start


def authorization(settings: HttpClientSettings) -> dict[str, str]:
    """The header, if any. Its files may change at any time, as a mounted secret does. Raises Retry where one can't be
    read."""
    basic, token = settings.basic_auth, settings.authorization
    if basic is not None:
        login = f"{basic.username}:{_secret(basic.password_file)}".encode()
        return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    if token is not None:
        return {"Authorization": f"{token.type} {_secret(token.credentials_file)}"}
    return {}


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Retry(f"{path}: can't be read: {reason}; give this user access to it") from None
