"""Groups are evaluated: expressions asked, states advanced, and states and messages saved in one transaction.

What is held in memory is what was committed: a failed transaction leaves the alerts as they were, and the next
evaluation tries again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram

from alerting.notify.message import GroupAlert
from alerting.notify.notifier import Notifier
from alerting.rules.expression import Query
from alerting.rules.model import AlertRule, RecordingRule, RuleGroup
from alerting.rules.published import Published
from alerting.rules.runs import GroupRun, RuleHealth, RuleRun, runs_of, worth_saving
from alerting.rules.state import (
    ALERTNAME,
    Alert,
    Alerts,
    AlertState,
    Change,
    EvaluationError,
    Step,
    Surroundings,
    Transition,
    advance,
    clear,
)
from alerting.state_store import StateStore
from collector.metrics.series import SeriesSource
from deckwatch.runtime.faults import Reject

log = logging.getLogger(__name__)

RuleChange = tuple[str, Transition]
"""(the rule's expression as text, what became of one of its alerts)"""


class IsAwaited(Protocol):
    """After a start, series come in one by one. May the one behind this alert still come?"""

    def __call__(self, tenant: str, rule: AlertRule, alert: Alert, at_ns: int) -> bool: ...


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
    """Not for use by two threads. `told` is called when the outbox has something new."""

    def __init__(
        self,
        source: SeriesSource,
        store: StateStore,
        notifier: Notifier,
        metrics: EvaluatorMetrics,
        published: Published,
        around: Surroundings,
        told: Callable[[], None],
        is_awaited: IsAwaited,
    ) -> None:
        self._source = source
        self._store = store
        self._notifier = notifier
        self._metrics = metrics
        self._published = published
        self._around = around
        self._told = told
        self._is_awaited = is_awaited
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
        kept = {run.key for group in loaded.values() for run in group.rules}
        gone = {key: alerts for key, alerts in known.items() if key not in kept and alerts}
        before_all, self.groups = self.groups, loaded
        try:
            if gone:
                self._resolve(gone, now_ns)
        except sqlite3.Error:
            self.groups = before_all
            raise
        self._published.set_recording(
            {
                run.key: (group.group.tenant, run.rule.name)
                for group in loaded.values()
                for run in group.rules
                if isinstance(run.rule, RecordingRule)
            }
        )
        self._publish()

    def evaluate(self, group: GroupRun, now_ns: int) -> tuple[Transition, ...]:
        """What changed. An evaluation that can't be saved changes nothing."""
        started = time.perf_counter()
        steps = {run.key: self._evaluate_rule(group.group, run, now_ns) for run in group.rules}
        changes = [
            (run.rule.text, change) for run in group.rules if (step := steps[run.key]) for change in step.transitions
        ]
        before = {run.key: run.alerts for run in group.rules}
        for run in group.rules:
            step = steps[run.key]
            if step is not None:
                run.alerts = step.alerts
        try:
            self._save(group, before, changes, now_ns)
        except sqlite3.Error as error:
            for run in group.rules:
                run.alerts = before[run.key]
            self._metrics.unsaved.inc()
            log.error("states of the rule group %s can't be saved, it stays as it was: %s", group.group.name, error)
            return ()
        group.evaluated_ns, group.took_s = now_ns, time.perf_counter() - started
        self._metrics.took.observe(group.took_s)
        for _, transition in changes:
            self._metrics.changes.labels(transition.change.value).inc()
        self._publish()
        return tuple(transition for _, transition in changes)

    def repeat(self, now_ns: int) -> None:
        """Tell again what has fired for long without a change."""
        names = {
            (group.group.tenant, run.rule.name) for group in self.groups.values() for run in group.rules if run.alerts
        }
        with self._store.database.transaction():
            told = [self._tell(tenant, name, [], now_ns) for tenant, name in sorted(names)]
        if any(told):
            self._told()

    def alerts(self, tenant: str) -> Iterable[tuple[RuleRun, Alert]]:
        for group in self.groups.values():
            if group.group.tenant == tenant:
                for run in group.rules:
                    for alert in run.alerts.values():
                        yield run, alert

    # Inside -----------------------------------------------------------------------------------------------------

    def _evaluate_rule(self, group: RuleGroup, run: RuleRun, now_ns: int) -> Step | None:
        """None after an error that leaves the rule's state as it was."""
        started = time.perf_counter()
        step: Step | None = None
        error = ""
        try:
            step = self._step(group, run, now_ns)
        except EvaluationError as fault:
            error = str(fault)
            step = clear(run.alerts, now_ns) if fault.clears else None
        except Reject as fault:
            error = str(fault)
        if error and error != run.health.error:
            log.warning("rule %s of group %s (%s): %s", run.rule.name, group.name, group.file, error)
        health = "err" if error else "ok"
        self._metrics.evaluations.labels(health).inc()
        run.health = RuleHealth(health, error, now_ns, time.perf_counter() - started)
        return step

    def _step(self, group: RuleGroup, run: RuleRun, now_ns: int) -> Step | None:
        at_ns = now_ns - group.query_offset_ns
        vector = run.rule.expression.evaluate(at_ns, Query(self._source, group.tenant))
        if isinstance(run.rule, RecordingRule):
            self._published.record(run.key, group, run.rule, vector)
            return None
        blind_ns = max(self._around.blind_after_ns, 2 * group.interval_ns)
        around = msgspec.structs.replace(self._around, limit=group.limit, blind_after_ns=blind_ns)
        awaited = [
            alert.source for alert in run.alerts.values() if self._is_awaited(group.tenant, run.rule, alert, now_ns)
        ]
        vector = msgspec.structs.replace(vector, unknown=(*vector.unknown, *awaited))
        return advance(run.rule, run.alerts, vector, now_ns, around)

    def _save(self, group: GroupRun, before: Mapping[str, Alerts], changes: list[RuleChange], now_ns: int) -> None:
        states = {run.key: run.alerts.values() for run in group.rules if worth_saving(before[run.key], run.alerts)}
        if not states and not changes:
            return
        with self._store.database.transaction():
            self._store.save_rules(states)
            told = self._tell_changes(group.group.tenant, changes, now_ns)
        if told:
            self._told()

    def _tell_changes(self, tenant: str, changes: Iterable[RuleChange], now_ns: int) -> bool:
        resolved: dict[str, list[GroupAlert]] = {}
        for expression, change in changes:
            if change.change in (Change.FIRED, Change.RESOLVED):
                ended = resolved.setdefault(dict(change.alert.labels)[ALERTNAME], [])
                if change.change is Change.RESOLVED:
                    ended.append(self._notifier.group_alert(tenant, change.alert, expression, change.at_ns))
        told = [self._tell(tenant, name, ended, now_ns) for name, ended in resolved.items()]
        return any(told)

    def _tell(self, tenant: str, name: str, resolved: list[GroupAlert], now_ns: int) -> bool:
        firing = [
            self._notifier.group_alert(tenant, alert, run.rule.text)
            for run, alert in self.alerts(tenant)
            if run.rule.name == name and alert.state is AlertState.FIRING
        ]
        return bool(self._notifier.tell(self._notifier.group_labels(tenant, name), firing, resolved, now_ns))

    def _resolve(self, gone: Mapping[str, Alerts], now_ns: int) -> None:
        with self._store.database.transaction():
            self._store.save_rules(dict.fromkeys(gone, ()))
            for key, alerts in gone.items():
                ended = [("", transition) for transition in clear(alerts, now_ns).transitions]
                self._tell_changes(key.split(";", 1)[0], ended, now_ns)
        self._told()

    def _publish(self) -> None:
        self._published.alerts(
            (group.group.tenant, alert)
            for group in self.groups.values()
            for run in group.rules
            for alert in run.alerts.values()
        )
