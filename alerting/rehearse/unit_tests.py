"""Rule unit tests are run: the same verdict as promtool's (prometheus/cmd/promtool/unittest.go)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from alerting.rehearse.model import AlertTest, ExpectedAlert, ExprTest, Failure, RuleTest, UnitTestFile
from alerting.rehearse.stage import Stage
from alerting.rules.asking import samples_of
from alerting.rules.durations import format_duration
from alerting.rules.files import load_rules
from alerting.rules.gofloat import general
from alerting.rules.model import RuleGroup
from alerting.rules.state import Surroundings
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.selector import NAME_LABEL, quote
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import DEFAULT_TENANT, Labels

Sample = tuple[Labels, float]


def run_tests(file: UnitTestFile, settings: PromqlSettings) -> list[Failure]:
    """Raises BadRules where the rule files can't be used."""
    failures: list[Failure] = []
    for test in file.tests:
        rules = load_rules(
            file.rule_files, default_interval_ns=test.interval_ns, experimental=settings.experimental_functions
        )
        run = _Run(file, test, _ordered(rules.groups, file.group_eval_order), settings)
        failures += run.failures()
    return failures


def _ordered(groups: Iterable[RuleGroup], order: tuple[str, ...]) -> list[RuleGroup]:
    place = {name: number for number, name in enumerate(order)}
    return sorted(groups, key=lambda group: place.get(group.name, 0))


class _Run:
    def __init__(self, file: UnitTestFile, test: RuleTest, groups: list[RuleGroup], settings: PromqlSettings) -> None:
        self._file = file
        self._test = test
        self._settings = settings
        around = Surroundings(test.external_labels, test.external_url)
        given = _source(test)
        self._stages = [
            Stage([group for group in groups if group.tenant == tenant], given, around, settings)
            for tenant in dict.fromkeys((DEFAULT_TENANT, *(group.tenant for group in groups)))
        ]

    def failures(self) -> list[Failure]:
        """Times are those of the test's start on."""
        test, every_ns = self._test, self._file.evaluation_interval_ns
        failures: list[Failure] = []
        last_ns = 0
        for at_ns in range(0, test.longest_ns + 1, every_ns):
            errors = list(self._step(at_ns))
            if errors:
                return failures + errors
            last_ns = at_ns
            due = [each for each in test.alerts if at_ns <= each.eval_ns < at_ns + every_ns]
            for each in sorted(due, key=lambda each: each.eval_ns):
                failures += self._check_alerts(each)
        for expr in test.exprs:
            failures += self._check_expr(expr, last_ns)
        return failures

    def _step(self, at_ns: int) -> Iterable[Failure]:
        for stage in self._stages:
            for group, outcome in stage.step(self._test.start_ns + at_ns):
                for rule, one in zip(group.rules, outcome.rules, strict=True):
                    if one.error:
                        yield self._failed(0, f"rule: {rule.name}, time: {format_duration(at_ns)}, err: {one.error}")

    def _check_alerts(self, test: AlertTest) -> Iterable[Failure]:
        firing = [alert for stage in self._stages for alert in stage.firing(test.alertname)]
        got = sorted(ExpectedAlert(alert.labels, alert.annotations) for alert in firing)
        expected = sorted(test.expected)
        if got != expected:
            yield self._failed(
                test.line,
                f"alertname: {test.alertname}, time: {format_duration(test.eval_ns)},\n"
                f"    exp: {_alerts(expected)},\n    got: {_alerts(got)}",
            )

    def _check_expr(self, test: ExprTest, until_ns: int) -> Iterable[Failure]:
        at_ms = (self._test.start_ns + test.eval_ns) // 1_000_000
        until_ms = (self._test.start_ns + until_ns) // 1_000_000
        about = f"expr: {quote(test.expr)}, time: {format_duration(test.eval_ns)},"
        try:
            source = self._stages[0].source(at_ms, until_ms)
            result = evaluate(test.expr, at_ms, at_ms, 0, source, self._settings)
            got = sorted((sample.labels, sample.value) for sample in samples_of(result))
        except Reject as fault:
            return [self._failed(test.line, f"{about} err: {fault}")]
        expected = sorted(test.expected)
        if _alike(got, expected, fuzzy=self._file.fuzzy_compare):
            return []
        return [self._failed(test.line, f"{about}\n    exp: {_samples(expected)}\n    got: {_samples(got)}")]

    def _failed(self, line: int, problem: str) -> Failure:
        return Failure(self._test.name, line or self._test.line, problem)


def _source(test: RuleTest) -> MemorySource:
    source = MemorySource()
    for series in test.series:
        times = range(test.start_ns, test.start_ns + len(series.values) * test.interval_ns, test.interval_ns)
        there = [(at // 1_000_000, value) for at, value in zip(times, series.values, strict=True) if value is not None]
        source.add(series.labels, [at for at, _ in there], [value for _, value in there])
    return source


def _alike(got: list[Sample], expected: list[Sample], *, fuzzy: bool) -> bool:
    """NaN is never what was expected, as in promtool; fuzzy: neighbouring floats are the same."""
    if [labels for labels, _ in got] != [labels for labels, _ in expected]:
        return False
    pairs = [(mine, theirs) for (_, mine), (_, theirs) in zip(got, expected, strict=True)]
    return all(
        mine == theirs or (fuzzy and theirs in (math.nextafter(mine, math.inf), math.nextafter(mine, -math.inf)))
        for mine, theirs in pairs
    )


def _alerts(alerts: list[ExpectedAlert]) -> str:
    return "[" + ", ".join(f"Labels:{_text(one.labels)} Annotations:{_text(one.annotations)}" for one in alerts) + "]"


def _samples(samples: list[Sample]) -> str:
    return ", ".join(f"{_text(labels)} {general(value)}" for labels, value in samples) or "nil"


def _text(labels: Labels) -> str:
    pairs = dict(labels)
    inner = ", ".join(f"{name}={quote(value)}" for name, value in pairs.items() if name != NAME_LABEL)
    return f"{pairs.get(NAME_LABEL, '')}{{{inner}}}"
