"""Timelines and the incidents that they add up to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from alerting.track.events import (
    Acknowledged,
    AcknowledgementEnded,
    AnyEvent,
    Assigned,
    Commented,
    Escalated,
    EscalationStarted,
    EscalationStopped,
    Notified,
    NotNotified,
    Reopened,
    Responding,
    ResponseFailed,
    Reviewed,
    RolledBack,
    Snoozed,
    SnoozeEnded,
    Verified,
)
from alerting.track.fold import fold
from alerting.track.model import Period, State
from tests.alerting.track.timelines import S, at, ended, joined, opened, resolved


def told(at_s: float, receiver: str = "ops") -> AnyEvent:
    return Notified(at_ns=at(at_s), by="delivery", receiver=receiver)


def untold(at_s: float, receiver: str = "ops") -> AnyEvent:
    return NotNotified(at_ns=at(at_s), by="delivery", why="refused", receiver=receiver)


def acked(at_s: float, until_s: float, owner: str = "alice") -> AnyEvent:
    return Acknowledged(at_ns=at(at_s), by=owner, owner=owner, until_ns=at(until_s))


def unacked(at_s: float, *, expired: bool = True) -> AnyEvent:
    return AcknowledgementEnded(at_ns=at(at_s), by="clock", owner="alice", expired=expired)


def snoozed(at_s: float, until_s: float) -> AnyEvent:
    return Snoozed(at_ns=at(at_s), by="alice", until_ns=at(until_s))


def woken(at_s: float) -> AnyEvent:
    return SnoozeEnded(at_ns=at(at_s), by="clock", expired=True)


def responding(at_s: float) -> AnyEvent:
    return Responding(at_ns=at(at_s), by="bot", action="restart web")


def verified(at_s: float) -> AnyEvent:
    return Verified(at_ns=at(at_s), by="bot")


def failed(at_s: float) -> AnyEvent:
    return ResponseFailed(at_ns=at(at_s), by="bot", why="still slow")


def rolled_back(at_s: float) -> AnyEvent:
    return RolledBack(at_ns=at(at_s), by="bot")


def reopened(at_s: float) -> AnyEvent:
    return Reopened(at_ns=at(at_s), by="rules")


def reviewed(at_s: float) -> AnyEvent:
    return Reviewed(at_ns=at(at_s), by="alice", text="the disk was full")


def escalating(at_s: float, policy: str = "p") -> AnyEvent:
    return EscalationStarted(at_ns=at(at_s), by="escalation", policy=policy)


def escalated(at_s: float, step: int, turn: int = 0, *receivers: str) -> AnyEvent:
    return Escalated(at_ns=at(at_s), by="escalation", policy="p", step=step, turn=turn, receivers=receivers, targets=())


OPEN: list[AnyEvent] = [opened(), joined(0, "a")]
OVER: list[AnyEvent] = [*OPEN, ended(9, "a"), resolved(9)]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (OPEN, State.FIRING),
        ([*OPEN, untold(1)], State.FIRING),
        ([*OPEN, told(1)], State.NOTIFIED),
        ([*OPEN, told(1), acked(2, 60)], State.ACKNOWLEDGED),
        ([*OPEN, acked(2, 60)], State.ACKNOWLEDGED),
        ([*OPEN, acked(2, 60), told(3)], State.ACKNOWLEDGED),
        ([*OPEN, told(1), acked(2, 60), unacked(60)], State.NOTIFIED),
        ([*OPEN, acked(2, 60), unacked(60)], State.FIRING),
        ([*OPEN, snoozed(2, 60)], State.FIRING),
        ([*OPEN, told(1), acked(2, 60), responding(3)], State.RESPONDING),
        ([*OPEN, responding(3), acked(4, 60)], State.RESPONDING),  # it goes on, whoever owns it
        ([*OPEN, responding(3), verified(4)], State.VERIFIED),
        ([*OPEN, told(1), responding(3), failed(4)], State.NOTIFIED),
        ([*OPEN, told(1), acked(2, 60), responding(3), failed(4), rolled_back(5)], State.ACKNOWLEDGED),
        ([*OPEN, responding(3), verified(4), joined(5, "b")], State.FIRING),  # it has not helped
        ([*OPEN, responding(3), joined(4, "b")], State.RESPONDING),
        (OVER, State.RESOLVED),
        ([*OPEN, responding(3), verified(4), ended(9, "a"), resolved(9)], State.RESOLVED),
        ([*OVER, told(10)], State.RESOLVED),  # of the end
        ([*OVER, reviewed(99)], State.REVIEWED),
        ([*OVER, reopened(20), joined(20, "a")], State.FIRING),
        ([*OPEN, told(1), ended(9, "a"), resolved(9), told(10), reopened(20), joined(20, "a")], State.FIRING),
        ([*OPEN, acked(2, 600), ended(9, "a"), resolved(9), reopened(20), joined(20, "a")], State.ACKNOWLEDGED),
    ],
)
def test_state(events: Sequence[AnyEvent], state: State) -> None:
    incident = fold("i", "default", events)
    assert incident.state is state
    assert incident.events == len(events)
    assert incident.updated_ns == events[-1].at_ns
    assert bool(incident.ended_ns) == (state in (State.RESOLVED, State.REVIEWED))


def test_alerts_come_and_go_and_come_again() -> None:
    events = [*OPEN, joined(1, "b", "c"), ended(2, "a", "b", "never seen"), joined(3, "a")]
    incident = fold("i", "default", events)
    names = {dict(one.labels)["instance"]: (one.ended_ns, one.times) for one in incident.alerts.values()}
    assert names == {"a": (0, 2), "b": (at(2), 1), "c": (0, 1)}
    assert len(incident.firing) == 2
    assert incident.flaps == 1


@pytest.mark.parametrize(
    ("events", "periods"),
    [
        (OPEN, [Period(at(0))]),
        (OVER, [Period(at(0), 0, at(9))]),
        ([*OPEN, acked(2, 60), acked(5, 90)], [Period(at(0), at(2), 0, True)]),  # the first one counts
        ([*OPEN, snoozed(2, 60), ended(9, "a"), resolved(9)], [Period(at(0), 0, at(9), True)]),
        ([*OPEN, Assigned(at_ns=at(1), by="b", to="c")], [Period(at(0), 0, 0, True)]),
        ([*OPEN, responding(1)], [Period(at(0), 0, 0, True)]),
        ([*OPEN, escalating(1), escalated(1, 0, 0, "ops"), told(2)], [Period(at(0))]),  # nobody did anything
        ([*OVER, Commented(at_ns=at(50), by="b", text="x")], [Period(at(0), 0, at(9))]),  # too late to count
        ([*OVER, reopened(20)], [Period(at(0), 0, at(9)), Period(at(20))]),
        (
            [*OPEN, acked(2, 60), ended(9, "a"), resolved(9), reopened(20)],
            [Period(at(0), at(2), at(9), True), Period(at(20), 0, 0, True)],
        ),
    ],
)
def test_periods(events: Sequence[AnyEvent], periods: list[Period]) -> None:
    assert list(fold("i", "default", events).periods) == periods


@pytest.mark.parametrize(
    ("events", "held_s", "still"),
    [
        ([escalating(0)], 0, False),
        ([escalating(0), acked(10, 100)], 0, True),
        ([escalating(0), acked(10, 100), unacked(100)], 90, False),
        ([escalating(0), acked(10, 100), snoozed(20, 300), unacked(100)], 0, True),  # held by the other one
        ([escalating(0), acked(10, 100), snoozed(20, 300), unacked(100), woken(300)], 290, False),
        ([acked(10, 100), escalating(50), unacked(100)], 50, False),  # held before it began: not counted
        ([escalating(0), acked(10, 40), unacked(40), snoozed(60, 90), woken(90)], 60, False),
    ],
)
def test_the_escalation_stands_still_while_somebody_has_it(
    events: Sequence[AnyEvent], held_s: int, still: bool
) -> None:
    incident = fold("i", "default", [*OPEN, *events])
    assert incident.escalation is not None
    assert incident.escalation.held_ns == held_s * S
    assert (incident.held_since_ns > 0) == still


def test_what_an_escalation_has_done() -> None:
    steps = [escalating(0), escalated(0, 0, 0, "a", "b"), escalated(5, 1, 0, "c"), escalated(9, 1, 1, "a")]
    incident = fold("i", "default", [*OPEN, *steps])
    assert incident.escalation is not None
    assert incident.escalation.done == {0: 0, 1: 1}
    assert incident.called == ("a", "b", "c")
    stopped = EscalationStopped(at_ns=at(10), by="escalation", policy="p")
    other = fold("i", "default", [*OPEN, *steps, stopped, escalating(11, "other")])
    assert other.escalation is not None
    assert other.escalation.done == {}
    assert other.called == ("a", "b", "c")  # they hear of the end, whichever policy had them called
    over = fold("i", "default", [*OPEN, *steps, ended(10, "a"), resolved(10)])
    assert (over.escalation, over.called) == (None, ())


def test_who_was_not_told_is_known_until_they_are() -> None:
    assert fold("i", "default", [*OPEN, untold(1, "ops"), untold(1, "dba")]).untold == {
        "ops": "refused",
        "dba": "refused",
    }
    assert fold("i", "default", [*OPEN, untold(1, "ops"), untold(1, "dba"), told(2, "ops")]).untold == {
        "dba": "refused"
    }


def test_a_timeline_begins_with_its_opening() -> None:
    with pytest.raises(TypeError, match="begins with AlertsJoined"):
        fold("i", "default", [joined(0, "a")])
