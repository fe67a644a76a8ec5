"""Incidents, put together in the order in which data flows:

alerts -> tracker (incidents, timelines) -> escalator -> outbox
              ^        |
 receipts ----+        +-> API, pages behind links, metrics
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from alerting.answer.api import OnCallApi
from alerting.answer.escalator import Escalator
from alerting.answer.files import load_plan
from alerting.answer.link_routes import LinkRoutes
from alerting.answer.links import load_signer
from alerting.answer.model import Kind, OnCallPlan
from alerting.answer.overrides import Overrides
from alerting.answer.telling import EscalationTeller
from alerting.database import Database
from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.outbox import SqlOutbox
from alerting.notify.routes import Routing
from alerting.notify.template_data import Evidence
from alerting.rules.files import BadRules, rule_paths
from alerting.rules.watch import Look, look
from alerting.track.api import IncidentApi
from alerting.track.grouping import grouping
from alerting.track.measures import Statistics, statistics
from alerting.track.metrics import TrackMetrics
from alerting.track.settings import IncidentSettings
from alerting.track.store import Choice, IncidentStore
from alerting.track.tracker import Tracker
from collector.api.endpoint import Endpoint
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Unusable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""Escalation steps and expiries are late by this at most. A look is one read of an index."""
COUNT_EVERY_S = 15.0
JUDGE_EVERY_S = 300.0
ANSWER = "Acknowledge, snooze, comment"
"""Of the link in messages."""
_DAY_NS = 86_400_000_000_000


