from __future__ import annotations

import pytest

from alerting.notify.alerts import AlertRecord
from alerting.notify.inhibition import Inhibitor, InhibitRule
from alerting.notify.matchers import parse_matchers

S = 10**9


def alert(fingerprint: str, ends: int = 0, **labels: str) -> AlertRecord:
    return AlertRecord(fingerprint, tuple(sorted(labels.items())), (), 0, ends * S, 0)


def rule(source: str, target: str, *equal: str) -> InhibitRule:
    return InhibitRule(parse_matchers(source), parse_matchers(target), equal)


DOWN = rule('alertname="HostDown"', 'severity=~"warning|info"', "host")
SEVERE = rule('severity="critical"', 'severity=~"critical|warning"', "cluster")
SOURCES = [
    alert("down", alertname="HostDown", host="n1"),
    alert("over", ends=10, alertname="HostDown", host="n2"),
    alert("anywhere", alertname="HostDown"),
    alert("two", severity="critical", cluster="c"),
]


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ({"severity": "warning", "host": "n1"}, "down"),
        ({"severity": "info", "host": "n1"}, "down"),
        ({"severity": "page", "host": "n1"}, ""),
        ({"severity": "warning", "host": "n9"}, ""),
        ({"severity": "warning", "host": "n2"}, ""),  # its source has resolved
        ({"severity": "warning"}, "anywhere"),  # missing equals missing
        ({"severity": "warning", "host": ""}, "anywhere"),  # and empty
        ({"severity": "warning", "host": "x", "cluster": "c"}, "two"),
        # it matches both sides: no other such alert inhibits it, nor it itself
        ({"severity": "critical", "cluster": "c"}, ""),
    ],
)
def test_inhibited_by(labels: dict[str, str], want: str) -> None:
    inhibitor = Inhibitor((DOWN, SEVERE))
    for each in SOURCES:
        inhibitor.put(each)
    assert inhibitor.inhibited_by(labels, 20 * S) == want


def test_a_source_that_is_gone_or_over_inhibits_nothing() -> None:
    inhibitor = Inhibitor((DOWN,))
    inhibitor.put(SOURCES[0])
    target = {"severity": "warning", "host": "n1"}
    assert inhibitor.inhibited_by(target, S) == "down"
    inhibitor.put(alert("down", ends=5, alertname="HostDown", host="n1"))
    assert inhibitor.inhibited_by(target, 6 * S) == ""
    inhibitor.put(SOURCES[0])
    inhibitor.drop(SOURCES[0])
    assert inhibitor.inhibited_by(target, S) == ""
