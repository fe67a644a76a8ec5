"""Prometheus' HTTP API v1 over the history of samples: what Grafana, promtool and their kin call.

https://prometheus.io/docs/prometheus/latest/querying/api/: same paths, parameters, envelope, error types and status
codes; GET and POST (form) alike. One further parameter: `tenant`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any, TypeVar

import msgspec
import orjson
from aiohttp import web

import deckwatch
from collector.api.connection import for_client
from collector.api.prometheus_answers import TRUNCATED, encoded, failure, json_body, names, success
from collector.api.prometheus_backend import FETCHED, POSTED, forwarded
from collector.api.prometheus_parameters import MAX_TIME_MS, MIN_TIME_MS, Parameters, label_name
from collector.api.prometheus_stats import QueryStats
from collector.api.prometheus_targets import active_targets, dropped_targets, pools
from collector.api.query_turns import QueryTurns
from collector.metrics.backend.client import Backend
from collector.metrics.kinds import all_abouts
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.parser import parse
from collector.metrics.promql.printer import to_text
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import SeriesSource
from collector.metrics.promql.tree_answer import tree
from collector.metrics.remote.metadata import Metadata
from collector.metrics.scrapes import Heard, ScrapePools
from collector.metrics.selector import NAME_LABEL
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.tenant import Tenant
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject

log = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[Parameters, web.Request], Awaitable[web.Response]]

NewestOnTop = Callable[[str, SeriesSource, int], SeriesSource]
"""(tenant, the history, Unix ms) -> it, with what is newer: log metrics, alerts and our own get into it every 15 s."""
_LIVE_MS = 15_000
"""An instant query of so little before or after now is about now."""

WORKERS = 4
"""Queries at a time, and as many slow ones beside them; others wait for their turn, and their timeout counts from its
beginning."""

_TSDB_ROWS = 10  # of each of status/tsdb's lists, as Prometheus has it

COMPATIBLE_WITH = "3.5.0"
"""What buildinfo says: clients choose by it what they may ask."""


class PrometheusApi:
    def __init__(
        self,
        store: SampleStore,
        settings: PromqlSettings,
        clock: Clock,
        metadata: Metadata | None = None,
        backend: Backend | None = None,
        scrapes: ScrapePools | None = None,
    ) -> None:
        """`metadata`: what agents and senders of remote write say about their metrics; `scrapes`: what agents say of
        their targets. `backend` answers instead of `store`."""
        self._backend = backend
        self._scrapes = scrapes
        self._metadata = metadata
        self._store = store
        self._settings = settings
        self._clock = clock
        self._turns = QueryTurns(WORKERS, "promql")
        self._waiting = 0  # the ones being answered among them
        self._newest: NewestOnTop = lambda tenant, stored, at_ms: stored

    def add_newest(self, newest: NewestOnTop) -> None:
        """Before anybody asks."""
        self._newest = newest

    def close(self) -> None:
        self._turns.close()

    def routes(self) -> list[web.RouteDef]:
        asked: dict[str, Handler] = {
            "query": self.query,
            "query_range": self.query_range,
            "format_query": self.format_query,
            "parse_query": self.parse_query,
            "series": self.series,
            "labels": self.labels,
        }
        routes = [
            web.route(method, f"/api/v1/{path}", self._answering(path, handler))
            for path, handler in asked.items()
            for method in ("GET", "POST")
        ]
        read: dict[str, Handler] = {
            "label/{name}/values": self.label_values,
            "metadata": self.metadata,
            "query_exemplars": self.exemplars,
            "status/buildinfo": self.buildinfo,
            "status/runtimeinfo": self.runtimeinfo,
            "status/flags": self.flags,
            "status/tsdb": self.tsdb,
            "status/config": self.config,
            "targets": self.targets,
            "scrape_pools": self.scrape_pools,
        }
        return routes + [web.get(f"/api/v1/{path}", self._answering(path, handler)) for path, handler in read.items()]

    # Queries ----------------------------------------------------------------------------------------------------

    async def query(self, given: Parameters, request: web.Request) -> web.Response:
        at_ms = given.time_ms("time", self._clock.now_ns() // 1_000_000)
        return await self._evaluated(given, request, at_ms, at_ms, 0)

    async def query_range(self, given: Parameters, request: web.Request) -> web.Response:
        start_ms, end_ms = given.time_ms("start", None), given.time_ms("end", None)
        if end_ms < start_ms:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time', ErrorType.BAD_DATA)
        step_ms = given.duration_ms("step")
        if step_ms <= 0:
            reason = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            raise QueryError(f'invalid parameter "step": {reason}', ErrorType.BAD_DATA)
        return await self._evaluated(given, request, start_ms, end_ms, step_ms)

    async def _evaluated(
        self, given: Parameters, request: web.Request, start_ms: int, end_ms: int, step_ms: int
    ) -> web.Response:
        settings = self._limits(given)
        limit = given.limit()
        try:
            query = parse(given.text("query"), experimental=settings.experimental_functions)
        except QueryError as fault:
            raise QueryError(f'invalid parameter "query": {fault}', ErrorType.BAD_DATA) from None
        source = self._source(given)
        if not step_ms and abs(self._clock.now_ns() // 1_000_000 - start_ms) <= _LIVE_MS:
            source = self._newest(given.tenant, source, start_ms)
        stats = QueryStats(source)
        gone = Event()

        def work() -> bytes:
            stats.begin()
            result = evaluate(query, start_ms, end_ms, step_ms, stats, settings, gone.is_set)
            return encoded(result, limit, ranged=bool(step_ms), stats=stats.told() if given.text("stats") else None)

        return json_body(await self._for_client(request, work, gone))

    def _limits(self, given: Parameters) -> PromqlSettings:
        most_s = self._settings.timeout_s
        timeout_s = given.duration_ms("timeout", round(most_s * 1000)) / 1000
        lookback_s = given.duration_ms("lookback_delta", round(self._settings.lookback_s * 1000)) / 1000
        if timeout_s <= 0 or lookback_s <= 0:
            raise QueryError("timeout and lookback_delta must be more than 0", ErrorType.BAD_DATA)
        return msgspec.structs.replace(self._settings, timeout_s=min(timeout_s, most_s), lookback_s=lookback_s)

    async def format_query(self, given: Parameters, request: web.Request) -> web.Response:
        return success(to_text(parse(given.text("query"), experimental=True).expr))

    async def parse_query(self, given: Parameters, request: web.Request) -> web.Response:
        expr = parse(given.text("query"), experimental=True).expr
        try:
            return success(tree(expr))
        except orjson.JSONEncodeError:
            raise QueryError("the expression is too deep to be shown as a tree", ErrorType.BAD_DATA) from None

    async def exemplars(self, given: Parameters, request: web.Request) -> web.Response:
        """There are none: samples carry no traces."""
        return success([])

    # What there is ----------------------------------------------------------------------------------------------

    async def series(self, given: Parameters, request: web.Request) -> web.Response:
        selectors, (start_ms, end_ms), limit = given.needed_selectors(), _range(given), given.limit()
        tenant = self._tenant(given)

        def work() -> list[dict[str, str]]:
            if tenant is None:
                return []
            found = {each for chosen in selectors for each in tenant.series_labels(chosen, start_ms, end_ms)}
            return [dict(each) for each in sorted(found)]

        rows = await self._for_client(request, work)
        if limit is not None and len(rows) > limit:
            return success(rows[:limit], [TRUNCATED])
        return success(rows)

    async def labels(self, given: Parameters, request: web.Request) -> web.Response:
        def find(tenant: Tenant, start_ms: int, end_ms: int) -> set[str]:
            selectors = given.selectors() or [()]
            return {name for chosen in selectors for name in tenant.label_names(chosen, start_ms, end_ms)}

        return await self._names(given, request, find)

    async def label_values(self, given: Parameters, request: web.Request) -> web.Response:
        label = label_name(request.match_info["name"])

        def find(tenant: Tenant, start_ms: int, end_ms: int) -> set[str]:
            selectors = given.selectors() or [()]
            return {value for chosen in selectors for value in tenant.label_values(label, chosen, start_ms, end_ms)}

        return await self._names(given, request, find)

    async def _names(
        self, given: Parameters, request: web.Request, find: Callable[[Tenant, int, int], set[str]]
    ) -> web.Response:
        (start_ms, end_ms), tenant, limit = _range(given), self._tenant(given), given.limit()
        found = await self._for_client(request, lambda: find(tenant, start_ms, end_ms)) if tenant else set()
        return names(sorted(found), limit)

    async def metadata(self, given: Parameters, request: web.Request) -> web.Response:
        metric, limit = given.text("metric"), given.limit()
        known = all_abouts(self._metadata.of(given.tenant) if self._metadata is not None else {})
        wanted = [name for name in known if not metric or name == metric][: limit or None]
        return success({name: [msgspec.structs.asdict(known[name])] for name in wanted})

    # Itself -----------------------------------------------------------------------------------------------------

    async def buildinfo(self, given: Parameters, request: web.Request) -> web.Response:
        return success(
            {
                "version": COMPATIBLE_WITH,
                "revision": f"deckwatch-{deckwatch.__version__}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )

    async def runtimeinfo(self, given: Parameters, request: web.Request) -> web.Response:
        tenant = self._tenant(given)
        return success({"timeSeriesCount": tenant.series if tenant else 0, "corruptionCount": 0})

    async def flags(self, given: Parameters, request: web.Request) -> web.Response:
        return success(
            {
                "query.lookback-delta": f"{self._settings.lookback_s:g}s",
                "query.max-samples": str(self._settings.max_samples),
                "query.timeout": f"{self._settings.timeout_s:g}s",
            }
        )

    async def tsdb(self, given: Parameters, request: web.Request) -> web.Response:
        tenant = self._tenant(given)
        blocks = [block.info for block in tenant.blocks] if tenant else []
        first_ms = min((block.first_ms for block in blocks), default=tenant.first_ms if tenant else None)
        head = {"numSeries": tenant.series if tenant else 0, "minTime": first_ms or 0, "chunkCount": 0}
        limit = given.limit() or _TSDB_ROWS
        table = await self._for_client(request, tenant.table) if tenant else None
        return success(
            {
                "headStats": head,
                "seriesCountByMetricName": _largest(table.counts(NAME_LABEL), limit) if table else [],
                "labelValueCountByLabelName": _largest(table.distinct(), limit) if table else [],
            }
        )

    async def config(self, given: Parameters, request: web.Request) -> web.Response:
        """Of Prometheus' own kind there is none: what scrapes are, agents are told."""
        return success({"yaml": ""})

    async def targets(self, given: Parameters, request: web.Request) -> web.Response:
        pool, state = given.text("scrapePool"), given.text("state") or "any"
        active: list[dict[str, Any]] = []
        if state in ("any", "active"):
            found = await self._targets(given, request)
            active = [target for target in found if not pool or target["scrapePool"] == pool]
        dropped, counts = dropped_targets(self._heard(given), pool) if state in ("any", "dropped") else ([], {})
        return success({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})

    async def scrape_pools(self, given: Parameters, request: web.Request) -> web.Response:
        return success({"scrapePools": pools(await self._targets(given, request), self._heard(given))})

    async def _targets(self, given: Parameters, request: web.Request) -> list[dict[str, Any]]:
        tenant, heard = self._tenant(given), self._heard(given)
        if tenant is None:
            return []
        now_ms, settings = self._clock.now_ns() // 1_000_000, self._settings
        lookback_ms = round(settings.lookback_s * 1000)
        return await self._for_client(
            request, lambda: active_targets(tenant, heard, now_ms, lookback_ms, settings.max_samples)
        )

    def _heard(self, given: Parameters) -> list[Heard]:
        return self._scrapes.of(given.tenant) if self._scrapes is not None else []

    # Inside -----------------------------------------------------------------------------------------------------

    def _tenant(self, given: Parameters) -> Tenant | None:
        return self._store.tenant(given.tenant)

    def _source(self, given: Parameters) -> SeriesSource:
        return self._store.source(given.tenant)

    def _answering(self, path: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        far = path in POSTED | FETCHED

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                form = await request.post() if request.method == "POST" else {}
                texts = [(name, value) for name, value in form.items() if isinstance(value, str)]
                given = Parameters(request.query.items(), texts)
                if far and self._backend is not None and self._backend.serves(given.tenant):
                    return await forwarded(self._backend, path, given, request)
                return await handler(given, request)
            except QueryError as fault:
                return failure(fault)
            except Reject as fault:
                return failure(QueryError(str(fault)))
            except ConnectionResetError:
                return web.Response(status=499)

        return answer

    async def _for_client(self, request: web.Request, work: Callable[[], T], gone: Event | None = None) -> T:
        """In a thread of its own. A query whose client went away stops at its next look."""
        most = WORKERS + self._settings.max_waiting
        if self._waiting >= most:
            raise QueryError(f"{most} queries are being answered or waiting: ask again later", ErrorType.TIMEOUT)
        self._waiting += 1
        try:
            return await for_client(request, self._turns.run(work))
        finally:
            self._waiting -= 1
            if gone is not None:
                gone.set()


def _range(given: Parameters) -> tuple[int, int]:
    start_ms, end_ms = given.time_ms("start", MIN_TIME_MS), given.time_ms("end", MAX_TIME_MS)
    if end_ms < start_ms:
        raise QueryError('invalid parameter "end": end timestamp must not be before start time', ErrorType.BAD_DATA)
    return start_ms, end_ms


def _largest(counts: dict[str, int], limit: int) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:limit]
    return [{"name": name, "value": count} for name, count in ordered]
