"""`GET /api/v1/rules`, `/api/v1/alerts` and `/api/v1/notifications`; the first two in Prometheus' shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from alerting.notify.message import rfc3339
from alerting.rules.evaluator import Evaluator
from alerting.rules.gofloat import scientific
from alerting.rules.model import AlertRule
from alerting.rules.runs import GroupRun, RuleRun
from alerting.rules.state import Alert, AlertState
from alerting.state_store import StateStore
from deckwatch.wire.model import DEFAULT_TENANT, Labels

_NEVER = "0001-01-01T00:00:00Z"


class AlertingApi:
    def __init__(self, evaluator: Evaluator, store: StateStore) -> None:
        self._evaluator = evaluator
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/rules", self.rules),
            web.get("/api/v1/alerts", self.alerts),
            web.get("/api/v1/notifications", self.notifications),
        ]

    async def rules(self, request: web.Request) -> web.Response:
        """Filters: type=alert|record, rule_name[], rule_group[], file[], exclude_alerts, tenant."""
        kind = request.query.get("type", "")
        if kind not in ("", "alert", "record"):
            return _failure("bad_data", f'not supported value "{kind}" for type; expected alert or record')
        wanted = _RuleFilter(request, kind)
        with_alerts = request.query.get("exclude_alerts", "") not in ("true", "1")
        groups = [_group(run, wanted.rules(run), with_alerts) for run in self._evaluator.groups.values() if wanted(run)]
        return _success({"groups": [group for group in groups if group["rules"] or not wanted.narrows_rules]})

    async def alerts(self, request: web.Request) -> web.Response:
        tenant = request.query.get("tenant", DEFAULT_TENANT)
        return _success({"alerts": [_alert(alert) for _, alert in self._evaluator.alerts(tenant)]})

    async def notifications(self, request: web.Request) -> web.Response:
        """Receipts of messages to receivers, newest first, and how many wait. Deckwatch's own."""
        tenant = request.query.get("tenant", DEFAULT_TENANT)
        receipts = [msgspec.to_builtins(receipt) for receipt in reversed(self._store.receipts(tenant))]
        return _success({"receipts": receipts, "waiting": self._store.waiting(tenant)})


class _RuleFilter:
    def __init__(self, request: web.Request, kind: str) -> None:
        query = request.query
        self._kind = kind
        self._tenant = query.get("tenant", DEFAULT_TENANT)
        self._names = set(query.getall("rule_name[]", []))
        self._groups = set(query.getall("rule_group[]", []))
        self._files = set(query.getall("file[]", []))
        self.narrows_rules = bool(kind or self._names)

    def __call__(self, run: GroupRun) -> bool:
        group = run.group
        if group.tenant != self._tenant:
            return False
        return (not self._groups or group.name in self._groups) and (not self._files or group.file in self._files)

    def rules(self, run: GroupRun) -> list[RuleRun]:
        kinds: dict[str, Callable[[RuleRun], bool]] = {
            "alert": lambda rule: isinstance(rule.rule, AlertRule),
            "record": lambda rule: not isinstance(rule.rule, AlertRule),
            "": lambda rule: True,
        }
        return [
            rule for rule in run.rules if kinds[self._kind](rule) and (not self._names or rule.rule.name in self._names)
        ]


def _group(run: GroupRun, rules: list[RuleRun], with_alerts: bool) -> dict[str, Any]:
    return {
        "name": run.group.name,
        "file": run.group.file,
        "rules": [_rule(rule, with_alerts) for rule in rules],
        "interval": run.group.interval_ns / 1e9,
        "limit": run.group.limit,
        "evaluationTime": run.took_s,
        "lastEvaluation": rfc3339(run.evaluated_ns) if run.evaluated_ns else _NEVER,
    }


def _rule(run: RuleRun, with_alerts: bool) -> dict[str, Any]:
    rule, health = run.rule, run.health
    evaluated = {
        "health": health.health,
        **({"lastError": health.error} if health.error else {}),
        "evaluationTime": health.took_s,
        "lastEvaluation": rfc3339(health.evaluated_ns) if health.evaluated_ns else _NEVER,
    }
    if not isinstance(rule, AlertRule):
        labels = {"labels": dict(rule.labels)} if rule.labels else {}
        return {"name": rule.name, "query": rule.text, **labels, **evaluated, "type": "recording"}
    return {
        "state": _state(run),
        "name": rule.name,
        "query": rule.text,
        "duration": rule.for_ns / 1e9,
        "keepFiringFor": rule.keep_firing_for_ns / 1e9,
        "labels": {name: template.text for name, template in rule.labels},
        "annotations": {name: template.text for name, template in rule.annotations},
        "alerts": [_alert(alert) for alert in run.alerts.values()] if with_alerts else [],
        **evaluated,
        "type": "alerting",
    }


def _state(run: RuleRun) -> str:
    if any(alert.state is AlertState.FIRING for alert in run.alerts.values()):
        return "firing"
    if run.alerts:
        return "pending"
    return "inactive" if run.health.evaluated_ns else "unknown"


def _alert(alert: Alert) -> dict[str, Any]:
    kept = {"keepFiringSince": rfc3339(alert.keep_since_ns)} if alert.keep_since_ns else {}
    return {
        "labels": _dict(alert.labels),
        "annotations": _dict(alert.annotations),
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_ns),
        **kept,
        "value": scientific(alert.value),
    }


def _dict(labels: Labels) -> dict[str, str]:
    return dict(labels)


def _success(data: dict[str, Any]) -> web.Response:
    return _json({"status": "success", "data": data}, 200)


def _failure(kind: str, problem: str) -> web.Response:
    return _json({"status": "error", "errorType": kind, "error": problem}, 400)


def _json(body: dict[str, Any], status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)
