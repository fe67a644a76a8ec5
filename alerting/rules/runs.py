"""Loaded rules with what is known of them while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from alerting.rules.asking import selectors
from alerting.rules.keeping import Frames
from alerting.rules.model import AlertRule, RecordingRule, RuleGroup
from alerting.rules.sources import selector_of
from alerting.rules.state import Alert, Alerts, AlertState
from deckwatch.wire.model import Labels


class RuleHealth(msgspec.Struct, frozen=True):
    """The outcome of a rule's last evaluation. `health` is unknown before the first one."""

    health: str = "unknown"
    error: str = ""
    evaluated_ns: int = 0
    took_s: float = 0.0


class RuleRun:
    """A loaded rule and what is known of it."""

    def __init__(self, key: str, rule: AlertRule | RecordingRule, alerts: Alerts, tenant: str) -> None:
        self.key = key
        self.rule = rule
        self.frames = Frames(f"rule {key}", tenant)
        self.alerts: dict[Labels, Alert] = dict(alerts)
        self.health = RuleHealth()


class GroupRun:
    def __init__(self, group: RuleGroup, rules: list[RuleRun]) -> None:
        self.group = group
        self.rules = rules
        self.lock = asyncio.Lock()  # one evaluation at a time
        self.evaluated_ns = 0
        self.took_s = 0.0
        asked = {selector.matchers for rule in rules for selector in selectors(rule.rule.expression)}
        self._asked = [selector_of(matchers) for matchers in asked]

    def asks_for(self, names: Iterable[str]) -> bool:
        """Does a rule of the group look at one of these metrics?"""
        return any(selector.takes_name(name) for selector in self._asked for name in names)


def runs_of(group: RuleGroup, known: Mapping[str, Alerts]) -> list[RuleRun]:
    """Rules alike in name and labels are told apart by their order."""
    seen: dict[str, int] = {}
    runs = []
    for rule in group.rules:
        labels = rule.labels if isinstance(rule, RecordingRule) else [(name, text.text) for name, text in rule.labels]
        key = f"{group.key};{rule.name};{sorted(labels)}"
        seen[key] = seen.get(key, 0) + 1
        key += f";{seen[key]}"
        runs.append(RuleRun(key, rule, known.get(key, {}), group.tenant))
    return runs


def worth_saving(before: Alerts, after: Alerts) -> bool:
    """A new value alone isn't; the time at which a pending alert was last seen is (see state.py)."""
    if before.keys() != after.keys():
        return True
    for labels, alert in after.items():
        old = before[labels]
        if alert.state is AlertState.PENDING and alert.seen_ns != old.seen_ns:
            return True
        if (alert.state, alert.keep_since_ns) != (old.state, old.keep_since_ns):
            return True
    return False
