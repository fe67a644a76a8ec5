"""`GET /api/v1/why`: why somebody is told of an alert, or isn't. Deckwatch's own."""

from __future__ import annotations

import msgspec
from aiohttp import web

from alerting.notify.explain import Why, explain, matching
from alerting.notify.matchers import parse_matchers
from alerting.notify.notifier import Notifier
from collector.api.endpoint import JSON, Arguments, Endpoint, NotFound, Parameter
from collector.metrics.selector import MatchOp
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.identity import tenant_fault
from deckwatch.wire.model import DEFAULT_TENANT

_PARAMETERS = (
    Parameter("fingerprint", "Of one alert, as /api/v2/alerts gives it."),
    Parameter("labels", 'Of every alert that has these: alertname="X",host="a". None has: what would become of one.'),
    Parameter("tenant", "Whose alerts; 'default' if absent."),
)


class WhyApi:
    def __init__(self, notifier: Notifier, clock: Clock) -> None:
        self._notifier = notifier
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "/api/v1/why",
                "Why somebody is told of an alert, or isn't",
                "Routes and groups of alerts, what mutes them, what each integration was told and hears next.",
                _PARAMETERS,
                {JSON: {"type": "object"}},
                self.why,
            )
        ]

    async def why(self, arguments: Arguments) -> web.Response:
        body = msgspec.json.encode({"now_ns": self._clock.now_ns(), "alerts": self._found(arguments)})
        return web.Response(body=body, content_type=JSON)

    def _found(self, arguments: Arguments) -> list[Why]:
        tenant, now_ns = arguments.text("tenant", DEFAULT_TENANT), self._clock.now_ns()
        if problem := tenant_fault(tenant):
            raise Reject(problem)
        dispatcher = self._notifier.glance(tenant)
        key, text = arguments.text("fingerprint"), arguments.text("labels")
        if bool(key) == bool(text):
            raise Reject('give either fingerprint=, or labels=alertname="X",host="a"')
        if key:
            alert = dispatcher.alert(key)
            if alert is None:
                raise NotFound(f"no alert with the fingerprint {key} is known; `deckwatch alerts` lists them")
            return [explain(dispatcher, alert.labels, now_ns)]
        matchers = parse_matchers(text)
        if any(matcher.op is not MatchOp.EQUAL for matcher in matchers):
            raise Reject('labels: an alert has values, so only name="value" is taken here')
        wanted = {matcher.label: matcher.value for matcher in matchers}
        known = [alert.labels for alert in matching(dispatcher, wanted, now_ns)]
        labels = known or [self._notifier.labels_of(tenant, wanted)]
        return [explain(dispatcher, each, now_ns) for each in labels]
