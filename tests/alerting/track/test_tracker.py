"""Alerts become incidents: opened, joined, ended, opened again; beside each other's tenants; all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.matchers import parse_matchers
from alerting.track.commands import Acknowledge, Comment, NotApplicable, Review, Snooze
from alerting.track.events import AlertsJoined, NotNotified
from alerting.track.grouping import Grouping, Merge, grouping
from alerting.track.ids import is_id, new_id
from alerting.track.model import State
from alerting.track.settings import IncidentSettings, MergeSettings
from alerting.track.store import Choice
from alerting.track.tracker import NoIncident
from deckwatch.runtime.faults import Unusable
from tests.alerting.track.timelines import Desk, S, T, alert, at

HOUR = 3600 * S


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_alerts_of_one_rule_share_an_incident_from_the_first_to_the_last(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"), alert(instance="b"))
    assert (first.state, first.title, len(first.firing), first.events) == (State.FIRING, "Slow", 2, 2)
    assert is_id(first.id)
    (same,) = desk.observe(5, alert(instance="c"))
    assert same.id == first.id
    assert desk.observe(6, alert(instance="c"), alert(instance="a")) == []  # told again, nothing new
    desk.observe(7, alert(7, instance="a"), alert(7, instance="c"))
    (over,) = desk.observe(9, alert(9, instance="b"))
    assert (over.id, over.state, over.ended_ns) == (first.id, State.RESOLVED, at(9))
    assert desk.observe(10, alert(9, instance="b"), alert(9, instance="never")) == []
    assert desk.kinds(first.id) == [
        *("opened", "alerts joined", "alerts joined", "alerts resolved", "alerts resolved", "resolved")
    ]
    assert desk.store.differing() == []


def test_an_alert_that_gives_way_to_another_ends_no_incident(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    (same,) = desk.observe(5, alert(5, instance="a"), alert(instance="b"))
    assert (same.id, same.state, len(same.periods)) == (first.id, State.FIRING, 1)


def test_what_timed_out_earlier_ended_earlier(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    (over,) = desk.observe(300, alert(120, instance="a"))
    assert (over.id, over.ended_ns) == (first.id, at(120))


@pytest.mark.parametrize(("again_s", "reopens"), [(609, True), (609.5, False)])
def test_soon_again_reopens(desk: Desk, again_s: float, reopens: bool) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    desk.observe(9, alert(9, instance="a"))
    (again,) = desk.observe(again_s, alert(instance="a"))
    assert (again.id == first.id) == reopens
    assert again.state is State.FIRING
    assert len(again.periods) == (2 if reopens else 1)
    assert again.flaps == int(reopens)
    assert desk.store.differing() == []


def test_a_reviewed_incident_is_not_reopened(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    desk.observe(9, alert(9, instance="a"))
    desk.tracker.do("default", first.id, Review(by="alice", text="x"), at(10))
    (again,) = desk.observe(11, alert(instance="a"))
    assert again.id != first.id


def test_an_acknowledgement_outlives_a_short_end(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    desk.tracker.do("default", first.id, Acknowledge(by="alice", for_ns=HOUR), at(1))
    desk.observe(9, alert(9, instance="a"))
    (again,) = desk.observe(20, alert(instance="a"))
    assert again.state is State.ACKNOWLEDGED
    assert desk.tracker.held("default", [alert(instance="a")], at(21)).startswith("acknowledged by alice")


def test_one_that_ran_out_meanwhile_does_not(desk: Desk) -> None:
    (first,) = desk.observe(0, alert(instance="a"))
    desk.tracker.do("default", first.id, Acknowledge(by="alice", for_ns=60 * S), at(1))
    desk.observe(9, alert(9, instance="a"))
    (again,) = desk.observe(100, alert(instance="a"))
    assert again.state is State.FIRING
    assert [event.at_ns for event in desk.store.timeline(first.id)][-3:] == [at(61), at(100), at(100)]


def test_other_labels_other_incidents(tmp_path: Path) -> None:
    desk = Desk(tmp_path, by=("alertname", "cluster"))
    found = desk.observe(0, alert(cluster="a"), alert(cluster="b"), alert(name="Down", cluster="a"), alert())
    assert [incident.title for incident in found] == [
        'Slow {cluster="a"}',
        'Slow {cluster="b"}',
        'Down {cluster="a"}',
        "Slow",
    ]


def test_merging_rules_put_alerts_of_several_rules_together(tmp_path: Path) -> None:
    merge = Merge(parse_matchers('{team="db"}'), ("cluster",))
    everything = Merge(parse_matchers('{severity="info"}'), ())
    desk = Desk(tmp_path, grouping=Grouping(("alertname",), (merge, everything)))
    found = desk.observe(
        *(0, alert(team="db", cluster="a"), alert(name="Down", team="db", cluster="a"), alert(team="web")),
        *(alert(name="X", severity="info"), alert(name="Y", severity="info")),
    )
    assert [(len(incident.firing), dict(incident.key)) for incident in found] == [
        (2, {"cluster": "a"}),
        (1, {"alertname": "Slow"}),
        (2, {}),
    ]


def test_another_grouping_leaves_open_incidents_whole(tmp_path: Path) -> None:
    """An alert ends where it began."""
    (first,) = Desk(tmp_path).observe(0, alert(instance="a"), alert(instance="b"))
    desk = Desk(tmp_path, by=("instance",))
    assert desk.observe(1, alert(instance="a")) == []
    desk.observe(2, alert(2, instance="a"))
    (over,) = desk.observe(3, alert(3, instance="b"))
    assert (over.id, over.state) == (first.id, State.RESOLVED)


def test_faults_of_merging_rules_are_told_at_once() -> None:
    settings = IncidentSettings(merge=(MergeSettings(("team=",), ()), MergeSettings(("=x",)), MergeSettings()))
    with pytest.raises(Unusable) as caught:
        grouping(settings)
    assert "alerting.incidents.merge 2: " in str(caught.value)
    assert "alerting.incidents.merge 3: give matchers" in str(caught.value)


def test_tenants_know_nothing_of_each_other(desk: Desk) -> None:
    (mine,) = desk.observe(0, alert(instance="a"))
    (theirs,) = desk.observe(0, alert(instance="a"), tenant="other")
    assert mine.id != theirs.id
    desk.observe(5, alert(5, instance="a"))
    assert desk.tracker.get("other", theirs.id).state is State.FIRING
    with pytest.raises(NoIncident):
        desk.tracker.get("other", mine.id)
    with pytest.raises(NoIncident):
        desk.tracker.do("other", mine.id, Comment(by="eve", text="x"), at(6))
    assert [each.id for each in desk.store.chosen(Choice("other"))] == [theirs.id]


def test_receipts_stand_on_the_timeline_of_every_incident_concerned(tmp_path: Path) -> None:
    desk = Desk(tmp_path, by=("instance",))
    one, other = desk.observe(0, alert(instance="a"), alert(instance="b"))
    message = Notification(
        *("ops", "webhook[0]", "k", "new group", "{}", ()), (alert(instance="a"), alert(instance="b")), T
    )
    desk.tracker.finished(message, [_receipt("delivered"), _receipt("refused", "no such chat")], at(2))
    for incident in (one, other):
        now = desk.tracker.get("default", incident.id)
        assert (now.state, now.notified_ns) == (State.NOTIFIED, at(2))
        assert now.untold == {"ops": "refused: no such chat; mail is told instead"}
        assert desk.kinds(incident.id)[2:] == ["notified", "not notified"]


def _receipt(outcome: str, error: str = "") -> Receipt:
    return Receipt(
        *("k", "ops", "webhook[0]", "https://hook", "{}", "new group", outcome, 200, "", 1, 0.1, None, T, T, error),
        fallback="mail" if error else "",
    )


def test_why_somebody_is_not_told_is_noted_once(desk: Desk) -> None:
    (incident,) = desk.observe(0, alert(instance="a"))
    for second, why in enumerate(["silence", "silence", "inhibition", "inhibition"]):
        desk.tracker.not_told("default", [alert(instance="a")], "ops", why, at(second))
    events = desk.store.timeline(incident.id)
    assert [event.why for event in events if isinstance(event, NotNotified)] == ["silence", "inhibition"]


def test_a_group_is_held_when_somebody_has_all_of_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, by=("instance",))
    one, other = desk.observe(0, alert(instance="a"), alert(instance="b"))
    both = [alert(instance="a"), alert(instance="b")]
    desk.tracker.do("default", one.id, Acknowledge(by="alice", for_ns=HOUR), at(1))
    assert desk.tracker.held("default", both, at(2)) == ""
    assert desk.tracker.held("default", both[:1], at(2)) != ""
    desk.tracker.do("default", other.id, Snooze(by="bob", for_ns=60 * S), at(2))
    assert desk.tracker.held("default", both, at(3)) != ""
    assert desk.tracker.held("default", both, at(62)) == ""
    assert desk.tracker.held("default", [*both, alert(instance="unknown")], at(3)) == ""
    assert desk.tracker.held("default", [], at(3)) == ""


def test_a_refused_command_leaves_nothing(desk: Desk) -> None:
    (incident,) = desk.observe(0, alert(instance="a"))
    with pytest.raises(NotApplicable):
        desk.tracker.do("default", incident.id, Review(by="a", text="x"), at(1))
    assert desk.kinds(incident.id) == ["opened", "alerts joined"]


def test_what_the_caller_rolls_back_did_not_happen(desk: Desk) -> None:
    with pytest.raises(RuntimeError), desk.database.transaction():  # noqa: PT012
        desk.observe(0, alert(instance="a"))
        raise RuntimeError("the disk is full")
    assert list(desk.store.all()) == []
    assert desk.metric("deckwatch_alerting_incident_events_total", kind="opened") is None
    (incident,) = desk.observe(1, alert(instance="a"))
    assert incident.opened_ns == at(1)
    assert desk.metric("deckwatch_alerting_incident_events_total", kind="opened") == 1


def test_a_clock_that_jumps_back_doesnt_turn_a_timeline(desk: Desk) -> None:
    (incident,) = desk.observe(100, alert(instance="a"))
    desk.observe(50, alert(instance="b"))
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=HOUR), at(10))
    times = [event.at_ns for event in desk.store.timeline(incident.id)]
    assert times == [at(100)] * 4


def test_a_storm_is_one_event(desk: Desk) -> None:
    (incident,) = desk.observe(0, *(alert(instance=str(number)) for number in range(3000)))
    (_, event) = desk.store.timeline(incident.id)
    assert isinstance(event, AlertsJoined)
    assert len(event.alerts) == len(incident.firing) == 3000
    (over,) = desk.observe(1, *(alert(1, instance=str(number)) for number in range(3000)))
    assert over.state is State.RESOLVED


def test_ended_ones_are_forgotten_with_all_that_belongs_to_them(desk: Desk) -> None:
    (old,) = desk.observe(0, alert(instance="a"))
    desk.observe(5, alert(5, instance="a"))
    (still,) = desk.observe(0, alert(name="Down"))
    assert desk.store.forget(at(5)) == 0
    assert desk.store.forget(at(6)) == 1
    assert desk.store.timeline(old.id) == []
    assert desk.tracker.of_alert("default", alert(instance="a").fingerprint) is None
    assert [each.id for each in desk.store.all()] == [still.id]


def test_choices(tmp_path: Path) -> None:
    desk = Desk(tmp_path, by=("instance",))
    for second in range(250):
        desk.observe(second, alert(instance=f"{second:03}", team="a" if second % 2 else "b"))
    desk.observe(300, *(alert(300, instance=f"{second:03}") for second in range(100)))  # other labels: not theirs
    desk.observe(300, *(alert(300, instance=f"{n:03}", team="a" if n % 2 else "b") for n in range(100)))
    newest = [each.id for each in desk.store.chosen(Choice("default"))]
    assert newest == sorted(newest, reverse=True)
    assert len(newest) == 250
    assert [each.id for each in desk.store.chosen(Choice("default", before=newest[9]))] == newest[10:]
    assert len(list(desk.store.chosen(Choice("default", states=(State.RESOLVED,))))) == 100
    assert len(list(desk.store.chosen(Choice("default", team="a", states=(State.FIRING,))))) == 75
    assert len(list(desk.store.chosen(Choice("default", start_ns=at(301))))) == 150
    assert len(list(desk.store.chosen(Choice("default", end_ns=at(10))))) == 10
    assert list(desk.store.chosen(Choice("default", rule="Other"))) == []


def test_ids_are_in_the_order_of_time_and_hard_to_guess() -> None:
    ids = [new_id(T + number * 1_000_000) for number in range(1000)]
    assert ids == sorted(ids)
    assert len({id_[8:] for id_ in ids}) > 990
    assert all(map(is_id, ids))
    assert new_id(2_500_000_000 * S) > ids[-1]  # in 2049
    assert not is_id("0jk3m2q7x9k2fi")
