"""What the API answers: alerts, groups and silences in Alertmanager's form (api/v2/models, in its order of fields)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

from alerting.notify.alerts import AlertRecord
from alerting.notify.groups import Group
from alerting.notify.muting import Verdict
from alerting.silences.model import Silence
from collector.metrics.selector import Matcher, MatchOp
from deckwatch.wire.model import Labels


def time_text(ns: int) -> str:
    """RFC 3339 with milliseconds, always three digits."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def alert_body(
    alert: AlertRecord,
    verdict: Verdict,
    receivers: Iterable[str],
    ends_ns: int,
    muted_by: Sequence[str] = (),
) -> dict[str, Any]:
    """`ends_ns`: of an alert that one of our rules holds firing, when a client may take it for over unless it asks
    again."""
    suppressed = verdict.suppressed or muted_by
    return {
        "annotations": dict(alert.annotations),
        "endsAt": time_text(alert.ends_ns or ends_ns),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in receivers],
        "startsAt": time_text(alert.starts_ns),
        "status": {
            "inhibitedBy": [verdict.inhibited_by] if verdict.inhibited_by else [],
            "mutedBy": list(muted_by),
            "silencedBy": list(verdict.silenced_by),
            "state": "suppressed" if suppressed else "active",
        },
        "updatedAt": time_text(alert.updated_ns),
        **({"generatorURL": alert.generator_url} if alert.generator_url else {}),
        "labels": dict(alert.labels),
    }


def group_body(group: Group, alerts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"alerts": alerts, "labels": dict(group.labels), "receiver": {"name": group.route.receiver}}


def ordered(groups: Iterable[Group]) -> list[Group]:
    def compare(one: Group, other: Group) -> int:
        by_labels = _compare(one.labels, other.labels)
        return by_labels or (one.route.receiver > other.route.receiver) - (one.route.receiver < other.route.receiver)

    return sorted(groups, key=cmp_to_key(compare))


def _compare(one: Labels, other: Labels) -> int:
    """Fewer labels first, then label by label; one that lacks a name comes first (prometheus/common, LabelSet)."""
    if len(one) != len(other):
        return len(one) - len(other)
    mine, theirs = dict(one), dict(other)
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            return 1 if name in mine else -1
        if mine[name] != theirs[name]:
            return -1 if mine[name] < theirs[name] else 1
    return 0


def silence_body(silence: Silence, now_ns: int) -> dict[str, Any]:
    return {
        "id": silence.id,
        "status": {"state": silence.state(now_ns).value},
        "updatedAt": time_text(silence.updated_ns),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": time_text(silence.ends_ns),
        "matchers": [matcher_body(matcher) for matcher in silence.matchers],
        "startsAt": time_text(silence.starts_ns),
    }


def matcher_body(matcher: Matcher) -> dict[str, Any]:
    return {
        "isEqual": matcher.op in (MatchOp.EQUAL, MatchOp.REGEX),
        "isRegex": matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX),
        "name": matcher.label,
        "value": matcher.value,
    }
