"""What becomes of a rule's alerts when it is evaluated. Pure: handed the alerts, the vector and the time.

    inactive -> pending -> firing -> (kept firing ->) resolved

Semantics are Prometheus' (rules/alerting.go). Two things are ours. An alert whose series is *unknown* (its agent is
silent) stays exactly as it is. And time in which nobody could look (we were down, the agent was silent) does not count
for `for`: a pending alert's clock is moved on by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from alerting.rules.asking import Answer
from alerting.rules.model import AlertRule
from alerting.rules.template import NO_QUERIES, TemplateData, TemplateQuery
from collector.metrics.series import Sample, without_name
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

ALERTNAME = "alertname"


class AlertState(StrEnum):
    PENDING = "pending"
    FIRING = "firing"


class Alert(msgspec.Struct, frozen=True):
    labels: Labels
    source: Labels  # of the vector's element, without its name
    state: AlertState
    active_ns: int  # when it became pending
    value: float
    annotations: Labels
    seen_ns: int  # when its series was last in the vector
    fired_ns: int = 0  # 0: not yet
    keep_since_ns: int = 0  # when its series vanished while it was firing and is to be kept; 0: it is there


class Change(StrEnum):
    BECAME_PENDING = "became pending"
    FIRED = "fired"
    NO_LONGER_PENDING = "no longer pending"
    RESOLVED = "resolved"


class Transition(msgspec.Struct, frozen=True):
    change: Change
    alert: Alert  # as it is after the change; as it was where it is gone
    at_ns: int


class EvaluationError(Reject):
    """The rule could not be evaluated; what its alerts were is in force still unless `clears`."""

    def __init__(self, problem: str, *, clears: bool = False) -> None:
        super().__init__(problem)
        self.clears = clears


Alerts = Mapping[Labels, Alert]


class Step(msgspec.Struct, frozen=True):
    alerts: dict[Labels, Alert]
    transitions: tuple[Transition, ...]


class Surroundings(msgspec.Struct, frozen=True):
    """What templates may name besides the sample, and the group's settings."""

    external_labels: Mapping[str, str] = {}
    external_url: str = ""
    limit: int = 0
    query: TemplateQuery = NO_QUERIES
    blind_after_ns: int = 300_000_000_000
    """A series that wasn't looked at for longer than this was not watched."""


def advance(rule: AlertRule, alerts: Alerts, answer: Answer, now_ns: int, around: Surroundings) -> Step:
    """Raises EvaluationError: two alerts with one label set, or more alerts than the group's limit."""
    found = _found(rule, answer.vector.samples, now_ns, around)
    unknown = {without_name(labels) for labels in answer.vector.unknown}
    after: dict[Labels, Alert] = {}
    transitions: list[Transition] = []
    for labels, fresh in found.items():
        alert, change = _present(rule, alerts.get(labels), fresh, now_ns, around)
        after[labels] = alert
        if change:
            transitions.append(Transition(change, alert, now_ns))
    for labels, alert in alerts.items():
        if labels in after:
            continue
        held = alert.source in unknown or answer.may_hang_on(alert.source)
        kept, change = (alert, None) if held else _missing(rule, alert, now_ns)
        if kept is not None:
            after[labels] = kept
        if change:
            transitions.append(Transition(change, kept or alert, now_ns))
    if around.limit and len(after) > around.limit:
        raise EvaluationError(f"exceeded limit of {around.limit} with {len(after)} alerts", clears=True)
    return Step(after, tuple(transitions))


def clear(alerts: Alerts, now_ns: int) -> Step:
    """The rule is gone, or its limit was exceeded: what was firing is resolved."""
    transitions = tuple(
        Transition(Change.RESOLVED if alert.state is AlertState.FIRING else Change.NO_LONGER_PENDING, alert, now_ns)
        for alert in alerts.values()
    )
    return Step({}, transitions)


def _found(rule: AlertRule, samples: Iterable[Sample], now_ns: int, around: Surroundings) -> dict[Labels, Alert]:
    found: dict[Labels, Alert] = {}
    for sample in samples:
        source = without_name(sample.labels)
        data = TemplateData(
            dict(sample.labels), sample.value, around.external_labels, around.external_url, now_ns, around.query
        )
        named = {**dict(source), **{name: text.expand(rule.name, data) for name, text in rule.labels}}
        named[ALERTNAME] = rule.name
        labels = tuple(sorted((name, text) for name, text in named.items() if text))
        if labels in found:
            raise EvaluationError(f"two alerts would have the labels {_shown(labels)}")
        annotations = tuple((name, text.expand(rule.name, data)) for name, text in rule.annotations)
        found[labels] = Alert(labels, source, AlertState.PENDING, now_ns, sample.value, annotations, now_ns)
    return found


def _present(
    rule: AlertRule, known: Alert | None, fresh: Alert, now_ns: int, around: Surroundings
) -> tuple[Alert, Change | None]:
    if known is None:
        return _fire_if_due(rule, fresh, now_ns, Change.BECAME_PENDING)
    unwatched_ns = now_ns - known.seen_ns
    moved_ns = unwatched_ns if unwatched_ns > around.blind_after_ns and known.state is AlertState.PENDING else 0
    alert = msgspec.structs.replace(
        fresh,
        state=known.state,
        active_ns=known.active_ns + moved_ns,
        fired_ns=known.fired_ns,
    )
    return _fire_if_due(rule, alert, now_ns, None)


def _fire_if_due(rule: AlertRule, alert: Alert, now_ns: int, otherwise: Change | None) -> tuple[Alert, Change | None]:
    if alert.state is AlertState.PENDING and now_ns - alert.active_ns >= rule.for_ns:
        return msgspec.structs.replace(alert, state=AlertState.FIRING, fired_ns=now_ns), Change.FIRED
    return alert, otherwise


def _missing(rule: AlertRule, alert: Alert, now_ns: int) -> tuple[Alert | None, Change | None]:
    """Value and annotations of an alert that is kept firing stay as they were."""
    if alert.state is AlertState.PENDING:
        return None, Change.NO_LONGER_PENDING
    since_ns = alert.keep_since_ns or now_ns
    if rule.keep_firing_for_ns and now_ns - since_ns < rule.keep_firing_for_ns:
        return msgspec.structs.replace(alert, keep_since_ns=since_ns), None
    return None, Change.RESOLVED


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{text}"' for name, text in labels) + "}"
