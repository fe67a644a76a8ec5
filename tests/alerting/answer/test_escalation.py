"""Which steps are due: by the escalation's own clock, once each, after a standstill of ours too."""

from __future__ import annotations

import pytest

from alerting.answer.escalation import Turn, clock_ns, next_turn_ns, policy_of, turns_due
from alerting.answer.model import Kind, Policy, Step, Whom
from alerting.notify.matchers import parse_matchers
from alerting.track.events import AnyEvent, NotNotified
from alerting.track.fold import fold
from alerting.track.model import Incident
from tests.alerting.track.test_fold import acked, escalated, escalating, snoozed, told, unacked, untold, woken
from tests.alerting.track.timelines import S, at, ended, joined, opened

OPS = (Whom(Kind.RECEIVER, "ops"),)
POLICY = Policy("p", (), (Step(0, OPS), Step(600 * S, OPS, 300 * S, 2), Step(3600 * S, OPS)))


def incident(*events: AnyEvent) -> Incident:
    return fold("i", "default", [opened(), joined(0, "a"), escalating(0), *events])


def refused(at_s: float, receiver: str) -> AnyEvent:
    return NotNotified(at_ns=at(at_s), by="delivery", why="refused", receiver=receiver, key="k")


FIRST, SECOND = escalated(0, 0, 0, "ops"), escalated(600, 1, 0, "ops")
SECOND_AGAIN = escalated(900, 1, 1, "ops")


@pytest.mark.parametrize(
    ("events", "now_s", "due", "next_s"),
    [
        ([], 0, [(0, 0)], 0),
        ([FIRST], 0, [], 600),
        ([FIRST], 599, [], 600),
        ([FIRST], 600, [(1, 0)], 600),
        ([FIRST, SECOND], 600, [], 900),
        ([FIRST, SECOND], 900, [(1, 1)], 900),
        ([FIRST, SECOND, SECOND_AGAIN], 901, [], 1200),
        ([FIRST, SECOND, escalated(1200, 1, 2, "ops")], 1300, [], 3600),
        ([FIRST, SECOND, escalated(1200, 1, 2, "ops"), escalated(3600, 2, 0, "ops")], 99_999, [], None),
        # We were down: every step is taken, repeats that are late are one.
        ([], 7200, [(0, 0), (1, 2), (2, 0)], 7200),
        ([FIRST], 1250, [(1, 2)], 1250),
        # Somebody had it from 100 s on; 50 s of it were held when it went on.
        ([FIRST, acked(100, 150), unacked(150)], 649, [], 650),
        ([FIRST, acked(100, 150), unacked(150)], 650, [(1, 0)], 650),
        ([FIRST, acked(100, 150), unacked(150), snoozed(200, 400), woken(400)], 849, [], 850),
        # Held: the clock stands.
        ([FIRST, acked(599, 9000)], 8000, [], 8001),
    ],
)
def test_turns(events: list[AnyEvent], now_s: int, due: list[tuple[int, int]], next_s: int | None) -> None:
    one = incident(*events)
    assert [(turn.step, turn.number) for turn in turns_due(one, POLICY, at(now_s))] == due
    following = next_turn_ns(one, POLICY, at(now_s))
    assert following == (None if next_s is None else at(next_s))


NAMED, NOBODY = escalated(0, 0, 0, "a", "b"), escalated(0, 0)


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ([NAMED], []),
        ([NAMED, refused(1, "a")], []),  # b may take it still
        ([NAMED, refused(1, "a"), refused(2, "b")], [(1, 0)]),
        ([NAMED, refused(1, "a"), told(2, "b")], []),
        ([NAMED, told(1, "a"), refused(2, "a"), refused(3, "b")], []),  # by another of its integrations
        ([NAMED, untold(1, "a"), untold(2, "b")], []),  # muted as receivers of groups: they were called all the same
        ([NAMED, refused(1, "a"), refused(2, "b"), escalated(3, 1, 0, "c")], []),
        ([NOBODY], [(1, 0)]),
        ([NOBODY, escalated(0, 1)], [(2, 0)]),
        ([NOBODY, escalated(0, 1), escalated(0, 2)], []),
    ],
)
def test_a_step_that_reached_nobody_gives_way_to_the_next(events: list[AnyEvent], due: list[tuple[int, int]]) -> None:
    one = incident(*events)
    assert [(turn.step, turn.number) for turn in turns_due(one, POLICY, at(10))] == due
    assert (next_turn_ns(one, POLICY, at(10)) == at(10)) == bool(due)


def test_the_clock() -> None:
    assert clock_ns(incident(), at(10)) == 10 * S
    assert clock_ns(incident(acked(4, 20)), at(10)) == 4 * S
    assert clock_ns(incident(acked(4, 20), unacked(20)), at(30)) == 14 * S
    assert clock_ns(fold("i", "default", [opened()]), at(30)) == 0


def test_a_step_that_was_taken_out_of_a_policy_hurts_nobody() -> None:
    short = Policy("p", (), POLICY.steps[:1])
    assert turns_due(incident(FIRST, SECOND), short, at(9999)) == []
    assert next_turn_ns(incident(FIRST, SECOND), short, at(9999)) is None
    assert turns_due(incident(FIRST), Policy("p", (), (*POLICY.steps[:1], Step(1, OPS))), at(5)) == [Turn(1, 0, 1)]


def policies() -> tuple[Policy, ...]:
    return (
        Policy("other tenant", (), (), "other"),
        Policy("b", parse_matchers('{instance="b"}'), ()),
        Policy("a", parse_matchers('{instance="a"}'), ()),
        Policy("all", (), ()),
    )


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ([joined(0, "c")], "all"),
        ([joined(0, "c"), joined(1, "a")], "a"),
        ([joined(0, "a", "b")], "b"),  # in the order of the file
        ([joined(0, "a", "b"), ended(5, "b")], "a"),
        ([joined(0, "a", "b"), escalating(1, "b"), ended(5, "b")], "b"),  # what runs stays
        ([joined(0, "a"), escalating(1, "a"), joined(5, "b")], "b"),  # unless it becomes worse
        ([joined(0, "a"), escalating(1, "gone")], "a"),
    ],
)
def test_which_policy_takes_an_incident(events: list[AnyEvent], taken: str) -> None:
    found = policy_of(fold("i", "default", [opened(), *events]), policies())
    assert found is not None
    assert found.name == taken


def test_no_policy() -> None:
    one = fold("i", "default", [opened(), joined(0, "c")])
    assert policy_of(one, policies()[:3]) is None
