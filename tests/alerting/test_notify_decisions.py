from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alerting.notify.decide import NotifyReason, Told, reason_to_notify
from alerting.notify.message import GroupAlert, fingerprint, group_key, rfc3339, webhook_body

S = 1_000_000_000
HOUR_NS = 3600 * S


def told(firing: str, resolved: str = "", at_ns: int = 0) -> Told:
    return Told(frozenset(firing), frozenset(resolved), at_ns)


@pytest.mark.parametrize(
    ("before", "firing", "resolved", "send_resolved", "want"),
    [
        (None, "a", "", True, NotifyReason.NEW_GROUP),
        (None, "", "a", True, None),  # resolved before anything was told
        (None, "", "", True, None),
        (told("a"), "a", "", True, None),
        (told("a"), "ab", "", True, NotifyReason.NEW_IN_GROUP),
        (told("ab"), "a", "b", True, NotifyReason.SOME_RESOLVED),
        (told("ab"), "a", "b", False, None),
        (told("ab", "c"), "ab", "c", True, None),
        (told("a"), "", "a", True, NotifyReason.ALL_RESOLVED),
        (told("a"), "", "a", False, NotifyReason.ALL_RESOLVED),  # noted, though nothing is sent
        (told("", "a"), "", "a", True, None),
        (told("", "a"), "a", "", True, NotifyReason.NEW_GROUP),
        (told("a", at_ns=-HOUR_NS), "a", "", True, NotifyReason.REPEAT),
        (told("a", at_ns=-HOUR_NS + 1), "a", "", True, None),
    ],
)
def test_reason(
    before: Told | None, firing: str, resolved: str, send_resolved: bool, want: NotifyReason | None
) -> None:
    reason = reason_to_notify(
        before,
        frozenset(firing),
        frozenset(resolved),
        0,
        repeat_interval_ns=HOUR_NS,
        send_resolved=send_resolved,
    )
    assert reason is want


RECORDED = Path(__file__).parent / "data" / "webhooks"


def unix_ns(text: str) -> int:
    from datetime import datetime

    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * S + int(fraction.ljust(9, "0"))


def alert_of(recorded: dict[str, Any]) -> GroupAlert:
    fires = recorded["status"] == "firing"
    return GroupAlert(
        tuple(sorted(recorded["labels"].items())),
        tuple(sorted(recorded["annotations"].items())),
        unix_ns(recorded["startsAt"]),
        0 if fires else unix_ns(recorded["endsAt"]),
        recorded["generatorURL"],
    )


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_bodies_are_those_that_alertmanager_sent(path: Path) -> None:
    """Recorded from Alertmanager 0.25: each body is built again from its alerts."""
    body = json.loads(path.read_text())["body"]
    alerts = [alert_of(recorded) for recorded in reversed(body["alerts"])]
    route = body["groupKey"].split(":", 1)[0]
    labels = tuple(body["groupLabels"].items())
    key, cut = group_key(labels, route), body["truncatedAlerts"]
    built = webhook_body(body["receiver"], key, labels, alerts, body["externalURL"], truncated=cut)
    assert json.loads(json.dumps(built)) == body
    assert list(built) == list(body)


def test_there_are_recordings() -> None:
    assert len(list(RECORDED.glob("*.json"))) >= 10


def test_fingerprint_of_no_labels_is_the_offset_basis() -> None:
    assert fingerprint(()) == "cbf29ce484222325"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000 * S, "2023-11-14T22:13:20Z"),
        (1_700_000_000 * S + 120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000 * S + 1, "2023-11-14T22:13:20.000000001Z"),
    ],
)
def test_times(ns: int, text: str) -> None:
    assert rfc3339(ns) == text


def test_group_keys_quote_their_values() -> None:
    assert group_key((("alertname", 'a"b\\'),)) == '{}:{alertname="a\\"b\\\\"}'
