"""A group at one time: its rules in their order, each seeing what those before it recorded. Pure: what becomes of it
(states saved, people told, series kept) is the evaluator's business, or the rehearsal's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from alerting.rules.asking import Answer, ask, compatible, samples_of
from alerting.rules.model import AlertRule, RecordingRule, RuleGroup
from alerting.rules.published import alert_samples, recorded_labels
from alerting.rules.sources import RuleSource, Unknown
from alerting.rules.state import Alerts, EvaluationError, Step, Surroundings, advance, clear
from alerting.rules.template import QueryFailed, TemplateSample
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE
from collector.metrics.series import Sample
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels


class RuleState(msgspec.Struct, frozen=True):
    """What a rule's evaluation goes on from."""

    rule: AlertRule | RecordingRule
    alerts: Alerts = {}
    recorded: tuple[Sample, ...] = ()


class RuleOutcome(msgspec.Struct, frozen=True):
    """`series`: what the rule publishes; None: it could not be evaluated, what it published stands. `step`: of an
    alerting rule; None: its alerts stay as they were."""

    series: tuple[Sample, ...] | None
    step: Step | None = None
    unknown: tuple[Unknown, ...] = ()
    error: str = ""
    took_s: float = 0.0


class GroupOutcome(msgspec.Struct, frozen=True):
    rules: tuple[RuleOutcome, ...]
    now_ns: int
    at_ns: int  # time of the samples: `query_offset` before now
    took_s: float


def evaluate_group(
    group: RuleGroup,
    states: Iterable[RuleState],
    now_ns: int,
    source: RuleSource,
    around: Surroundings,
    settings: PromqlSettings,
) -> GroupOutcome:
    """`source` is of the time now less the group's query_offset."""
    began = time.perf_counter()
    at_ns = now_ns - group.query_offset_ns
    around = msgspec.structs.replace(
        around,
        limit=group.limit,
        blind_after_ns=max(around.blind_after_ns, 2 * group.interval_ns),
        query=_TemplateQueries(source, now_ns, settings),
    )
    outcomes = []
    for state in states:
        outcome = _timed(state, now_ns, at_ns, source, around, settings)
        if isinstance(state.rule, RecordingRule) and outcome.series is not None:
            samples = (*outcome.series, *_ended(state.recorded, outcome))
            source.add(state.rule.name, samples, at_ns // 1_000_000, outcome.unknown)
        outcomes.append(outcome)
    return GroupOutcome(tuple(outcomes), now_ns, at_ns, time.perf_counter() - began)


def _timed(
    state: RuleState,
    now_ns: int,
    at_ns: int,
    source: RuleSource,
    around: Surroundings,
    settings: PromqlSettings,
) -> RuleOutcome:
    began = time.perf_counter()
    try:
        answer = ask(state.rule.expression, at_ns // 1_000_000, source, settings)
        if isinstance(state.rule, RecordingRule):
            outcome = _recorded(state.rule, state.recorded, answer, around.limit)
        else:
            step = advance(state.rule, state.alerts, answer, now_ns, around)
            outcome = RuleOutcome(alert_samples(step.alerts.values()), step)
    except EvaluationError as fault:
        outcome = RuleOutcome(None, error=str(fault))
        if fault.clears:
            outcome = RuleOutcome((), clear(state.alerts, now_ns), error=str(fault))
    except Reject as fault:
        outcome = RuleOutcome(None, error=str(fault))
    return msgspec.structs.replace(outcome, took_s=time.perf_counter() - began)


def _recorded(rule: RecordingRule, before: tuple[Sample, ...], answer: Answer, limit: int) -> RuleOutcome:
    """Raises EvaluationError. What was recorded before and might be now, if nothing were unknown, is unknown."""
    samples = tuple(Sample(recorded_labels(rule, sample.labels), sample.value) for sample in answer.vector.samples)
    labels = {sample.labels for sample in samples}
    if len(labels) < len(samples):
        raise EvaluationError("vector contains metrics with the same labelset after applying rule labels")
    if limit and len(samples) > limit:
        raise EvaluationError(f"exceeded limit of {limit} with {len(samples)} series")
    doubtful = {recorded_labels(rule, each) for each in answer.vector.unknown}
    held = tuple(
        Unknown(sample.labels, sample.value)
        for sample in before
        if sample.labels not in labels and (sample.labels in doubtful or _hangs_on(rule, sample.labels, answer))
    )
    return RuleOutcome(samples, unknown=held)


def _ended(before: tuple[Sample, ...], outcome: RuleOutcome) -> Iterable[Sample]:
    """Markers of what was recorded last time and isn't any more."""
    there = {sample.labels for sample in outcome.series or ()} | {one.labels for one in outcome.unknown}
    return (Sample(sample.labels, float(STALE)) for sample in before if sample.labels not in there)


def _hangs_on(rule: RecordingRule, recorded: Labels, answer: Answer) -> bool:
    own = dict(rule.labels)
    return any(compatible(tuple(pair for pair in recorded if pair[0] not in own), each) for each in answer.missing)


class _TemplateQueries:
    """`query` in a template: PromQL at the time of evaluation."""

    def __init__(self, source: RuleSource, now_ns: int, settings: PromqlSettings) -> None:
        self._source = source
        self._now_ms = now_ns // 1_000_000
        self._settings = settings

    def __call__(self, text: str) -> list[TemplateSample]:
        try:
            result = evaluate(text, self._now_ms, self._now_ms, 0, self._source, self._settings)
            return [TemplateSample(dict(sample.labels), sample.value) for sample in samples_of(result)]
        except Reject as fault:
            raise QueryFailed(str(fault)) from None
