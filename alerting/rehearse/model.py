"""What a file of rule unit tests says (promtool's format, prometheus/cmd/promtool/unittest.go)."""

from __future__ import annotations

import msgspec

from deckwatch.wire.model import Labels


class InputSeries(msgspec.Struct, frozen=True):
    labels: Labels
    values: tuple[float | None, ...]  # one for each interval; None: no sample


class ExpectedAlert(msgspec.Struct, frozen=True, order=True):
    labels: Labels
    annotations: Labels


class AlertTest(msgspec.Struct, frozen=True):
    eval_ns: int
    alertname: str
    expected: tuple[ExpectedAlert, ...]
    line: int


class ExprTest(msgspec.Struct, frozen=True):
    eval_ns: int
    expr: str
    expected: tuple[tuple[Labels, float], ...]
    line: int


class RuleTest(msgspec.Struct, frozen=True):
    name: str
    line: int
    interval_ns: int
    start_ns: int
    series: tuple[InputSeries, ...]
    alerts: tuple[AlertTest, ...]
    exprs: tuple[ExprTest, ...]
    external_labels: dict[str, str]
    external_url: str

    @property
    def longest_ns(self) -> int:
        return max([*(test.eval_ns for test in self.alerts), *(test.eval_ns for test in self.exprs)], default=0)


class UnitTestFile(msgspec.Struct, frozen=True):
    path: str
    rule_files: tuple[str, ...]  # globs, resolved against the file's folder
    evaluation_interval_ns: int
    fuzzy_compare: bool
    group_eval_order: tuple[str, ...]
    tests: tuple[RuleTest, ...]


class Failure(msgspec.Struct, frozen=True):
    """Why a test failed. `line` 0: no one place."""

    test: str
    line: int
    problem: str
