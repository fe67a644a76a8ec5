"""Times to acknowledge and to resolve, and noise: figures, and that anybody can compute them from the timelines."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.track.commands import Acknowledge, Snooze
from alerting.track.fold import fold
from alerting.track.measures import Grouped, Statistics, Times, quantile, statistics, times
from alerting.track.metrics import TrackMetrics
from alerting.track.store import Choice
from tests.alerting.track.timelines import Desk, S, alert, at

HOUR = 3600 * S
ACK = "deckwatch_alerting_incident_acknowledge_seconds"
RESOLVE = "deckwatch_alerting_incident_resolve_seconds"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Of `Slow` (team web): one acknowledged after 60 s that ends after 100, comes back after 200 s, ends unattended
    after 30 more; and of another instance one that was snoozed and goes on. Of `Down` (no team): one that nobody
    touched, for 10 s, in which an alert flapped."""
    desk = Desk(tmp_path, by=("alertname", "instance"))
    (incident,) = desk.observe(0, alert(instance="a", team="web"))
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=120 * S), at(60))
    desk.observe(100, alert(100, instance="a", team="web"))
    desk.observe(300, alert(instance="a", team="web"))
    desk.observe(330, alert(330, instance="a", team="web"))
    (other,) = desk.observe(400, alert(instance="b", team="web"))
    desk.tracker.do("default", other.id, Snooze(by="bob", for_ns=HOUR), at(401))
    desk.observe(500, alert(name="Down"), alert(name="Down", disk="x"))
    desk.observe(503, alert(503, name="Down", disk="x"))
    desk.observe(504, alert(name="Down", disk="x"))
    desk.observe(510, alert(510, name="Down"), alert(510, name="Down", disk="x"))
    return desk


SLOW = Statistics(
    "Slow",
    periods=3,
    reopened=1,
    acknowledged=1,
    ended=2,
    unattended=1,
    flaps=1,
    noise=0.5,
    to_acknowledge=Times(1, 60, 60, 60),
    to_resolve=Times(2, 65, 65, 93),
)
DOWN = Statistics("Down", 1, 0, 0, 1, 1, 1, 1.0, None, Times(1, 10, 10, 10))


def test_of_rules_and_of_teams(desk: Desk) -> None:
    found = desk.store.measured(Choice("default"))
    assert statistics(found, at(0), at(1000)) == [SLOW, DOWN]
    teams = statistics(found, at(0), at(1000), Grouped.TEAM)
    assert [(row.name, row.periods) for row in teams] == [("web", 3), ("", 1)]
    assert [row.name for row in statistics(found, at(400), at(500))] == ["Slow"]
    assert statistics(found, at(2000), at(3000)) == []


def test_the_metrics_say_the_same_and_anybody_can_compute_them_again(desk: Desk) -> None:
    """From the timelines alone: what the metrics counted as it happened is what they add up to."""
    incidents = [fold(each.id, each.tenant, desk.store.timeline(each.id)).measured for each in desk.store.all()]
    for row in statistics(incidents, at(0), at(1000)):
        team = "web" if row.name == "Slow" else ""
        labels = {"tenant": "default", "rule": row.name, "team": team}
        for metric, expected in ((ACK, row.to_acknowledge), (RESOLVE, row.to_resolve)):
            count, total = desk.metric(f"{metric}_count", **labels), desk.metric(f"{metric}_sum", **labels)
            assert (count, total) == ((expected.count, expected.mean_s * expected.count) if expected else (None, None))


def test_a_restart_goes_on_counting_where_it_was(desk: Desk, tmp_path: Path) -> None:
    labels = {"tenant": "default", "rule": "Slow", "team": "web"}
    before = desk.metric(f"{RESOLVE}_sum", **labels)
    desk.database.close()
    again = Desk(tmp_path)
    metrics = TrackMetrics(type(again.registry)())
    metrics.restore(again.store.all())
    assert before == 130
    assert again.metric(f"{RESOLVE}_sum", **labels) is None
    assert metrics.to_resolve.labels(**labels)._sum.get() == before


def test_noise_of_each_rule(desk: Desk) -> None:
    metrics = TrackMetrics(type(desk.registry)())
    metrics.judge({"default": statistics(desk.store.measured(Choice("default")), at(0), at(1000))})
    metrics.count(desk.store.counts())
    noise = {(sample.labels["rule"], sample.value) for family in metrics._noise.collect() for sample in family.samples}
    assert noise == {("Slow", 0.5), ("Down", 1.0)}
    counts = {
        sample.labels["state"]: sample.value for family in metrics._incidents.collect() for sample in family.samples
    }
    assert counts == {
        **dict.fromkeys(("firing", "notified", "acknowledged", "responding", "verified", "resolved", "reviewed"), 0),
        "firing": 1,
        "resolved": 2,
    }
    metrics.judge({})
    assert [sample for family in metrics._noise.collect() for sample in family.samples] == []


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([5.0], 0.9, 5), ([1.0, 2.0], 0.5, 1.5), ([1.0, 2.0, 3.0], 0.5, 2), ([0.0, 10.0], 0.9, 9), ([1.0, 2.0], 1, 2)],
)
def test_quantile(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == expected


def test_times_of_nothing() -> None:
    assert times([None, None]) is None
    assert times([None, 3.0]) == Times(1, 3, 3, 3)
