"""Notifications, put together in the order in which data flows:

rules, posted alerts -> notifier (routes, groups, silences, inhibition) -> outbox -> deliveries -> receivers
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from alerting.alertmanager.api import AlertmanagerApi
from alerting.alertmanager.model import BadConfiguration
from alerting.configurations import Configurations, load_all
from alerting.notify.channels.context import Shared, delivery_policy
from alerting.notify.channels.delivery_metrics import DeliveryMetrics
from alerting.notify.deliveries import Deliveries
from alerting.notify.evidence import NO_EVIDENCE, EvidenceDesk, EvidenceSource
from alerting.notify.metrics import NotifyMetrics
from alerting.notify.notifier import Notifier
from alerting.notify.orphans import give_up_orphans
from alerting.settings import AlertingSettings
from alerting.state_store import StateStore
from alerting.why_api import WhyApi
from collector.api.endpoint import Endpoint
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Unusable

log = logging.getLogger(__name__)


class Notifications:
    """`notifier` is told what alerts do; `run` is a task."""

    def __init__(
        self,
        settings: AlertingSettings,
        store: StateStore,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        evidence: EvidenceSource = NO_EVIDENCE,
    ) -> None:
        """Raises Unusable: faults in configuration files or webhooks, all of them at once."""
        self._settings = settings
        self._store = store
        self._clock = clock
        self._shared = Shared(EvidenceDesk(evidence))
        try:
            self._made: Configurations = load_all(settings, self._shared)
        except BadConfiguration as bad:
            raise Unusable(str(bad)) from None
        self._seen = self._made.look()
        self._good = Gauge(
            "deckwatch_alerting_config_good",
            "1 where Alertmanager's configuration files on disk are those in force.",
            registry=registry,
        )
        self._loaded = Gauge(
            "deckwatch_alerting_config_last_load_success_timestamp_seconds",
            "When configuration files were last put in force.",
            registry=registry,
        )
        metrics = NotifyMetrics(registry)
        self._deliveries = Deliveries(
            self._made.integrations, store.outbox, clock, DeliveryMetrics(registry), delivery_policy(settings)
        )
        self.notifier = Notifier(
            store,
            self._made.routings,
            clock,
            metrics,
            external_url=settings.external_url,
            external_labels=settings.external_labels,
            wake=self._deliveries.wake,
        )
        self._api = AlertmanagerApi(
            self.notifier,
            clock,
            metrics,
            lambda tenant: self._made.of(tenant).shown,
            utf8_names=settings.utf8_label_names,
        )
        self._why = WhyApi(self.notifier, clock)
        self._note_loaded()

    @property
    def receivers(self) -> int:
        return self._made.receivers

    def wake(self) -> None:
        """The outbox has something new."""
        self._deliveries.wake()

    def routes(self) -> list[web.RouteDef]:
        """Alertmanager's API."""
        return self._api.routes()

    def endpoints(self) -> list[Endpoint]:
        """Of our own."""
        return self._why.endpoints()

    def reload(self) -> bool:
        """Read the configuration files again, now. False: they can't be used, the log says why, the old ones stay in
        force."""
        try:
            made = load_all(self._settings, self._shared)
            self.notifier.configure(made.routings)
        except BadConfiguration as bad:
            self._seen = self._made.look()
            self._good.set(0)
            log.error("Alertmanager's configuration can't be used, the one loaded before stays in force:\n%s", bad)
            return False
        except sqlite3.Error as error:
            self._good.set(0)
            log.error("Alertmanager's configuration was read but can't be put in force, the old one stays: %s", error)
            return False
        self._made, self._seen = made, made.look()
        self._deliveries.configure(made.integrations)
        self._note_loaded()
        return True

    def reload_if_changed(self) -> None:
        if self._made.look() != self._seen and self.reload():
            log.info("Alertmanager's configuration was loaded again: %d receivers", self.receivers)

    def forget(self) -> None:
        """What is over and done with for long."""
        self.notifier.forget()
        now_ns = self._clock.now_ns()
        give_up_ns = round(self._settings.give_up_after_s * 1e9)
        give_up_orphans(self._store, self._made.integrations, now_ns - give_up_ns, now_ns)

    async def run(self) -> None:
        """Until it is cancelled."""
        self._deliveries.wake()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliveries.run(), name="notifications")
            tasks.create_task(self.notifier.run(), name="groups of alerts")

    def _note_loaded(self) -> None:
        self._good.set(1)
        self._loaded.set(time.time())