class Incidents:
    """`tracker.observe` is told what alerts do, `finished` what became of messages; `run` is a task."""

    def __init__(
        self,
        settings: IncidentSettings,
        oncall: Iterable[str],
        database: Database,
        folder: Path,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        outbox: Callable[[str], SqlOutbox],
        routing: Callable[[str], Routing],
        wake: Callable[[], None],
        external_url: str,
    ) -> None:
        """`database`: that of the states of alerts and of the outbox. Raises Unusable: faults in settings, in on-call
        files (all of them at once), in the key of links."""
        self._settings = settings
        self._globs = tuple(oncall)
        self._clock = clock
        self._routing = routing
        self._external_url = external_url
        self._metrics = TrackMetrics(registry)
        self._good = Gauge(
            "deckwatch_alerting_oncall_good", "1 where the on-call files on disk are those in force.", registry=registry
        )
        self._failures = Counter(
            "deckwatch_alerting_incident_failures_total",
            "Looks at what is due that ended in an unforeseen error.",
            registry=registry,
        )
        self.tracker = Tracker(
            IncidentStore(database),
            grouping(settings),
            self._metrics,
            reopen_within_ns=round(settings.reopen_within_s * 1e9),
        )
        self.overrides = Overrides(database)
        teller = EscalationTeller(database, outbox, routing, wake, external_url=external_url)
        self.escalator = Escalator(self.tracker, teller.tell, self.overrides.of)
        self.links = LinkRoutes(
            load_signer(settings.link_key_file, folder),
            self.tracker,
            lambda tenant, schedule: self._oncall_api.calendar_of(tenant, schedule),
            settings,
            clock,
            external_url=external_url,
        )
        self._incident_api = IncidentApi(self.tracker, settings, clock)
        self._oncall_api = OnCallApi(lambda: self.escalator.plan, self.overrides, self.links, self.tracker, clock)
        self._metrics.restore(self.tracker.store.all())
        self._seen: Look = look(self._globs)
        try:
            self._take(load_plan(self._globs))
        except BadRules as error:
            raise Unusable(str(error)) from None

    def endpoints(self) -> list[Endpoint]:
        return [*self._incident_api.endpoints(), *self._oncall_api.endpoints()]

    def routes(self) -> list[web.RouteDef]:
        """What is no part of the API: pages that signed links open."""
        return self.links.routes()

    def finished(self, notification: Notification, receipts: Sequence[Receipt]) -> None:
        """A message has left the outbox; part of that transaction."""
        self.tracker.finished(notification, receipts, self._clock.now_ns())

    def evidence(self, notification: Notification) -> dict[str, Evidence]:
        """With each alert that fires a link to answer its incident, where the settings say where people reach us."""
        if not self._external_url:
            return {}
        urls: dict[str, str] = {}
        found: dict[str, Evidence] = {}
        ids = self.tracker.store.incidents_of(notification.tenant, [alert.fingerprint for alert in notification.firing])
        for fingerprint, id_ in ids.items():
            if id_ not in urls:
                urls[id_] = self.links.incident_url(notification.tenant, id_)
            found[fingerprint] = Evidence(links=((ANSWER, urls[id_]),))
        return found

    def reload(self) -> bool:
        """Read the on-call files again, now. False: they can't be used, the log says why, the old ones stay."""
        self._seen = look((*self._globs, *self.escalator.plan.calendars))
        try:
            self._take(load_plan(self._globs))
        except BadRules as error:
            self._good.set(0)
            log.error("on-call files can't be used, those loaded before stay in force:\n%s", error)
            return False
        if self._globs:
            log.info("on-call files were loaded again")
        return True

    def reload_if_changed(self) -> None:
        if look((*self._globs, *self.escalator.plan.calendars)) != self._seen:
            self.reload()

    async def run(self) -> None:
        """Until it is cancelled."""
        counted = judged = float("-inf")
        failing = False
        while True:
            now_ns, passed = self._clock.now_ns(), self._clock.monotonic()
            try:
                self.escalator.tick(now_ns)
                if passed - counted >= COUNT_EVERY_S:
                    counted = passed
                    self._metrics.count(self.tracker.store.counts())
                if passed - judged >= JUDGE_EVERY_S:
                    judged = passed
                    await self._judge(now_ns)
                failing = False
            except Exception:  # a full disk, or a fault of ours over one incident: what is due stays due
                self._failures.inc()
                if not failing:
                    log.exception("not everything that is due for incidents could be done; it is tried again")
                failing = True
            await self._clock.sleep(LOOK_EVERY_S)

    def _take(self, plan: OnCallPlan) -> None:
        self.escalator.take(plan, self._clock.now_ns())
        self._seen = look((*self._globs, *plan.calendars))
        self._good.set(1)
        for pattern in self._globs:
            if not rule_paths([pattern]):  # at the start, and when the last file of a pattern was taken away
                log.warning("alerting.oncall %s: no such file; nobody is on call by it until there is one", pattern)
        for receiver, tenant in sorted(unknown_receivers(plan, self._routing)):
            log.warning("on-call files name the receiver %s, which tenant %s's receivers lack", receiver, tenant)

    async def _judge(self, now_ns: int) -> None:
        """In a thread: alerts don't wait for it."""
        store = self.tracker.store
        gone = store.forget(now_ns - round(self._settings.keep_days * _DAY_NS))
        if gone:
            log.info("%d incidents that ended more than %g days ago were forgotten", gone, self._settings.keep_days)
        start_ns = now_ns - round(self._settings.noise_window_s * 1e9)

        def rows() -> dict[str, list[Statistics]]:
            tenants = sorted({tenant for tenant, _, _ in store.counts()})
            lately = {tenant: store.measured(Choice(tenant, start_ns=start_ns)) for tenant in tenants}
            return {tenant: statistics(some, start_ns, now_ns) for tenant, some in lately.items()}

        self._metrics.judge(await asyncio.to_thread(rows))


def unknown_receivers(plan: OnCallPlan, routing: Callable[[str], Routing]) -> set[tuple[str, str]]:
    """(receiver, tenant) that steps or users name and nobody has configured."""
    named = {(receiver, tenant) for (tenant, _), user in plan.users.items() for receiver in user.receivers}
    named |= {
        (whom.name, policy.tenant)
        for policy in plan.policies
        for step in policy.steps
        for whom in step.notify
        if whom.kind is Kind.RECEIVER
    }
    return {(receiver, tenant) for receiver, tenant in named if receiver not in routing(tenant).receivers}
