"""`GET /federate?match[]=...`: the newest sample of each matching series, for another Prometheus to scrape.

As Prometheus' (web/federate.go): text format 0.0.4 with time stamps, every family untyped; a series that has ended or
whose newest sample is older than the lookback is left out (samples with time stamps end at the scraper by its own
lookback); a series without `instance` gets an empty one, so that `honor_labels` doesn't put the scraped address there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from aiohttp import web

from collector.api.connection import for_client
from collector.api.prometheus_backend import federated
from collector.api.prometheus_parameters import Parameters
from collector.metrics.backend.client import Backend
from collector.metrics.families import TextFormat, label_text, number
from collector.metrics.promql.answer import STATUS
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE, Selection
from collector.metrics.selector import NAME_LABEL, Matcher
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.tenant import Tenant
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

AT_ONCE = 2
_INSTANCE = "instance"
_FOREIGN = re.compile(r"[^a-zA-Z0-9_]")
_FOREIGN_NAME = re.compile(r"[^a-zA-Z0-9_:]")

Newest = tuple[Labels, int, float]
"""Labels, time in ms, value."""


class FederateApi:
    def __init__(
        self, store: SampleStore, settings: PromqlSettings, clock: Clock, backend: Backend | None = None
    ) -> None:
        self._backend = backend
        self._store = store
        self._settings = settings
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/federate", self.federate)]

    async def federate(self, request: web.Request) -> web.Response:
        given = Parameters(request.query.items())
        try:
            if self._backend is not None and self._backend.serves(given.tenant):
                return await federated(self._backend, given, request)
            selectors = given.selectors()
            tenant = self._store.tenant(given.tenant)
            body = await for_client(request, self._rendered(tenant, selectors)) if tenant else b""
        except QueryError as fault:
            return web.Response(status=STATUS[fault.kind], text=f"{fault}\n")
        except Reject as fault:
            return web.Response(status=500, text=f"{fault}\n")
        except ConnectionResetError:
            return web.Response(status=499)
        response = web.Response(body=body, headers={"Content-Type": TextFormat.PROMETHEUS.value})
        response.enable_compression()
        return response

    async def _rendered(self, tenant: Tenant, selectors: Sequence[tuple[Matcher, ...]]) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(self._render, tenant, selectors)

    def _render(self, tenant: Tenant, selectors: Sequence[tuple[Matcher, ...]]) -> bytes:
        now_ms = self._clock.now_ns() // 1_000_000
        since_ms = now_ms - round(self._settings.lookback_s * 1000) + 1
        found: dict[Labels, Newest] = {}
        for matchers in selectors:
            selection = tenant.select(matchers, since_ms, now_ms, self._settings.max_samples)
            found.update((one[0], one) for one in newest(selection))
        return "".join(lines(found.values())).encode()


def newest(selection: Selection) -> Iterator[Newest]:
    """Of each series that has not ended."""
    has = np.nonzero(np.diff(selection.offsets))[0]
    last = selection.offsets[1:][has] - 1
    values = selection.values[last]
    alive = values.view(np.uint64) != STALE.view(np.uint64)
    picked = zip(has[alive].tolist(), selection.times_ms[last][alive].tolist(), values[alive].tolist(), strict=True)
    for place, time_ms, value in picked:
        yield selection.labels[place], time_ms, value


def lines(series: Iterable[Newest]) -> Iterator[str]:
    """The text, family by family."""
    before = None
    for name, labels, time_ms, value in sorted(_written(*one) for one in series):
        if name != before:
            yield f"# TYPE {name} untyped\n"
            before = name
        yield f"{name}{labels} {number(value)} {time_ms}\n"


def _written(labels: Labels, time_ms: int, value: float) -> tuple[str, str, int, float]:
    """Names that the format can't hold get underscores, as Prometheus' default escaping has it."""
    pairs = {_legal(name, _FOREIGN): text for name, text in labels}
    name = _legal(pairs.pop(NAME_LABEL, ""), _FOREIGN_NAME)
    return name, label_text(tuple(sorted(({_INSTANCE: ""} | pairs).items()))), time_ms, value


def _legal(name: str, foreign: re.Pattern[str]) -> str:
    legal = foreign.sub("_", name)
    return f"_{legal}" if legal[:1].isdigit() else legal
