"""From alerts that changed to notifications in the outbox, for every tenant: rules hand their changes in here, inside
the transaction that saves their states, and the API what others post."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import quote_plus

import msgspec

from alerting.notify.alerts import AlertRecord
from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.dispatch import TENANT_LABEL, Dispatcher
from alerting.notify.follower import Follower, Nobody
from alerting.notify.message import fingerprint
from alerting.notify.metrics import NotifyMetrics
from alerting.notify.routes import Routing
from alerting.rules.state import Alert
from alerting.state_store import StateStore
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import DEFAULT_TENANT, Labels

log = logging.getLogger(__name__)

LOOK_EVERY_S = 15.0
"""At least so often: wall time may jump, and figures are to be fresh."""
_AGAIN_S = 1.0
_OBSERVE_EVERY_NS = 5 * 10**9  # figures of alerts: each is compared with every silence
_LOG_KEPT_NS = 120 * 3600 * 10**9  # of what receivers were told (Alertmanager's --data.retention)


class Routings(msgspec.Struct, frozen=True):
    """Tenants without a configuration of their own share one."""

    shared: Routing
    tenants: Mapping[str, Routing] = {}

    def of(self, tenant: str) -> Routing:
        return self.tenants.get(tenant, self.shared)


class Notifier:
    """Lives in one event loop. `wake` tells delivery that the outbox has something new."""

    def __init__(
        self,
        store: StateStore,
        routings: Routings,
        clock: Clock,
        metrics: NotifyMetrics,
        *,
        external_url: str,
        external_labels: Mapping[str, str],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._routings = routings
        self._clock = clock
        self._metrics = metrics
        self._external_url = external_url
        self._external_labels = dict(external_labels)
        self._wake = wake
        self._changed = asyncio.Event()
        self._observe_at_ns = 0
        self._follower: Follower = Nobody()
        self._dispatchers: dict[str, Dispatcher] = {}
        store.database.after_each_rollback(self._went_stale)
        store.finish_listeners.append(self._finished)
        for tenant in store.alerts.tenants():
            self.dispatcher(tenant)

    @property
    def routings(self) -> Routings:
        return self._routings

    def dispatcher(self, tenant: str) -> Dispatcher:
        """Made where there was none: for what is to be kept."""
        if tenant not in self._dispatchers:
            self._dispatchers[tenant] = self.glance(tenant)
            self._dispatchers[tenant].follow(self._follower, self._clock.now_ns())
        return self._dispatchers[tenant]

    def follow(self, follower: Follower) -> None:
        """Tell it what alerts do, from those that fire already on."""
        self._follower = follower
        for dispatcher in self._dispatchers.values():
            dispatcher.follow(follower, self._clock.now_ns())

    def glance(self, tenant: str) -> Dispatcher:
        """The tenant's dispatcher; of a tenant that has nothing one that is forgotten again."""
        known = self._dispatchers.get(tenant)
        if known is not None:
            known.fresh(self._clock.now_ns())
            return known
        return Dispatcher(
            tenant,
            self._store,
            self._routings.of(tenant),
            self._clock.now_ns(),
            external_url=self._external_url,
            wake=self._wake,
            held=self._metrics.held,
        )

    def configure(self, routings: Routings) -> None:
        self._routings = routings
        for tenant, dispatcher in self._dispatchers.items():
            dispatcher.configure(routings.of(tenant), self._clock.now_ns())
        self._changed.set()

    # Rules ----------------------------------------------------------------------------------------------------------

    def record(self, tenant: str, alert: Alert, expression: str, now_ns: int, ends_ns: int = 0) -> AlertRecord:
        """The alert as it is sent: external labels give way to its own."""
        labels = self.labels_of(tenant, {**self._external_labels, **dict(alert.labels)})
        graph = f"{self._external_url}/graph?g0.expr={quote_plus(expression)}&g0.tab=1" if self._external_url else ""
        return AlertRecord(
            fingerprint(labels), labels, alert.annotations, alert.fired_ns, ends_ns, now_ns, graph, by_rule=True
        )

    def labels_of(self, tenant: str, labels: Mapping[str, str]) -> Labels:
        """Of an alert of this tenant; whatever it says itself about the tenant gives way."""
        own = {} if tenant == DEFAULT_TENANT else {TENANT_LABEL: tenant}
        return tuple(sorted({**labels, **own}.items()))

    def put(self, tenant: str, alerts: Sequence[AlertRecord], now_ns: int) -> list[AlertRecord]:
        """See Dispatcher.put."""
        if not alerts:
            return []
        taken = self.dispatcher(tenant).put(alerts, now_ns)
        self._changed.set()
        return taken

    def refresh(self, tenant: str, alerts: Iterable[AlertRecord]) -> None:
        for alert in alerts:
            self.dispatcher(tenant).refresh(alert)

    def reconcile(self, firing: Mapping[str, Sequence[AlertRecord]], now_ns: int) -> None:
        """Tenant -> the alerts that rules hold firing, all of them."""
        for tenant in self._dispatchers.keys() | firing.keys():
            self.dispatcher(tenant).reconcile(firing.get(tenant, ()), now_ns)
        self._changed.set()

    # Life -----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Looks at each group when its time has come. Until it is cancelled."""
        failing = False
        while True:
            self._changed.clear()
            try:
                wait_s = self._look()
                if failing:
                    log.info("groups of alerts can be told of again")
                failing = False
            except Exception:  # a full disk, or a fault of ours over one group: what is due stays due
                self._metrics.failed.inc()
                if not failing:
                    log.exception("groups of alerts can't be told of, it is tried again each second")
                failing, wait_s = True, _AGAIN_S
            await self._until_changed(wait_s)

    def _look(self) -> float:
        """How many seconds there is nothing to do. A tenant whose groups can't be told of holds up no other: what went
        wrong is raised at the end, as an ExceptionGroup."""
        now_ns = self._clock.now_ns()
        due: list[int] = []
        wrong: list[Exception] = []
        for dispatcher in self._dispatchers.values():
            try:
                dispatcher.flush_due(now_ns)
                next_ns = dispatcher.next_due_ns(now_ns)
            except Exception as error:
                wrong.append(error)
                continue
            due += [] if next_ns is None else [next_ns]
        if wrong:
            raise ExceptionGroup("groups of alerts that were due", wrong)
        if now_ns >= self._observe_at_ns:
            self._metrics.observe(self._dispatchers.values(), now_ns)
            self._observe_at_ns = now_ns + _OBSERVE_EVERY_NS
        return min([LOOK_EVERY_S, *(max(0.0, (next_ns - now_ns) / 1e9) for next_ns in due)])

    async def _until_changed(self, wait_s: float) -> None:
        waits = [
            asyncio.create_task(self._changed.wait(), name="alerts changed"),
            asyncio.create_task(self._clock.sleep(wait_s), name="a group is due"),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def forget(self) -> None:
        """Silences that expired long ago, and what receivers were told of groups that are no more."""
        now_ns = self._clock.now_ns()
        for dispatcher in self._dispatchers.values():
            dispatcher.silences.forget(now_ns)
        longest_ns = max(
            route.repeat_interval_ns
            for routing in (self._routings.shared, *self._routings.tenants.values())
            for route in routing.root.walk()
        )
        self._store.log.forget_before(now_ns - max(_LOG_KEPT_NS, 2 * longest_ns))

    def _finished(self, notification: Notification, receipts: Sequence[Receipt]) -> None:
        dispatcher = self._dispatchers.get(notification.tenant)
        if dispatcher is not None:
            dispatcher.finished(notification, receipts)

    def _went_stale(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.went_stale()
