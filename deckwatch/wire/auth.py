"""Who may talk to a daemon: a bearer token, or, without one, only what calls it by a loopback name.

The second rule keeps web pages out: a browser that a foreign page made call 127.0.0.1 (DNS rebinding) still sends the
page's host name. And what a page of another site makes a browser fetch says so itself (Sec-Fetch-Site, Origin): no
answer of ours may be run as its script or cost us a search.
"""

from __future__ import annotations

import hmac
import re

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from deckwatch.runtime.listen import is_loopback
from deckwatch.runtime.settings_fields import Secret
from deckwatch.wire.model import VERSION, Refusal

_SCHEME = re.compile(r"^https?://")
OPEN_PATHS = frozenset({"/healthz"})
"""Probes carry no token, and learn nothing else here."""
SIGNED_PATHS = "/links/"
"""Routes below it ask for a signed token in the path instead: they are opened from messages, by browsers and calendars
that have no other."""


def guard(token: Secret | None, *, insecure: bool = False, open_paths: frozenset[str] = OPEN_PATHS) -> Middleware:
    """The aiohttp middleware of both daemons. 401 without the token; 403 for a foreign host name where none is set."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths or _is_signed(request):
            return await handler(request)
        if token is not None and not _carries(request.headers.get("Authorization", ""), token):
            detail = (
                "send `Authorization: Bearer TOKEN` with the token of this daemon's --token-file or DECKWATCH_TOKEN"
            )
            return refusal(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="deckwatch"'})
        if token is None and not insecure and not _is_local_name(request.headers.get("Host", "")):
            detail = "without a token only loopback names are answered; set --token-file, or --insecure behind a proxy"
            return refusal(403, "unauthorized", detail)
        if token is None and _is_cross_site(request):
            return refusal(
                403, "unauthorized", "pages of other sites are not answered; set a token, or open it directly"
            )
        return await handler(request)

    return check


def refusal(
    status: int, error: str, detail: str, *, retry_after_s: float | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    """The body of every answer >= 400 of ours (`deckwatch.wire.model.Refusal`), by which agents know it is ours."""
    body = msgspec.json.encode(Refusal(VERSION, error, detail, retry_after_s))
    headers = dict(headers or {})
    if retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(retry_after_s)))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _is_signed(request: web.Request) -> bool:
    """By the route that was found, not by the path: `/links/../api` is none of these."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical.startswith(SIGNED_PATHS)


def _carries(header: str, token: Secret) -> bool:
    """In constant time, so that answers don't tell how much of a guess was right."""
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.reveal().encode())


def _is_local_name(host_header: str) -> bool:
    host = host_header.rpartition("]")[0].lstrip("[") if host_header.startswith("[") else host_header.partition(":")[0]
    return is_loopback(host)


def _is_cross_site(request: web.Request) -> bool:
    """https://www.w3.org/TR/fetch-metadata/; Origin for browsers that don't send it. Following a link is allowed."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if site in ("cross-site", "same-site"):  # same-site: another port or name, which may be anybody's
        destination = request.headers.get("Sec-Fetch-Dest", "")
        return request.method != "GET" or destination != "document"
    origin = request.headers.get("Origin", "")
    return bool(origin) and not site and _SCHEME.sub("", origin) != request.headers.get("Host", "")
