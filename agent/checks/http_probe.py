"""A probe over HTTP. Names and meanings are blackbox_exporter's (prober/http.go)."""

from __future__ import annotations

import asyncio
import email.utils
import re
import time
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp
import msgspec

from agent.checks.certificate import seen_context, watched
from agent.checks.outcome import ProbeFailed, probe_labels, tls_series
from agent.checks.settings import HttpProbe
from deckwatch.runtime.faults import Retry
from deckwatch.runtime.http_client import MOST_REDIRECTS, USER_AGENT, authorization
from deckwatch.wire.model import Column, Labels

PHASES = ("resolve", "connect", "tls", "processing", "transfer")
_DURATION = "probe_http_duration_seconds"


class Received(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    version: float
    headers: Mapping[str, str]
    length: int  # as the head says it; -1: it doesn't
    body: bytes
    whole: bool  # False: longer than the limit
    redirects: int
    ssl: bool


class HttpCheck:
    kind = "http"

    def __init__(self, settings: HttpProbe) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self.labels: Labels = probe_labels(settings.url, settings.labels)
        self.interval_s, self.timeout_s = settings.interval_s, settings.timeout_s
        self.title = settings.url
        self._settings = settings
        self._context = seen_context(settings.tls_config)

    async def look(self) -> dict[Column, float]:
        """A connection of its own each time, as a client that comes for the first time has it."""
        phases = dict.fromkeys(PHASES, 0.0)
        connector = aiohttp.TCPConnector(ssl=self._context, force_close=True, use_dns_cache=False)
        series: dict[Column, float] = {}
        with watched() as handshakes:
            try:
                async with aiohttp.ClientSession(
                    connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_trace(phases)]
                ) as session:
                    received = await self._ask(session, phases)
                series, failure = self._judged(received)
            except (aiohttp.ClientError, OSError, Retry, ValueError) as error:
                failure = str(error) or type(error).__name__
        phases["tls"] = handshakes.seconds
        phases["connect"] = max(0.0, phases["connect"] - handshakes.seconds)
        series |= {Column(_DURATION, (("phase", phase),)): seconds for phase, seconds in phases.items()}
        series[Column("probe_dns_lookup_time_seconds")] = phases["resolve"]
        series |= tls_series(handshakes)
        if failure:
            raise ProbeFailed(failure, series)
        return series

    def failed(self, why: str) -> dict[Column, float]:
        return {}

    def _judged(self, received: Received) -> tuple[dict[Column, float], str]:
        series = received_series(received)
        failure = judge(self._settings, received)
        if not failure and (failure := judge_body(self._settings, received.body)):
            series[Column("probe_failed_due_to_regex")] = 1.0
        return series, failure

    async def _ask(self, session: aiohttp.ClientSession, phases: dict[str, float]) -> Received:
        settings = self._settings
        async with session.request(
            settings.method,
            settings.url,
            headers={"User-Agent": USER_AGENT, **settings.headers, **authorization(settings)},
            data=settings.body.encode() if settings.body else None,
            allow_redirects=settings.follow_redirects,
            max_redirects=MOST_REDIRECTS,
            server_hostname=settings.tls_config.server_name or None,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as got:
            begun = time.monotonic()
            body, whole = await _body(got, settings.body_limit_bytes)
            phases["transfer"] += time.monotonic() - begun
            return Received(
                status=got.status,
                version=float(f"{got.version.major}.{got.version.minor}") if got.version else 0.0,
                headers=got.headers,
                length=got.content_length if got.content_length is not None else -1,
                body=body,
                whole=whole,
                redirects=len(got.history),
                ssl=got.url.scheme == "https",
            )


def received_series(received: Received) -> dict[Column, float]:
    series = {
        Column("probe_http_status_code"): float(received.status),
        Column("probe_http_content_length"): float(received.length),
        Column("probe_http_uncompressed_body_length"): float(len(received.body)),
        Column("probe_http_redirects"): float(received.redirects),
        Column("probe_http_ssl"): float(received.ssl),
        Column("probe_http_version"): received.version,
    }
    modified = email.utils.parsedate_tz(received.headers.get("Last-Modified", ""))
    if modified is not None:
        series[Column("probe_http_last_modified_timestamp_seconds")] = float(email.utils.mktime_tz(modified))
    return series | {Column("probe_failed_due_to_regex"): 0.0}


def judge(settings: HttpProbe, received: Received) -> str:
    """Why it has failed, but for the body's text; empty: it hasn't. Pure."""
    if settings.valid_status_codes and received.status not in settings.valid_status_codes:
        return f"status {received.status} is none of {', '.join(map(str, settings.valid_status_codes))}"
    if not settings.valid_status_codes and not 200 <= received.status < 300:
        return f"status {received.status} is not 200 to 299"
    if received.ssl and settings.fail_if_ssl:
        return "the answer came over TLS"
    if not received.ssl and settings.fail_if_not_ssl:
        return "the answer came without TLS"
    if not received.whole:
        return f"the body is longer than body_limit_bytes ({settings.body_limit_bytes})"
    return ""


def judge_body(settings: HttpProbe, body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    for pattern in settings.fail_if_body_matches_regexp:
        if re.search(pattern, text):
            return f"the body matches {pattern!r}"
    for pattern in settings.fail_if_body_not_matches_regexp:
        if not re.search(pattern, text):
            return f"the body does not match {pattern!r}"
    return ""


async def _body(got: aiohttp.ClientResponse, limit_bytes: int) -> tuple[bytes, bool]:
    body = bytearray()
    async for piece in got.content.iter_any():
        body += piece
        if len(body) > limit_bytes:
            return bytes(body[:limit_bytes]), False
    return bytes(body), True


def _trace(phases: dict[str, float]) -> aiohttp.TraceConfig:
    """Adds up what each phase took, over all redirects."""
    trace, marks = aiohttp.TraceConfig(), {"at": 0.0, "dns": 0.0, "sent": 0.0}

    async def mark(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        marks["at"], marks["dns"] = asyncio.get_running_loop().time(), 0.0

    async def dns_begun(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        marks["dns"] = asyncio.get_running_loop().time()

    async def dns_done(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        now = asyncio.get_running_loop().time()
        phases["resolve"] += now - marks["dns"]
        marks["at"] += now - marks["dns"]  # it lies within the time of connecting

    async def connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        phases["connect"] += asyncio.get_running_loop().time() - marks["at"]

    async def sent(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        marks["sent"] = asyncio.get_running_loop().time()

    async def answered(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        phases["processing"] += asyncio.get_running_loop().time() - marks["sent"]

    trace.on_connection_create_start.append(mark)
    trace.on_dns_resolvehost_start.append(dns_begun)
    trace.on_dns_resolvehost_end.append(dns_done)
    trace.on_connection_create_end.append(connected)
    trace.on_request_headers_sent.append(sent)
    trace.on_request_redirect.append(answered)
    trace.on_request_end.append(answered)
    return trace
