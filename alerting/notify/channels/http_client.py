"""One HTTP request to a service and the plain facts of its answer; what they mean is for the channel to say.

Nothing that leaves here holds a URL beyond its host: paths and queries of webhooks are secrets.
"""

from __future__ import annotations

import email.utils
import re
import time
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from alerting.notify.channels.http_config import HttpConfig, through_proxy, tls_context
from alerting.notify.channels.oauth import TokenSource
from alerting.notify.channels.secrets import SecretText, basic_auth, host_of, read_secret, without
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.http_client import start_of

USER_AGENT = "Deckwatch"
MOST_RETRY_AFTER_S = 3600.0
"""A service that wishes for more is asked after this all the same."""
_MOST_ANSWER_BYTES = 64 << 10
_MOST_REDIRECTS = 5
_SHORT = 7
"""Words of a URL up to this length are no secrets: v2, alerts, enqueue."""
_KEEPS_BODY = (307, 308)
"""Redirects that send the same body again; the others would turn the message into a GET."""


class Request(msgspec.Struct, frozen=True):
    url: str  # secret
    body: bytes
    headers: dict[str, str] = {}  # secret
    method: str = "POST"
    content_type: str = "application/json"
    secrets: tuple[str, ...] = ()  # in the body
    plain: Request | None = None  # the same message without markup, for a service that can't parse this one


class Reply(msgspec.Struct, frozen=True):
    code: int
    body: bytes = b""  # its first 64 KiB
    headers: dict[str, str] = {}  # names in lower case
    latency_s: float = 0.0

    @property
    def retry_after_s(self) -> float | None:
        return retry_after_s(self.headers.get("retry-after"), time.time())

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class HttpClient:
    """Connections of one integration. `close` is idempotent; a request after it opens new ones."""

    def __init__(self, config: HttpConfig, *, timeout_s: float) -> None:
        """Raises ValueError: certificates that can't be used."""
        self._config = config
        self._tls = tls_context(config.tls_config)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._tokens = TokenSource(config.oauth2, timeout_s=timeout_s) if config.oauth2 else None

    async def send(self, request: Request) -> Reply:
        """Raises Retry: no answer came. Redirects that keep the body are followed where the configuration says so."""
        started = time.perf_counter()
        headers = await self._headers(request)
        url = request.url
        for _ in range(_MOST_REDIRECTS):
            reply = await self._send(url, headers, request)
            target = urljoin(url, reply.headers.get("location", ""))
            if reply.code not in _KEEPS_BODY or not self._config.follow_redirects or not target.startswith("http"):
                return msgspec.structs.replace(reply, latency_s=time.perf_counter() - started)
            if host_of(target) != host_of(url):
                headers = self._without_secrets(headers)  # meant for the first host alone
            url = target
        raise Reject(f"{host_of(request.url)} redirects more than {_MOST_REDIRECTS} times")

    async def _send(self, url: str, headers: dict[str, str], request: Request) -> Reply:
        where = host_of(url)
        try:
            async with self._open().request(
                request.method,
                url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                ssl=self._tls,
                server_hostname=self._config.tls_config.server_name or None,
                proxy=self._proxy(url),
                proxy_headers=self._proxy_headers(),
            ) as answer:
                body = await start_of(answer.content, _MOST_ANSWER_BYTES)
                named = {name.lower(): text for name, text in answer.headers.items()}
                return Reply(answer.status, _hidden(body, request), named)
        except TimeoutError:
            raise Retry(f"{where} did not answer within {self._timeout_s:g} s") from None
        except aiohttp.InvalidURL:
            raise Retry(f"{where}: the URL is not valid") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"{where} can't be reached: {reason_of(error)}") from None

    async def _headers(self, request: Request) -> dict[str, str]:
        config = self._config
        headers = {"Content-Type": request.content_type, "User-Agent": USER_AGENT}
        for name, header in config.http_headers.items():
            values = [*header.values, *(one.reveal() for one in header.secrets), *map(read_secret, header.files)]
            headers[name] = ", ".join(values)
        if config.bearer:
            credentials = SecretText(config.bearer.credentials, config.bearer.credentials_file).reveal()
            headers["Authorization"] = f"{config.bearer.type} {credentials}"
        if config.basic_auth:
            user = config.basic_auth
            name = read_secret(user.username_file) if user.username_file else user.username
            password = SecretText(user.password, user.password_file).reveal()
            headers["Authorization"] = basic_auth(name, password)
        if self._tokens:
            headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        return headers | request.headers

    def _without_secrets(self, headers: dict[str, str]) -> dict[str, str]:
        secret = {name.lower() for name, one in self._config.http_headers.items() if one.secrets or one.files}
        return {name: text for name, text in headers.items() if name.lower() not in {"authorization", *secret}}

    def _proxy(self, url: str) -> str | None:
        config = self._config
        if not config.proxy_url or not through_proxy(urlsplit(url).hostname or "", config.no_proxy):
            return None
        return config.proxy_url

    def _proxy_headers(self) -> dict[str, str] | None:
        headers = self._config.proxy_connect_header
        return {name: ", ".join(value.reveal() for value in values) for name, values in headers.items()} or None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                trust_env=self._config.proxy_from_environment,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._tokens is not None:
            await self._tokens.close()


def _hidden(body: bytes, request: Request) -> bytes:
    """A service may quote what it was sent: the parts of the URL behind the host, the headers, secrets of the body."""
    behind = request.url.partition("://")[2].partition("/")[2]
    words = [*re.split("[/?&=]", behind), *(word for value in request.headers.values() for word in value.split())]
    secrets = [*request.secrets, *(word for word in words if len(word) > _SHORT)]
    return without(body.decode(errors="replace"), secrets).encode()


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Of the header's two forms, seconds and a date (RFC 9110, 10.2.3); None where it is neither. Discord and Slack
    write fractions of a second too."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return min(float(value), MOST_RETRY_AFTER_S)
    try:
        wish_s = email.utils.parsedate_to_datetime(value).timestamp() - now_s
        return min(max(0.0, wish_s), MOST_RETRY_AFTER_S)
    except ValueError:
        return None


def reason_of(error: Exception) -> str:
    """Without the URL, which aiohttp puts into some of its messages."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted ({error.certificate_error})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(error).__name__
