"""`GET /api/v1/why`: why somebody is told of an alert, or isn't. Deckwatch's own."""

from __future__ import annotations

import msgspec
from aiohttp import web

from alerting.alertmanager.api import tenant_of
from alerting.alertmanager.bodies import BadBody
from alerting.notify.explain import Why, explain, matching
from alerting.notify.matchers import parse_matchers
from alerting.notify.notifier import Notifier
from collector.metrics.selector import MatchOp
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject


class WhyApi:
    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self._notifier = notifier
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/why", self.why)]

    async def why(self, request: web.Request) -> web.Response:
        """`fingerprint=`, or `labels=alertname="X",host="a"`: every alert with these, or, where there is none, what
        would become of it."""
        try:
            found = self._found(request)
        except BadBody as bad:
            return _json({"error": str(bad)}, bad.status)
        except Reject as bad:
            return _json({"error": str(bad)}, 400)
        return _json({"now_ns": self._clock.now_ns(), "alerts": found})

    def _found(self, request: web.Request) -> list[Why]:
        dispatcher, now_ns = self._notifier.glance(tenant_of(request)), self._clock.now_ns()
        key, text = request.query.get("fingerprint", ""), request.query.get("labels", "")
        if bool(key) == bool(text):
            raise Reject('give either fingerprint=, or labels=alertname="X",host="a"')
        if key:
            alert = dispatcher.alert(key)
            if alert is None:
                raise BadBody(404, f"no alert with the fingerprint {key} is known; `deckwatch alerts` lists them")
            return [explain(dispatcher, alert.labels, now_ns)]
        matchers = parse_matchers(text)
        if any(matcher.op is not MatchOp.EQUAL for matcher in matchers):
            raise Reject('labels: an alert has values, so only name="value" is taken here')
        wanted = {matcher.label: matcher.value for matcher in matchers}
        known = [alert.labels for alert in matching(dispatcher, wanted, now_ns)]
        labels = known or [self._notifier.labels_of(dispatcher.tenant, wanted)]
        return [explain(dispatcher, each, now_ns) for each in labels]


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)
