"""Groups are evaluated: expressions asked, states advanced, and states and messages saved in one transaction.

Two halves: `compute` asks and decides, in a thread of its own, and changes nothing; `apply` puts in force what came of
it, in the event loop. What is held in memory is what was committed: a failed transaction leaves the alerts as they
were, and the next evaluation tries again.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from alerting.notify.alerts import AlertRecord
from alerting.notify.notifier import Notifier
from alerting.rules.asking import ask, shape
from alerting.rules.evaluation import GroupOutcome, RuleOutcome, RuleState, evaluate_group
from alerting.rules.keeping import Keeper
from alerting.rules.model import RecordingRule, RuleGroup
from alerting.rules.published import Published, alert_samples
from alerting.rules.runs import GroupRun, RuleHealth, RuleRun, runs_of, worth_saving
from alerting.rules.sources import RuleSource
from alerting.rules.state import ALERTNAME, Alert, Alerts, AlertState, Change, Surroundings, Transition
from alerting.state_store import StateStore
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.series import Sample
from deckwatch.runtime.faults import Reject

log = logging.getLogger(__name__)

RuleChange = tuple[str, Transition]
"""(the rule's expression as text, what became of one of its alerts)"""


SourceAt = Callable[[str, int], RuleSource]
"""(tenant, Unix ms) -> what rules see then."""


class EvaluatorMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.evaluations = Counter(
            "deckwatch_alerting_rule_evaluations_total", "Rules evaluated.", ["outcome"], registry=registry
        )
        self.took = Histogram(
            "deckwatch_alerting_group_evaluation_seconds",
            "Wall time of a group's evaluation, saving included.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
            registry=registry,
        )
        self.changes = Counter(
            "deckwatch_alerting_alert_changes_total", "Changes of alerts' states.", ["change"], registry=registry
        )
        self.unsaved = Counter(
            "deckwatch_alerting_save_failures_total", "Evaluations whose result could not be saved.", registry=registry
        )


class Evaluator:
    """`compute` for one thread at a time; everything else in the event loop."""

    def __init__(
        self,
        source: SourceAt,
        store: StateStore,
        notifier: Notifier,
        metrics: EvaluatorMetrics,
        published: Published,
        keeper: Keeper,
        around: Surroundings,
        settings: PromqlSettings,
    ) -> None:
        self._source = source
        self._store = store
        self._notifier = notifier
        self._metrics = metrics
        self._published = published
        self._keeper = keeper
        self._around = around
        self._settings = settings
        self.groups: dict[str, GroupRun] = {}

    def load(self, groups: Iterable[RuleGroup], now_ns: int) -> None:
        """Take these groups instead of those before. A rule that is there as before (same file, group, name and
        labels) keeps its alerts, whatever its expression; alerts of rules that are gone are resolved."""
        known = self._store.rules()
        known |= {run.key: run.alerts for group in self.groups.values() for run in group.rules}
        loaded = {group.key: GroupRun(group, runs_of(group, known)) for group in groups}
        for key, run in loaded.items():
            before = self.groups.get(key)
            if before is not None:
                run.evaluated_ns, run.took_s = before.evaluated_ns, before.took_s
        frames = {run.key: run.frames for group in self.groups.values() for run in group.rules}
        for group in loaded.values():
            for rule in group.rules:
                rule.frames = frames.get(rule.key, rule.frames)
        kept = {run.key for group in loaded.values() for run in group.rules}
        gone = {key: alerts for key, alerts in known.items() if key not in kept and alerts}
        before_all, self.groups = self.groups, loaded
        try:
            with self._store.database.transaction():
                self._store.save_rules(dict.fromkeys(gone, ()))
                self._notifier.reconcile(self._firing(now_ns), now_ns)
        except sqlite3.Error:
            self.groups = before_all
            raise
        self._keeper.offer(frames[key].frame(now_ns, ()) for key in frames if key not in kept)
        self._publish_loaded(now_ns)

    def _publish_loaded(self, now_ns: int) -> None:
        recording = {
            run.key: (group.group.tenant, run.rule.name)
            for group in self.groups.values()
            for run in group.rules
            if isinstance(run.rule, RecordingRule)
        }
        self._published.set_rules((run.key for group in self.groups.values() for run in group.rules), recording)
        for group in self.groups.values():
            for run in group.rules:
                if run.alerts:
                    self._published.set(run.key, group.group.tenant, now_ns, alert_samples(run.alerts.values()))

    def evaluate(self, group: GroupRun, now_ns: int) -> tuple[Transition, ...]:
        return self.apply(group, self.compute(group, now_ns))

    def warm(self) -> None:
        """Ask one rule of each shape, so that the first evaluation doesn't wait for kernels to be loaded."""
        shapes = {shape(run.rule.expression): (group, run) for group in self.groups.values() for run in group.rules}
        for group, run in shapes.values():
            with contextlib.suppress(Reject):  # its own evaluation tells of it
                ask(run.rule.expression, 0, self._source(group.group.tenant, 0), self._settings)

    def compute(self, group: GroupRun, now_ns: int) -> GroupOutcome:
        """Changes nothing."""
        at_ns = now_ns - group.group.query_offset_ns
        source = self._source(group.group.tenant, at_ns // 1_000_000)
        states = [RuleState(run.rule, run.alerts, self._recorded(run)) for run in group.rules]
        return evaluate_group(group.group, states, now_ns, source, self._around, self._settings)

    def _recorded(self, run: RuleRun) -> tuple[Sample, ...]:
        if not isinstance(run.rule, RecordingRule):
            return ()
        held = tuple(Sample(one.labels, one.value) for one in self._published.unknown_of(run.key))
        return (*self._published.of(run.key), *held)

    def apply(self, group: GroupRun, outcome: GroupOutcome) -> tuple[Transition, ...]:
        """What changed. An evaluation that can't be saved changes nothing; nor does one of a group that was loaded
        again meanwhile."""
        if self.groups.get(group.group.key) is not group:
            return ()
        started = time.perf_counter()
        pairs = list(zip(group.rules, outcome.rules, strict=True))
        for run, one in pairs:
            self._note(group.group, run, one, outcome.now_ns)
        changes = [(run.rule.text, change) for run, one in pairs if one.step for change in one.step.transitions]
        before = {run.key: run.alerts for run in group.rules}
        for run, one in pairs:
            if one.step is not None:
                run.alerts = one.step.alerts
        try:
            self._save(group, before, changes, outcome.now_ns)
        except sqlite3.Error as error:
            for run in group.rules:
                run.alerts = before[run.key]
            self._metrics.unsaved.inc()
            log.error("states of the rule group %s can't be saved, it stays as it was: %s", group.group.name, error)
            return ()
        for run in group.rules:
            changed = self._firing_of(group.group.tenant, run, outcome.now_ns, before[run.key])
            self._notifier.refresh(group.group.tenant, changed)
        self._publish(group, pairs, outcome.at_ns)
        group.evaluated_ns, group.took_s = outcome.now_ns, outcome.took_s + time.perf_counter() - started
        self._metrics.took.observe(group.took_s)
        for _, transition in changes:
            self._metrics.changes.labels(transition.change.value).inc()
        return tuple(transition for _, transition in changes)

    def alerts(self, tenant: str) -> Iterable[tuple[RuleRun, Alert]]:
        for group in self.groups.values():
            if group.group.tenant == tenant:
                for run in group.rules:
                    for alert in run.alerts.values():
                        yield run, alert

    # Inside -----------------------------------------------------------------------------------------------------

    def _note(self, group: RuleGroup, run: RuleRun, outcome: RuleOutcome, now_ns: int) -> None:
        error = outcome.error
        if error and error != run.health.error:
            log.warning("rule %s of group %s (%s): %s", run.rule.name, group.name, group.file, error)
        health = "err" if error else "ok"
        self._metrics.evaluations.labels(health).inc()
        run.health = RuleHealth(health, error, now_ns, outcome.took_s)

    def _publish(self, group: GroupRun, pairs: Iterable[tuple[RuleRun, RuleOutcome]], at_ns: int) -> None:
        """Of a rule that could not be evaluated what it published before stands."""
        for run, outcome in pairs:
            if outcome.series is not None:
                self._published.set(run.key, group.group.tenant, at_ns, outcome.series, outcome.unknown)
                held = [one.labels for one in outcome.unknown]
                self._keeper.offer([run.frames.frame(at_ns, outcome.series, held)])

    def _save(self, group: GroupRun, before: Mapping[str, Alerts], changes: list[RuleChange], now_ns: int) -> None:
        states = {run.key: run.alerts.values() for run in group.rules if worth_saving(before[run.key], run.alerts)}
        if not states and not changes:
            return
        with self._store.database.transaction():
            self._store.save_rules(states)
            self._notifier.put(group.group.tenant, self._records(group.group.tenant, changes, now_ns), now_ns)

    def _records(self, tenant: str, changes: Iterable[RuleChange], now_ns: int) -> list[AlertRecord]:
        """Of alerts that fired or resolved. What another rule holds firing under the same labels has not ended."""
        records = []
        for expression, change in changes:
            if change.change is Change.FIRED:
                records.append(self._notifier.record(tenant, change.alert, expression, now_ns))
            elif change.change is Change.RESOLVED and not self._fires_still(tenant, change.alert):
                records.append(self._notifier.record(tenant, change.alert, expression, now_ns, change.at_ns))
        return records

    def _fires_still(self, tenant: str, alert: Alert) -> bool:
        name = dict(alert.labels)[ALERTNAME]
        return any(
            run.rule.name == name and alert.labels in run.alerts and run.alerts[alert.labels].state is AlertState.FIRING
            for group in self.groups.values()
            if group.group.tenant == tenant
            for run in group.rules
        )

    def _firing(self, now_ns: int) -> dict[str, list[AlertRecord]]:
        firing: dict[str, list[AlertRecord]] = {}
        for group in self.groups.values():
            of_tenant = firing.setdefault(group.group.tenant, [])
            for run in group.rules:
                of_tenant += self._firing_of(group.group.tenant, run, now_ns)
        return firing

    def _firing_of(self, tenant: str, run: RuleRun, now_ns: int, before: Alerts | None = None) -> Iterable[AlertRecord]:
        """`before`: only those whose annotations have changed since."""
        for labels, alert in run.alerts.items():
            if alert.state is not AlertState.FIRING:
                continue
            if before is not None:
                old = before.get(labels)
                if old is None or old.annotations == alert.annotations:
                    continue
            yield self._notifier.record(tenant, alert, run.rule.text, now_ns)
