"""What rule files say, once they have been read and found right."""

from __future__ import annotations

import msgspec

from alerting.rules.template import Template
from collector.metrics.promql.parser import Query
from deckwatch.wire.model import Labels

Templates = tuple[tuple[str, Template], ...]
"""Sorted by name."""


class AlertRule(msgspec.Struct, frozen=True):
    name: str
    text: str  # of the expression, as it stands in the file
    expression: Query
    for_ns: int = 0
    keep_firing_for_ns: int = 0
    labels: Templates = ()
    annotations: Templates = ()


class RecordingRule(msgspec.Struct, frozen=True):
    name: str
    text: str
    expression: Query
    labels: Labels = ()


Rule = AlertRule | RecordingRule


class RuleGroup(msgspec.Struct, frozen=True):
    file: str
    name: str
    interval_ns: int
    rules: tuple[Rule, ...]
    tenant: str = "default"
    query_offset_ns: int = 0
    limit: int = 0  # 0: none

    @property
    def key(self) -> str:
        return f"{self.tenant};{self.file};{self.name}"


class LogMetric(msgspec.Struct, frozen=True):
    """A query string whose matches are counted as records pass, one series for each set of `by` values."""

    name: str
    query: str
    by: tuple[tuple[str, str], ...]  # (label, field)
    help: str = ""
    tenant: str = "default"

    @property
    def identity(self) -> str:
        """Counts go on under it; another query or other labels make another metric."""
        return "\0".join((self.tenant, self.name, self.query, *(f"{label}={field}" for label, field in self.by)))


class RuleSet(msgspec.Struct, frozen=True):
    groups: tuple[RuleGroup, ...] = ()
    log_metrics: tuple[LogMetric, ...] = ()


class RuleFault(msgspec.Struct, frozen=True):
    path: str
    problem: str
    line: int = 0  # from 1; 0: the file as a whole
    column: int = 0
    group: str = ""
    rule: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        inside = ", ".join(part for part in (self.group and f'group "{self.group}"', self.rule) if part)
        return f"{place}: {inside}: {self.problem}" if inside else f"{place}: {self.problem}"
