"""What our own rules and the stored logs say for an alert: its value, the threshold, the last lines that it counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

import msgspec

from alerting.notify.channels.lengths import cut
from alerting.notify.channels.model import Notification
from alerting.notify.redact import redacted
from alerting.notify.template_data import Evidence, LogLine
from alerting.rules.asking import reaches_ms
from alerting.rules.gofloat import general
from alerting.rules.model import AlertRule, LogMetric
from alerting.rules.runs import RuleRun
from alerting.rules.state import ALERTNAME, Alert, AlertState
from collector.metrics.promql import ast
from collector.search.language import parse
from collector.search.query import Query, both
from collector.store.protocol import LogStore, SearchRequest
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault

log = logging.getLogger(__name__)

LINES = 5
LINE_MOST = 500
ALERTS_WITH_LINES = 5
LINE_MOST = 500
"""Of one message: each costs a search."""
LINES_WITHIN_S = 1.5
_SHORTEST_LOOK_NS = 3_600_000_000_000
_AHEAD_NS = 300_000_000_000
"""Clocks of hosts differ from ours."""
_TRIES, _BETWEEN_S = 4, 0.2
"""A line is counted as it passes; that it can be searched may take a moment longer."""
_FLIPPED = {ast.Op.GTR: "<", ast.Op.LSS: ">", ast.Op.GTE: "<=", ast.Op.LTE: ">=", ast.Op.EQL: "==", ast.Op.NEQ: "!="}

AlertsOf = Callable[[str], Iterable[tuple[RuleRun, Alert]]]
"""Of a tenant: those of its rules."""
FingerprintOf = Callable[[str, Alert], str]
"""Under which an alert of a tenant is told of."""


class Found(msgspec.Struct, frozen=True):
    rule: AlertRule
    alert: Alert


class RuleEvidence:
    """`log_metrics` are set with each load of rules."""

    def __init__(self, alerts: AlertsOf, fingerprint: FingerprintOf, store: LogStore | None, clock: Clock) -> None:
        """`store` is None where there are no logs to be searched."""
        self._alerts = alerts
        self._fingerprint = fingerprint
        self._store = store
        self._clock = clock
        self.log_metrics: tuple[LogMetric, ...] = ()

    async def __call__(self, notification: Notification) -> Mapping[str, Evidence]:
        """Of the alerts that fire. Lines that can't be searched now are left out."""
        found = self._found(notification)
        evidence = {
            fingerprint: Evidence(one.alert.value, threshold(one.rule.expression.expr), one.rule.text)
            for fingerprint, one in found.items()
        }
        for fingerprint, lines in (await self._lines_of(notification.tenant, found)).items():
            evidence[fingerprint] = msgspec.structs.replace(evidence[fingerprint], lines=lines)
        return evidence

    async def _lines_of(self, tenant: str, found: Mapping[str, Found]) -> dict[str, tuple[LogLine, ...]]:
        """Those that are there in time: values and links are not to be lost over a slow search."""
        some = list(found.items())[:ALERTS_WITH_LINES]
        tasks = {
            fingerprint: asyncio.create_task(self._lines(tenant, one), name=f"lines for {one.rule.name}")
            for fingerprint, one in some
        }
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=LINES_WITHIN_S)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        return {name: task.result() for name, task in tasks.items() if not task.cancelled()}

    def _found(self, notification: Notification) -> dict[str, Found]:
        wanted = {alert.fingerprint for alert in notification.firing}
        names = {dict(alert.labels).get(ALERTNAME, "") for alert in notification.firing}
        found: dict[str, Found] = {}
        for run, alert in self._alerts(notification.tenant):
            rule = run.rule
            if isinstance(rule, AlertRule) and rule.name in names and alert.state is AlertState.FIRING:
                fingerprint = self._fingerprint(notification.tenant, alert)
                if fingerprint in wanted:
                    found[fingerprint] = Found(rule, alert)
        return found

    async def _lines(self, tenant: str, found: Found) -> tuple[LogLine, ...]:
        if self._store is None:
            return ()
        reaches = {selector.name: ms for selector, ms in reaches_ms(found.rule.expression, 0)}
        metric = next((one for one in self.log_metrics if one.tenant == tenant and one.name in reaches), None)
        if metric is None:
            return ()
        now_ns = self._clock.now_ns()
        start_ns = now_ns - max(_SHORTEST_LOOK_NS, reaches[metric.name] * 1_000_000)
        try:
            query = lines_query(metric, dict(found.alert.labels))
            request = SearchRequest(tenant, query, start_ns, now_ns + _AHEAD_NS, LINES)
            for _ in range(_TRIES):
                if lines := await _searched(self._store, request):
                    return lines
                await self._clock.sleep(_BETWEEN_S)
        except Fault as fault:
            log.warning("lines for the alert %s can't be searched, it is told without: %s", found.rule.name, fault)
        return ()


async def _searched(store: LogStore, request: SearchRequest) -> tuple[LogLine, ...]:
    lines: list[LogLine] = []
    async for page in store.search(request):
        for at_ns, message in page.rows.select("ts", "message").iter_rows():
            lines.append(LogLine(at_ns, cut(redacted(message), LINE_MOST)))
    return tuple(reversed(lines))


def lines_query(metric: LogMetric, labels: Mapping[str, str]) -> Query:
    """What the metric counts, as far as the alert's labels say of what. Raises Reject."""
    query = parse(metric.query)
    for label, field in metric.by:
        if value := labels.get(label):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            query = both(query, parse(f'{field}:"{quoted}"'))
    return query


def threshold(expr: ast.Expr) -> str:
    """`> 5e+08` of a comparison with a number; empty where there is none on the outside."""
    match expr:
        case ast.Paren(expr=inner):
            return threshold(inner)
        case ast.Binary(op=op, left=left, right=right) if op.is_set:
            return threshold(left) or threshold(right)
        case ast.Binary(op=op, right=right) if op.compares and (number := _number(right)) is not None:
            return f"{op.value} {general(number)}"
        case ast.Binary(op=op, left=left) if op.compares and (number := _number(left)) is not None:
            return f"{_FLIPPED[op]} {general(number)}"
    return ""


def _number(expr: ast.Expr) -> float | None:
    match expr:
        case ast.Number(value=value):
            return value
        case ast.Paren(expr=inner):
            return _number(inner)
        case ast.Unary(negative=negative, expr=inner):
            number = _number(inner)
            return None if number is None else -number if negative else number
    return None


def merged(*sources: Mapping[str, Evidence]) -> dict[str, Evidence]:
    """Of each alert what all sources say; links of all, the rest of the first that has it."""
    together: dict[str, Evidence] = {}
    for source in sources:
        for fingerprint, other in source.items():
            known = together.get(fingerprint)
            together[fingerprint] = other if known is None else _both(known, other)
    return together


def _both(one: Evidence, other: Evidence) -> Evidence:
    return Evidence(
        other.value if one.value is None else one.value,
        one.threshold or other.threshold,
        one.expression or other.expression,
        one.lines or other.lines,
        (*one.links, *other.links),
    )
