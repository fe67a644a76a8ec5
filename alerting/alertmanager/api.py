"""Alertmanager's API v2: what amtool, Prometheus, Grafana and karma call.

Same paths, parameters, codes and bodies as Alertmanager's (api/v2/openapi.yaml). Whose alerts: `?tenant=NAME`, the
header X-Scope-OrgID, or the paths below `/tenants/NAME`, for clients that can be given a prefix alone (Prometheus'
path_prefix, amtool's URL).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from functools import wraps

from aiohttp import web

import deckwatch
from alerting.alertmanager.answers import alert_body, group_body, ordered, silence_body, time_text
from alerting.alertmanager.bodies import BadBody, read_alerts, read_silence, read_uuid
from alerting.notify.alerts import AlertRecord
from alerting.notify.dispatch import Dispatcher
from alerting.notify.groups import Group
from alerting.notify.matchers import parse_matcher, passes_filter
from alerting.notify.metrics import NotifyMetrics
from alerting.notify.muting import Muted, Verdict
from alerting.notify.notifier import Notifier
from alerting.silences.book import UnknownSilence
from collector.metrics.selector import Matcher, check_regex, regex_matches
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.identity import tenant_fault
from deckwatch.wire.model import DEFAULT_TENANT

_Handler = Callable[[web.Request], Awaitable[web.Response]]
_TRUE = ("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled")
"""go-openapi's idea of it; all else is false."""
TENANT_HEADER = "X-Scope-OrgID"
"""Of Mimir's and Cortex' clients, as remote write takes it."""
_COMPATIBLE_WITH = "0.25.0"


