"""The webhook's body, version "4", as Alertmanager writes it (alertmanager/template, notify/webhook)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cmp_to_key, lru_cache

import msgspec

from collector.metrics.selector import quote
from deckwatch.wire.model import Labels

NEVER = "0001-01-01T00:00:00Z"
"""endsAt of an alert that fires still (Go's zero time)."""
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


class GroupAlert(msgspec.Struct, frozen=True):
    """An alert as a notification tells of it. `ends_ns` is 0 while it fires."""

    labels: Labels
    annotations: Labels
    starts_ns: int
    ends_ns: int = 0
    generator_url: str = ""

    @property
    def is_firing(self) -> bool:
        return self.ends_ns == 0

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)


@lru_cache(maxsize=10_000)
def fingerprint(labels: Labels) -> str:
    """FNV-1a 64 over name 0xff value 0xff of the sorted labels, 16 hex digits (prometheus/common, model)."""
    total = _FNV_OFFSET
    for name, value in labels:
        for byte in b"%s\xff%s\xff" % (name.encode(), value.encode()):
            total = ((total ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def group_key(group_labels: Labels, route: str = "{}") -> str:
    inner = ", ".join(f"{name}={quote(value)}" for name, value in group_labels)
    return f"{route}:{{{inner}}}"


def webhook_body(
    receiver: str,
    key: str,
    group_labels: Labels,
    alerts: Sequence[GroupAlert],
    external_url: str,
    *,
    truncated: int = 0,
) -> dict[str, object]:
    """`alerts` must not be empty. The group fires while one of them does. `truncated` more were left out."""
    ordered = ordered_alerts(alerts)
    return {
        "receiver": receiver,
        "status": _status(any(alert.is_firing for alert in alerts)),
        "alerts": [_alert(alert) for alert in ordered],
        "groupLabels": dict(group_labels),
        "commonLabels": common([alert.labels for alert in alerts]),
        "commonAnnotations": common([alert.annotations for alert in alerts]),
        "externalURL": external_url,
        "version": "4",
        "groupKey": key,
        "truncatedAlerts": truncated,
    }


def ordered_alerts(alerts: Sequence[GroupAlert]) -> list[GroupAlert]:
    """By job, then instance (those without them last), then fewer labels first, then label by label."""
    placed = [_Placed(_first_key(dict(alert.labels)), alert.labels, alert) for alert in alerts]
    return [each.alert for each in sorted(placed, key=cmp_to_key(_alert_order))]


class _Placed(msgspec.Struct, frozen=True):
    first: tuple[bool, str, bool, str, int]
    labels: Labels
    alert: GroupAlert


def _first_key(labels: dict[str, str]) -> tuple[bool, str, bool, str, int]:
    job, instance = labels.get("job"), labels.get("instance")
    return job is None, job or "", instance is None, instance or "", len(labels)


def rfc3339(ns: int) -> str:
    """Go's RFC3339Nano in UTC: up to nine digits, none that are zero at the end."""
    seconds, rest = divmod(ns, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _alert(alert: GroupAlert) -> dict[str, object]:
    return {
        "status": _status(alert.is_firing),
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": rfc3339(alert.starts_ns),
        "endsAt": rfc3339(alert.ends_ns) if alert.ends_ns else NEVER,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _status(firing: bool) -> str:
    return "firing" if firing else "resolved"


def common(sets: Sequence[Labels]) -> dict[str, str]:
    """What all of them have."""
    return dict(sorted(set(sets[0]).intersection(*sets[1:]))) if sets else {}


def _alert_order(one: _Placed, other: _Placed) -> int:
    if one.first != other.first:
        return -1 if one.first < other.first else 1
    for (name, value), (their_name, their_value) in zip(one.labels, other.labels, strict=False):
        if name != their_name:  # the smaller name is one that the other alert lacks
            return 1 if name < their_name else -1
        if value != their_value:
            return -1 if value < their_value else 1
    return 0
