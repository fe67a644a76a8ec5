"""Questions that another storage answers: handed on as they are, its answers too.

Handed on, not evaluated here over its samples: it aggregates where they lie, and answers what we would not (native
histograms). Rules are evaluated here, since they join what it has with log metrics and with what is unknown.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from aiohttp import web

from collector.api.connection import for_client
from collector.api.prometheus_answers import json_body
from collector.api.prometheus_parameters import Parameters
from collector.metrics.backend.client import Backend

POSTED = frozenset({"query", "query_range", "series", "labels", "query_exemplars"})
"""Their parameters may be longer than a URL; every such system takes them as a form."""
FETCHED = frozenset({"label/{name}/values", "metadata", "status/buildinfo"})
"""buildinfo: clients choose by it what they may ask."""


async def forwarded(backend: Backend, path: str, given: Parameters, request: web.Request) -> web.Response:
    """Raises QueryError where there is no answer; ConnectionResetError where the client went away."""
    pairs = urlencode(given.others())
    target = "/api/v1/" + path.format(name=quote(request.match_info.get("name", ""), safe=""))
    if path in POSTED:
        asking = backend.ask("POST", target, given.tenant, pairs.encode())
    else:
        asking = backend.ask("GET", f"{target}?{pairs}" if pairs else target, given.tenant)
    reply = await for_client(request, asking)
    return json_body(reply.body, reply.status)


async def federated(backend: Backend, given: Parameters, request: web.Request) -> web.Response:
    asking = backend.ask("GET", f"/federate?{urlencode(given.others())}", given.tenant)
    reply = await for_client(request, asking)
    return web.Response(body=reply.body, status=reply.status, headers={"Content-Type": reply.content_type})