class AlertmanagerApi:
    """`original`: tenant -> the configuration as it is shown."""

    def __init__(
        self,
        notifier: Notifier,
        clock: Clock,
        metrics: NotifyMetrics,
        original: Callable[[str], str],
        *,
        utf8_names: bool,
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._metrics = metrics
        self._original = original
        self._utf8_names = utf8_names
        self._started_ns = clock.now_ns()

    def routes(self) -> list[web.RouteDef]:
        handlers: tuple[tuple[str, str, _Handler], ...] = (
            ("GET", "status", self.status),
            ("GET", "receivers", self.receivers),
            ("GET", "alerts", self.alerts),
            ("POST", "alerts", self.post_alerts),
            ("GET", "alerts/groups", self.groups),
            ("GET", "silences", self.silences),
            ("POST", "silences", self.post_silence),
            ("GET", "silence/{silence}", self.silence),
            ("DELETE", "silence/{silence}", self.delete_silence),
        )
        return [
            web.route(method, f"{prefix}/api/v2/{path}", _answering(handler))
            for prefix in ("", "/tenants/{tenant}")
            for method, path, handler in handlers
        ]

    # General --------------------------------------------------------------------------------------------------------

    async def status(self, request: web.Request) -> web.Response:
        """The configuration in force, secrets left out; there is no cluster."""
        return _json(
            {
                "cluster": {"peers": [], "status": "disabled"},
                "config": {"original": self._original(tenant_of(request))},
                "uptime": time_text(self._started_ns),
                "versionInfo": {
                    "branch": "deckwatch",
                    "buildDate": "",
                    "buildUser": "",
                    "goVersion": "",
                    "revision": deckwatch.__version__,
                    "version": _COMPATIBLE_WITH,
                },
            }
        )

    async def receivers(self, request: web.Request) -> web.Response:
        """Names of all receivers."""
        routing = self._notifier.routings.of(tenant_of(request))
        return _json([{"name": name} for name in routing.receivers])

    # Alerts ---------------------------------------------------------------------------------------------------------

    async def alerts(self, request: web.Request) -> web.Response:
        """Alerts that fire, by fingerprint, with the receivers of all routes that they take."""
        now_ns, wanted = self._clock.now_ns(), _Wanted(request)
        dispatcher = self._notifier.glance(tenant_of(request))
        found = []
        for alert in sorted(dispatcher.alerts(now_ns), key=lambda alert: alert.fingerprint):
            verdict = dispatcher.muting.verdict(alert, now_ns)
            routes = dispatcher.routing.root.matching(dict(alert.labels))
            receivers = [route.receiver for route in routes]
            if wanted.takes(alert, verdict) and any(map(wanted.takes_receiver, receivers)):
                found.append(alert_body(alert, verdict, receivers, now_ns + dispatcher.routing.resolve_timeout_ns))
        return _json(found)

    async def groups(self, request: web.Request) -> web.Response:
        """Alerts in the groups in which they are told of. `muted=false` leaves out groups whose route is muted."""
        now_ns, wanted = self._clock.now_ns(), _Wanted(request)
        dispatcher = self._notifier.glance(tenant_of(request))
        shown: list[tuple[Group, list[tuple[AlertRecord, Verdict]]]] = []
        receivers: dict[str, set[str]] = {}
        for group in ordered(dispatcher.groups):
            muted = dispatcher.muting.route_verdict(group.route, now_ns).muted
            if not wanted.takes_receiver(group.route.receiver) or (muted and not wanted.muted):
                continue
            inside = self._wanted_of(dispatcher, group, wanted, now_ns)
            for alert, _ in inside:
                receivers.setdefault(alert.fingerprint, set()).add(group.route.receiver)
            if inside:
                shown.append((group, inside))
        until_ns = now_ns + dispatcher.routing.resolve_timeout_ns
        bodies = []
        for group, inside in shown:
            muted_by = _muted_by(dispatcher, group, now_ns)
            alerts = [
                alert_body(alert, verdict, sorted(receivers[alert.fingerprint]), until_ns, muted_by)
                for alert, verdict in inside
            ]
            bodies.append(group_body(group, alerts))
        return _json(bodies)

    def _wanted_of(
        self, dispatcher: Dispatcher, group: Group, wanted: _Wanted, now_ns: int
    ) -> list[tuple[AlertRecord, Verdict]]:
        found = []
        for alert in dispatcher.members(group):
            verdict = dispatcher.muting.verdict(alert, now_ns)
            if not alert.resolved(now_ns) and wanted.takes(alert, verdict):
                found.append((alert, verdict))
        return sorted(found, key=lambda pair: pair[0].labels)

    async def post_alerts(self, request: web.Request) -> web.Response:
        """Alerts begin, go on or end. Valid ones are durable when this answers, and are told of if their group is
        due."""
        tenant, now_ns = tenant_of(request), self._clock.now_ns()
        posted = read_alerts(
            await request.read(),
            now_ns,
            resolve_timeout_ns=self._notifier.routings.of(tenant).resolve_timeout_ns,
            utf8_names=self._utf8_names,
            labels_of=lambda labels: self._notifier.labels_of(tenant, labels),
        )
        self._notifier.put(tenant, posted.alerts, now_ns)
        for alert in posted.alerts:
            self._metrics.received.labels("resolved" if alert.resolved(now_ns) else "firing").inc()
        self._metrics.invalid.inc(len(posted.problems))
        if posted.problems:
            raise BadBody(400, "; ".join(posted.problems))
        return web.Response()

    # Silences -------------------------------------------------------------------------------------------------------

    async def silences(self, request: web.Request) -> web.Response:
        """Silences: active, to come, and over."""
        now_ns, filters = self._clock.now_ns(), _filters(request)
        book = self._notifier.glance(tenant_of(request)).silences
        found = [one for one in book.all(now_ns) if passes_filter(filters, {m.label: m.value for m in one.matchers})]
        return _json([silence_body(silence, now_ns) for silence in found])

    async def silence(self, request: web.Request) -> web.Response:
        """One silence."""
        id_ = read_uuid(request.match_info["silence"])
        silence = self._notifier.glance(tenant_of(request)).silences.get(id_)
        if silence is None:
            return web.Response(status=404)
        return _json(silence_body(silence, self._clock.now_ns()))

    async def post_silence(self, request: web.Request) -> web.Response:
        """A new silence, or, with an id, a change of one: one that can't be changed so ends, and a new one begins."""
        wanted, now_ns = read_silence(await request.read()), self._clock.now_ns()
        if wanted.starts_ns >= wanted.ends_ns:
            raise BadBody(400, "Failed to create silence: start time must be before end time")
        if wanted.ends_ns < now_ns:
            raise BadBody(400, "Failed to create silence: end time can't be in the past")
        book = self._notifier.dispatcher(tenant_of(request)).silences
        return _json({"silenceID": book.set(wanted, now_ns, utf8_names=self._utf8_names)})

    async def delete_silence(self, request: web.Request) -> web.Response:
        """End a silence now."""
        id_ = read_uuid(request.match_info["silence"])
        self._notifier.glance(tenant_of(request)).silences.expire(id_, self._clock.now_ns())
        return web.Response()


class _Wanted:
    """The filters of a request. Raises BadBody, Reject."""

    def __init__(self, request: web.Request) -> None:
        self._filters = _filters(request)
        self._active, self._silenced, self._inhibited = (
            _flag(request, name) for name in ("active", "silenced", "inhibited")
        )
        self.muted = _flag(request, "muted")
        self._receiver = request.query.get("receiver", "")
        if self._receiver:
            try:
                check_regex(self._receiver)
            except Reject as error:
                raise BadBody(400, f"failed to parse receiver param: {error}") from None

    def takes(self, alert: AlertRecord, verdict: Verdict) -> bool:
        return (
            (self._active or verdict.suppressed)
            and (self._silenced or not verdict.silenced_by)
            and (self._inhibited or not verdict.inhibited_by)
            and passes_filter(self._filters, dict(alert.labels))
        )

    def takes_receiver(self, name: str) -> bool:
        return not self._receiver or regex_matches(self._receiver, name)


def _muted_by(dispatcher: Dispatcher, group: Group, now_ns: int) -> tuple[str, ...]:
    """Names of intervals, as newer Alertmanagers tell them; outside its active intervals it is those."""
    verdict = dispatcher.muting.route_verdict(group.route, now_ns)
    return verdict.intervals if isinstance(verdict.muted, Muted) else ()


def tenant_of(request: web.Request) -> str:
    """Raises BadBody."""
    named = (request.match_info.get("tenant"), request.query.get("tenant"), request.headers.get(TENANT_HEADER))
    name = next(filter(None, named), DEFAULT_TENANT)
    if problem := tenant_fault(name):
        raise BadBody(400, problem)
    return name


def _filters(request: web.Request) -> list[Matcher]:
    return [parse_matcher(text) for text in request.query.getall("filter", [])]


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "true").lower() in _TRUE


def _answering(handler: _Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    @wraps(handler)  # what describes the API reads its docstring
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadBody as bad:
            told: object = str(bad) if bad.code is None else {"code": bad.code, "message": str(bad)}
            return _json(told, bad.status)
        except sqlite3.Error as error:
            return _json(f"it can't be saved now, so nothing of it is in force: {error}", 500)
        except UnknownSilence as unknown:
            return _json(str(unknown), 404)
        except Reject as bad:
            return _json(str(bad), 400)

    return answer


def _json(body: object, status: int = 200) -> web.Response:
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(body=data, content_type="application/json", status=status)
