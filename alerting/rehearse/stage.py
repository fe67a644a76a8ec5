"""Rules over made-up series, step by step: what the live engine does, without clock, disk or receivers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from alerting.rules.evaluation import GroupOutcome, RuleState, evaluate_group
from alerting.rules.model import AlertRule, RuleGroup
from alerting.rules.sources import Live, LivePoints, RuleSource
from alerting.rules.state import Alert, AlertState, Surroundings
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE, Selection
from collector.metrics.selector import NAME_LABEL, Matcher, Selector
from collector.metrics.series import Sample
from deckwatch.wire.model import Labels

_NEVER_BLIND_NS = 1 << 62


class Made:
    """A LiveSource: what rules have made so far."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Labels, tuple[list[int], list[float]]]] = {}

    def add(self, time_ms: int, samples: Iterable[Sample]) -> None:
        for sample in samples:
            of_name = self._series.setdefault(dict(sample.labels).get(NAME_LABEL, ""), {})
            times, values = of_name.setdefault(sample.labels, ([], []))
            times.append(time_ms)
            values.append(sample.value)

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        names = [selector.name] if selector.name else list(self._series)
        points = []
        for name in names:
            if selector.takes_name(name):
                for labels, (times, values) in self._series.get(name, {}).items():
                    if selector.takes_labels(dict(labels)):
                        inside = [place for place, at in enumerate(times) if start_ms <= at <= end_ms]
                        if inside:
                            low, high = inside[0], inside[-1] + 1
                            points.append(LivePoints(labels, tuple(times[low:high]), tuple(values[low:high])))
        return Live(tuple(points))


class Until:
    """A SeriesSource as it was at a time: nothing of what came later."""

    def __init__(self, source: MemorySource, until_ms: int) -> None:
        self._source = source
        self._until_ms = until_ms

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        return self._source.select(matchers, start_ms, min(end_ms, self._until_ms), max_samples)


class Stage:
    """Groups, the series that are given, and what the rules have made of them by now."""

    def __init__(
        self,
        groups: Iterable[RuleGroup],
        given: MemorySource,
        around: Surroundings,
        settings: PromqlSettings,
    ) -> None:
        self.groups = tuple(groups)
        self._given = given
        self._around = msgspec.structs.replace(around, blind_after_ns=_NEVER_BLIND_NS)
        self._settings = settings
        self._made = Made()
        self._states = {group.key: [RuleState(rule) for rule in group.rules] for group in self.groups}

    def source(self, at_ms: int, until_ms: int) -> RuleSource:
        return RuleSource("default", Until(self._given, until_ms), (self._made,), at_ms)

    def step(self, now_ns: int) -> list[tuple[RuleGroup, GroupOutcome]]:
        """Evaluate every group once, in order; each sees what those before it made."""
        return [(group, self._evaluate(group, now_ns)) for group in self.groups]

    def _evaluate(self, group: RuleGroup, now_ns: int) -> GroupOutcome:
        now_ms = now_ns // 1_000_000
        states = self._states[group.key]
        source = self.source(now_ms, now_ms)
        outcome = evaluate_group(group, states, now_ns, source, self._around, self._settings)
        at_ms = outcome.at_ns // 1_000_000
        for place, (state, one) in enumerate(zip(states, outcome.rules, strict=True)):
            if one.series is None:
                continue
            there = {sample.labels for sample in one.series}
            ended = [Sample(old.labels, float(STALE)) for old in state.recorded if old.labels not in there]
            self._made.add(at_ms, (*one.series, *ended))
            alerts = state.alerts if one.step is None else one.step.alerts
            states[place] = RuleState(state.rule, alerts, one.series)
        return outcome

    def firing(self, alertname: str) -> list[Alert]:
        """Of all rules with that name."""
        return [
            alert
            for states in self._states.values()
            for state in states
            if isinstance(state.rule, AlertRule) and state.rule.name == alertname
            for alert in state.alerts.values()
            if alert.state is AlertState.FIRING
        ]
