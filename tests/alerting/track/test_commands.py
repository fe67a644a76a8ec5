"""What may be done to an incident, and when."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.track.commands import (
    Acknowledge,
    AnyCommand,
    Assign,
    Comment,
    FailResponse,
    NotApplicable,
    Respond,
    Review,
    RollBack,
    Snooze,
    Unacknowledge,
    Unsnooze,
    Verify,
    decide,
    expire,
    holds_repeats,
)
from alerting.track.events import AnyEvent
from alerting.track.fold import fold, step
from alerting.track.model import ENDED, Incident, State
from tests.alerting.track.timelines import S, T, at, ended, joined, opened, resolved

HOUR = 3600 * S
ACK = Acknowledge(by="alice", for_ns=HOUR)
COMMANDS: tuple[AnyCommand, ...] = (
    ACK,
    Acknowledge(by="alice", owner="bob", for_ns=2 * HOUR),
    Unacknowledge(by="alice"),
    Assign(by="alice", to="bob"),
    Comment(by="alice", text="hm"),
    Snooze(by="alice", for_ns=HOUR),
    Unsnooze(by="alice"),
    Respond(by="bot", action="restart"),
    Verify(by="bot"),
    FailResponse(by="bot"),
    RollBack(by="bot"),
    Review(by="alice", text="never again"),
)
NAMES = [type(command).__name__ for command in COMMANDS]


def after(*commands: AnyCommand, over: bool = False) -> Incident:
    incident = fold("i", "default", [opened(), joined(0, "a")])
    for command in commands:
        for event in decide(incident, command, T):
            incident = step(incident, event)
    if over:
        incident = step(step(incident, ended(9, "a")), resolved(9))
    return incident


ALWAYS = {"Assign", "Comment"}
FRESH = ALWAYS | {"Acknowledge", "Snooze", "Respond"}


@pytest.mark.parametrize(
    ("incident", "applicable"),
    [
        (after(), FRESH),
        (after(ACK), FRESH | {"Unacknowledge"}),
        (after(Snooze(by="a", for_ns=HOUR)), FRESH | {"Unsnooze"}),
        (after(Respond(by="b", action="x")), FRESH - {"Respond"} | {"Verify", "FailResponse"}),
        (after(Respond(by="b", action="x"), Verify(by="b")), FRESH),
        (after(Respond(by="b", action="x"), FailResponse(by="b")), FRESH | {"RollBack"}),
        (after(Respond(by="b", action="x"), FailResponse(by="b"), RollBack(by="b")), FRESH),
        (after(over=True), ALWAYS | {"Review"}),
        (after(ACK, over=True), ALWAYS | {"Review", "Unacknowledge"}),
        (after(Respond(by="b", action="x"), over=True), ALWAYS | {"Review"}),
    ],
)
def test_what_applies(incident: Incident, applicable: set[str]) -> None:
    for command in COMMANDS:
        name = type(command).__name__
        if name in applicable:
            assert len(decide(incident, command, at(10))) == 1, name
        else:
            with pytest.raises(NotApplicable, match=f"incident i is {incident.state.value}"):
                decide(incident, command, at(10))


def test_a_reviewed_incident_is_closed_but_for_words() -> None:
    incident = after(over=True)
    incident = step(incident, decide(incident, Review(by="a", text="x"), at(10))[0])
    decide(incident, Comment(by="a", text="x"), at(11))
    decide(incident, Review(by="a", text="second thoughts"), at(11))
    with pytest.raises(NotApplicable, match="nobody needs to assign it"):
        decide(incident, Assign(by="a", to="b"), at(11))


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (ACK, "is resolved since 2023-11-14T22:13:29.* there is nothing left to acknowledge"),
        (Respond(by="b", action="x"), "nothing left to respond to"),
    ],
)
def test_a_refusal_says_why(command: AnyCommand, problem: str) -> None:
    with pytest.raises(NotApplicable, match=problem):
        decide(after(over=True), command, at(10))


def test_one_response_at_a_time() -> None:
    with pytest.raises(NotApplicable, match=r"bot is responding already \(restart\)"):
        decide(after(Respond(by="bot", action="restart")), Respond(by="eve", action="stop"), T)


@pytest.mark.parametrize(
    ("commands", "now_s", "held"),
    [
        ([], 0, ""),
        ([ACK], 3599, "acknowledged by alice until 2023-11-14T23:13:20"),
        ([ACK], 3600, ""),
        ([Acknowledge(by="alice", owner="bob", for_ns=HOUR)], 1, "acknowledged by bob"),
        ([Snooze(by="a", for_ns=HOUR)], 3599, "snoozed until"),
        ([Snooze(by="a", for_ns=HOUR)], 3600, ""),
        ([Snooze(by="a", for_ns=HOUR), Acknowledge(by="b", for_ns=2 * HOUR)], 3600, "acknowledged by b"),
        (
            [Acknowledge(by="b", for_ns=2 * HOUR), Snooze(by="a", for_ns=HOUR)],
            1,
            "acknowledged by b until 2023-11-15T00:13:20Z; snoozed until 2023-11-14T23:13:20Z",
        ),
        ([ACK, Unacknowledge(by="a")], 1, ""),
    ],
)
def test_what_holds_repeats(commands: list[AnyCommand], now_s: int, held: str) -> None:
    found = holds_repeats(after(*commands), at(now_s))
    assert found.startswith(held)
    assert bool(found) == bool(held)


@pytest.mark.parametrize(
    ("commands", "now_s", "expired"),
    [
        ([], 9e9, []),
        ([ACK], 3599, []),
        ([ACK], 3600, [("acknowledgement ended", 3600)]),
        ([ACK], 9000, [("acknowledgement ended", 3600)]),  # noticed late, and still told as it was
        ([Acknowledge(by="b", for_ns=2 * HOUR), Snooze(by="a", for_ns=HOUR)], 9000,
         [("snooze ended", 3600), ("acknowledgement ended", 7200)]),
    ],
)  # fmt: skip
def test_what_runs_out(commands: list[AnyCommand], now_s: float, expired: list[tuple[str, int]]) -> None:
    events = expire(after(*commands), at(now_s))
    assert [(event.__struct_config__.tag, event.at_ns) for event in events] == [(kind, at(s)) for kind, s in expired]


def test_an_expiry_is_not_told_before_what_happened_already() -> None:
    incident = step(after(ACK), joined(5000, "b"))
    assert [event.at_ns for event in expire(incident, at(9000))] == [at(5000)]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from((*range(len(COMMANDS)), "join", "end")), st.integers(0, 5000))))
def test_in_whatever_order_the_invariants_hold(steps: list[tuple[int | str, int]]) -> None:
    """A model of what the tracker does: commands as they come, alerts that begin and end, time that passes."""
    timeline: list[AnyEvent] = [opened(), joined(0, "a")]
    incident, now_ns = fold("i", "default", timeline), T
    for what, seconds in steps:
        now_ns += seconds * S
        events = list(expire(incident, now_ns))
        for event in events:
            incident = step(incident, event)
        try:
            fresh = _happens(what, incident, now_ns)
        except NotApplicable:
            fresh = []
        for event in fresh:
            incident = step(incident, event)
        timeline += [*events, *fresh]
        _check(incident, now_ns)
    assert fold("i", "default", timeline) == incident
    assert [event.at_ns for event in timeline] == sorted(event.at_ns for event in timeline)


def _happens(what: int | str, incident: Incident, now_ns: int) -> list[AnyEvent]:
    if isinstance(what, int):
        return list(decide(incident, COMMANDS[what], now_ns))
    seconds = (now_ns - T) / S
    if what == "join" and not incident.ended_ns:
        return [joined(seconds, "b")]
    if what == "end" and not incident.ended_ns:
        return [ended(seconds, "a", "b"), resolved(seconds)]
    return []


def _check(incident: Incident, now_ns: int) -> None:
    held = incident.acknowledgement
    assert (incident.state in ENDED) == (incident.ended_ns > 0) == (not incident.firing)
    assert held is None or (held.owner and held.until_ns > max(held.since_ns, now_ns))
    assert incident.snoozed_until_ns == 0 or incident.snoozed_until_ns > now_ns
    assert bool(holds_repeats(incident, now_ns)) == (incident.held_since_ns > 0)
    assert incident.state is not State.REVIEWED or incident.review
    assert incident.state is not State.ACKNOWLEDGED or held
    last = incident.periods[-1]
    assert last.ended == (incident.ended_ns > 0)
    assert not last.acknowledged_ns or last.since_ns <= last.acknowledged_ns
