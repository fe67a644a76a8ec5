"""Alerting, put together in the order in which data flows:

records -> log metrics ------\\
                              rules (on time, on arrival) -> states -> outbox -> receivers
samples -> history, agents --/  |
               ^----------------| recorded series, ALERTS, log metrics
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from alerting.api import AlertingApi
from alerting.incidents import Incidents
from alerting.notifications import Notifications
from alerting.notify.channels.model import Notification
from alerting.notify.rule_evidence import RuleEvidence, merged
from alerting.notify.template_data import Evidence
from alerting.rules.agents import QuietAgents, Replay
from alerting.rules.asking import reaches_ms
from alerting.rules.beat import Beat
from alerting.rules.builtin import BUILTIN
from alerting.rules.evaluator import Evaluator, EvaluatorMetrics
from alerting.rules.files import BadRules, load_rules, rule_paths
from alerting.rules.keeping import Keeper, KeepSamples
from alerting.rules.logmetric_store import LogMetricStore
from alerting.rules.logmetrics import LogMetrics
from alerting.rules.model import RuleSet
from alerting.rules.published import Published
from alerting.rules.schedule import Schedule
from alerting.rules.sources import KnownAlone, LiveSource, NewestAsLive, RuleSource
from alerting.rules.state import Alert, Surroundings
from alerting.rules.watch import Look, look
from alerting.settings import AlertingSettings
from alerting.state_store import StateStore
from collector.api.endpoint import Endpoint
from collector.app import Collector
from collector.metrics.backend.joined import Joined
from collector.metrics.families import Family
from collector.metrics.head import Head
from collector.metrics.own import OwnSeries
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import SeriesSource
from collector.metrics.series import Newest
from collector.records import RecordConsumer
from collector.store.protocol import LogStore
from deckwatch.runtime.announce import Announced, announce
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Unusable

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0


class Alerting:
    """Built before the collector runs. `consumers` gets the records, `routes` and `families` go to the web server,
    `run` is a task beside the collector's, `stop` comes last."""

    def __init__(
        self,
        settings: AlertingSettings,
        rules_globs: Iterable[str],
        data_dir: Path,
        head: Head,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        history: Callable[[str], SeriesSource],
        keep: KeepSamples,
        queries: PromqlSettings = PromqlSettings(),  # noqa: B008 - frozen
        replayed: Callable[[], bool] = lambda: True,
        newest: Iterable[Newest] = (),
        logs: LogStore | None = None,
        far: Callable[[str], SeriesSource | None] = lambda tenant: None,
    ) -> None:
        """`history` answers for the samples of a tenant, `keep` adds to it; `far`: another storage that has all but
        what is made here; `newest`: further series of which only the values of now are known. `replayed`: have the
        consumers seen again what the journal held at the start? Raises Unusable: faults in rule files or receivers
        (all of them at once), a database that can't be used."""
        self._settings = settings
        self._globs = (*settings.rules, *rules_globs)
        self._all_globs = (*self._globs, *((BUILTIN,) if settings.builtin_rules else ()))
        self._head = head
        self._clock = clock
        self._history = self._joined(history, far)
        self._store = StateStore(data_dir / "alerts.sqlite")
        try:
            self._notifications = Notifications(settings, self._store, clock, registry, evidence=self._evidence)
            self._incidents = self._make_incidents(data_dir, registry)
        except Unusable:
            self._store.close()
            raise
        self._log_store = LogMetricStore(data_dir / "logmetrics.sqlite")
        self._log_metrics = LogMetrics(
            self._log_store,
            registry,
            is_silent=head.is_silent,
            changed=lambda tenant, names: self._schedule.metrics_changed(tenant, names),
            replayed=replayed,
            max_series=settings.log_metric_series,
        )
        self._published = Published()
        self._keeper = Keeper(keep, clock, registry)
        own = (head, *newest)
        self._beat = Beat(own, self._log_metrics, self._keeper, clock, head.tenants)
        agents = QuietAgents(head, self._history, self._makes, started_ns=clock.now_ns())
        made: tuple[LiveSource, ...] = (self._log_metrics, self._published, *(NewestAsLive(each) for each in own))
        self._live: tuple[LiveSource, ...] = (*made, agents, Replay(replayed))
        self._shown = tuple(KnownAlone(each) for each in made)
        self._evaluator = Evaluator(
            self._source,
            self._store,
            self._notifications.notifier,
            EvaluatorMetrics(registry),
            self._published,
            self._keeper,
            Surroundings(settings.external_labels, settings.external_url),
            queries,
        )
        self._rule_evidence = RuleEvidence(self._evaluator.alerts, self._fingerprint, logs, clock)
        self._schedule = Schedule(self._evaluator, clock, registry, arrival_gap_s=settings.arrival_gap_s)
        self._api = AlertingApi(self._evaluator, self._store)
        self._good = Gauge(
            "deckwatch_alerting_rules_good", "1 where the rule files on disk are those in force.", registry=registry
        )
        self._loaded = Gauge("deckwatch_alerting_rules", "Rules in force.", registry=registry)
        self._loaded_rules = 0
        self._seen: Look = look(self._all_globs)
        try:
            self._take(self._load())
        except BadRules as error:
            self._store.close()
            self._log_store.close()
            raise Unusable(str(error)) from None
        for pattern in self._globs:
            if not rule_paths([pattern]):
                log.warning("rules %s: no such file; nothing is evaluated until there is one", pattern)
        self._announce("")

    def _source(self, tenant: str, at_ms: int) -> RuleSource:
        return RuleSource(tenant, self._history(tenant), self._live, at_ms)

    def newest(self, tenant: str, stored: SeriesSource, at_ms: int) -> SeriesSource:
        """For queries: what is newer than the history, as rules see it."""
        return RuleSource(tenant, stored, self._shown, at_ms)

    def _joined(
        self, history: Callable[[str], SeriesSource], far: Callable[[str], SeriesSource | None]
    ) -> Callable[[str], SeriesSource]:
        def stored(tenant: str) -> SeriesSource:
            other = far(tenant)
            if other is None:
                return history(tenant)
            return Joined(other, history(tenant), lambda name: self._makes(tenant, name))

        return stored

    def _makes(self, tenant: str, name: str) -> bool:
        """Is a series of that name made here?"""
        return self._published.makes(tenant, name) or self._log_metrics.makes(tenant, name) or self._beat.makes(name)

    def _make_incidents(self, data_dir: Path, registry: CollectorRegistry) -> Incidents:
        notifier = self._notifications.notifier
        made = Incidents(
            self._settings.incidents,
            self._settings.oncall,
            self._store.database,
            data_dir,
            self._clock,
            registry,
            outbox=self._store.outbox,
            routing=lambda tenant: notifier.routings.of(tenant),
            wake=self._notifications.wake,
            external_url=self._settings.external_url,
        )
        self._store.finish_listeners.append(made.finished)
        notifier.follow(made.tracker)
        return made

    async def _evidence(self, notification: Notification) -> Mapping[str, Evidence]:
        """What goes with a message about alerts: values, the last lines, links to answer it."""
        return merged(await self._rule_evidence(notification), self._incidents.evidence(notification))

    def _fingerprint(self, tenant: str, alert: Alert) -> str:
        """Under which it is told of."""
        return self._notifications.notifier.record(tenant, alert, "", 0).fingerprint

    def consumers(self) -> RecordConsumer:
        return self._log_metrics

    def routes(self) -> list[web.RouteDef]:
        return [*self._api.routes(), *self._notifications.routes(), *self._incidents.routes()]

    def endpoints(self) -> list[Endpoint]:
        """The part of the API that describes itself in the OpenAPI document."""
        return [*self._notifications.endpoints(), *self._incidents.endpoints()]

    def families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        """For /metrics: log metrics, ALERTS, recorded series."""
        yield from self._log_metrics.families(tenant, at_ns)
        yield from self._published.families(tenant, at_ns)

    def reload(self) -> bool:
        """Read rule files, Alertmanager's configuration and on-call files again, now. False: something of it can't be
        used, the log says why, what was in force before stays so."""
        routed, planned = self._notifications.reload(), self._incidents.reload()
        return self._reload_rules() and routed and planned

    def _reload_rules(self) -> bool:
        self._seen = look(self._all_globs)
        try:
            self._take(self._load())
        except BadRules as error:
            self._good.set(0)
            log.error("rule files can't be used, those loaded before stay in force:\n%s", error)
            return False
        except sqlite3.Error as error:
            self._good.set(0)
            log.error("rule files were read but can't be put in force, those before stay: %s", error)
            return False
        self._announce("loaded again: ")
        return True

    def _announce(self, how: str) -> None:
        if not self._globs:
            return
        rules = self._loaded_rules
        receivers = self._notifications.receivers
        told = _counted(receivers, "receiver") if receivers else "nobody is told: give --webhook URL"
        detail = f"{how}{_counted(rules, 'rule')} in {_counted(len(rule_paths(self._globs)), 'file')}; {told}"
        announce(Announced.FINDING, f"Rules: {detail}", what="Rules", reached=True, detail=detail, mend="")

    async def run(self) -> None:
        """Until it is cancelled."""
        self._schedule.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._notifications.run(), name="notifications")
                tasks.create_task(self._incidents.run(), name="incidents")
                tasks.create_task(self._keeper.run(), name="series of rules into the history")
                tasks.create_task(self._beat.run(), name="own series into the history")
        finally:
            self._schedule.stop()

    async def stop(self) -> None:
        """After `run` has ended and the last records were committed. Idempotent."""
        self._schedule.stop()
        self._store.close()
        self._log_store.close()

    def _load(self) -> RuleSet:
        return load_rules(self._all_globs, default_interval_ns=int(self._settings.evaluation_interval_s * 1e9))

    def _take(self, rules: RuleSet) -> None:
        queries = [rule.expression for group in rules.groups for rule in group.rules]
        ranges = [(selector.name, ms * 1_000_000) for query in queries for selector, ms in reaches_ms(query, 0)]
        self._log_metrics.set_metrics(rules.log_metrics, _longest(ranges))
        self._rule_evidence.log_metrics = rules.log_metrics
        self._evaluator.load(rules.groups, self._clock.now_ns())
        self._schedule.set_groups(self._evaluator.groups.values())
        self._schedule.every(self._settings.reload_interval_s, "look at rule files", self._reload_if_changed)
        self._schedule.every(FORGET_EVERY_S, "forget old series", self._forget)
        self._good.set(1)
        given = {str(path) for path in rule_paths(self._globs)}
        self._loaded_rules = sum(len(group.rules) for group in rules.groups if group.file in given)
        self._loaded.set(sum(len(group.rules) for group in rules.groups))

    def _reload_if_changed(self) -> None:
        self._notifications.reload_if_changed()
        self._incidents.reload_if_changed()
        if look(self._all_globs) != self._seen:
            self._reload_rules()

    def _forget(self) -> None:
        self._head.forget_old(self._clock.now_ns())
        self._notifications.forget()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _longest(ranges: Iterable[tuple[str, int]]) -> dict[str, int]:
    longest: dict[str, int] = {}
    for name, range_ns in ranges:
        longest[name] = max(longest.get(name, 0), range_ns)
    return longest


def attach(collector: Collector, settings: AlertingSettings) -> Alerting:
    """Plug alerting into a collector that does not run yet. Its state lies in the collector's data directory.
    `Alerting.reload` is for SIGHUP. Raises Unusable."""
    folder = collector.data_dir.path / "alerting"
    held_seq = collector.journal.durable_seq
    alerting = Alerting(
        settings,
        (),
        folder,
        collector.head,
        collector.clock,
        collector.registry,
        history=collector.history.source,
        keep=collector.pipeline.keep_samples,
        queries=collector.settings.metrics.queries,
        replayed=lambda: collector.store.snapshot().newest_seq >= held_seq,
        newest=(collector.completeness, OwnSeries(collector.registry, host=platform.node())),
        logs=collector.search,
        far=collector.far,
    )
    collector.prometheus_api.add_newest(alerting.newest)
    collector.add_records(alerting.consumers())
    collector.add_routes(alerting.routes())
    collector.add_endpoints(alerting.endpoints())
    collector.add_families(alerting.families)
    collector.add_service("alerting", alerting.run)
    return alerting
