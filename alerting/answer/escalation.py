"""Which step of an escalation is due. Pure: handed the incident, its policy and the time.

An escalation has a clock of its own: it begins when a policy takes the incident, and stands still while somebody has
the incident or it is snoozed. So an acknowledgement stops it, and after its expiry it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from alerting.answer.model import Policy, Step
from alerting.notify.matchers import all_match
from alerting.track.model import Incident


class Turn(msgspec.Struct, frozen=True):
    """A step that is due, or will be; `number` 0 is the step itself, then come its repeats."""

    step: int
    number: int
    after_ns: int  # of the escalation's clock


def policy_of(incident: Incident, policies: Iterable[Policy]) -> Policy | None:
    """The first that takes one of its firing alerts: an incident is as bad as the worst of them. One that runs stays,
    though the alert by which it began has ended, unless one further up takes the incident."""
    running = incident.escalation.policy if incident.escalation else ""
    firing = [dict(incident.alerts[fingerprint].labels) for fingerprint in incident.firing]
    for policy in policies:
        if policy.tenant != incident.tenant:
            continue
        if policy.name == running or any(all_match(policy.matchers, labels) for labels in firing):
            return policy
    return None


def clock_ns(incident: Incident, now_ns: int) -> int:
    """What the escalation's clock shows; the present hold does not count."""
    escalation = incident.escalation
    if escalation is None:
        return 0
    until_ns = max(incident.held_since_ns, escalation.since_ns) if incident.held_since_ns else now_ns
    return until_ns - escalation.since_ns - escalation.held_ns


def turns_due(incident: Incident, policy: Policy, now_ns: int) -> list[Turn]:
    """In their order. Of a step whose time came several times while nobody could look (we were down) only the last
    turn: every step is taken once, but what is late is not repeated for its own sake. A step that has reached nobody
    gives way to the next one at once."""
    shown_ns = clock_ns(incident, now_ns)
    due: list[Turn] = []
    for number, step in enumerate(policy.steps):
        passed = [turn for turn in _turns(number, step) if turn.after_ns <= shown_ns]
        if passed and passed[-1].number > _done(incident, number):
            due.append(passed[-1])
    if not due and incident.escalation is not None and incident.escalation.nobody_reached:
        return _following(incident, policy)[:1]
    return due


def next_turn_ns(incident: Incident, policy: Policy, now_ns: int) -> int | None:
    """When the next turn is due, were it not held; None: all were taken."""
    if incident.escalation is not None and incident.escalation.nobody_reached and _following(incident, policy):
        return now_ns
    ahead = [
        turn.after_ns
        for number, step in enumerate(policy.steps)
        for turn in _turns(number, step)
        if turn.number > _done(incident, number)
    ]
    return None if not ahead else now_ns + max(0, min(ahead) - clock_ns(incident, now_ns))


def _following(incident: Incident, policy: Policy) -> list[Turn]:
    """Of the steps that were not taken yet, the first turns."""
    return [Turn(number, 0, step.after_ns) for number, step in enumerate(policy.steps) if _done(incident, number) < 0]


def _turns(number: int, step: Step) -> Iterator[Turn]:
    for turn in range(step.times + 1):
        yield Turn(number, turn, step.after_ns + turn * step.every_ns)


def _done(incident: Incident, step: int) -> int:
    return -1 if incident.escalation is None else incident.escalation.done.get(step, -1)
