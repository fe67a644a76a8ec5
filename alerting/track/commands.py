"""What people and responses may do to an incident, and which events come of it. Pure: handed the incident and the time.

A command that does not apply is refused with what stands in its way; a refused command leaves nothing on the timeline.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from alerting.track.describe import moment
from alerting.track.events import (
    CLOCK,
    Acknowledged,
    AcknowledgementEnded,
    AnyEvent,
    Assigned,
    Commented,
    Responding,
    ResponseFailed,
    Reviewed,
    RolledBack,
    Snoozed,
    SnoozeEnded,
    Verified,
)
from alerting.track.model import ENDED, Incident, Phase, State
from deckwatch.runtime.faults import Reject

LONGEST_TEXT = 10_000
"""Characters of a comment or a review."""


class NotApplicable(Reject):
    """The incident is not in a state in which this can be done."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    by: str
    why: str = ""


class Acknowledge(Command, frozen=True):
    """`owner`: who has it from now on; `by` where it is empty. One that is acknowledged already is taken over, or held
    for longer."""

    for_ns: int
    owner: str = ""


class Unacknowledge(Command, frozen=True):
    pass


class Assign(Command, frozen=True):
    to: str


class Comment(Command, frozen=True):
    text: str


class Snooze(Command, frozen=True):
    for_ns: int


class Unsnooze(Command, frozen=True):
    pass


class Respond(Command, frozen=True):
    action: str


class Verify(Command, frozen=True):
    """The response has worked."""


class FailResponse(Command, frozen=True):
    pass


class RollBack(Command, frozen=True):
    """What a failed response had changed was taken back."""


class Review(Command, frozen=True):
    text: str


AnyCommand = (
    Acknowledge
    | Unacknowledge
    | Assign
    | Comment
    | Snooze
    | Unsnooze
    | Respond
    | Verify
    | FailResponse
    | RollBack
    | Review
)


def decide(incident: Incident, command: AnyCommand, now_ns: int) -> tuple[AnyEvent, ...]:
    """Raises NotApplicable."""
    by, why = command.by, command.why
    match command:
        case Acknowledge():
            _must_be_open(incident, "acknowledge")
            until_ns = now_ns + command.for_ns
            return (Acknowledged(at_ns=now_ns, by=by, why=why, owner=command.owner or by, until_ns=until_ns),)
        case Unacknowledge():
            held = incident.acknowledgement
            if held is None:
                raise NotApplicable(f"{_told(incident)}: nobody has acknowledged it")
            return (AcknowledgementEnded(at_ns=now_ns, by=by, why=why, owner=held.owner, expired=False),)
        case Assign():
            _must_not_be_reviewed(incident, "assign")
            return (Assigned(at_ns=now_ns, by=by, why=why, to=command.to),)
        case Comment():
            return (Commented(at_ns=now_ns, by=by, why=why, text=command.text),)
        case Snooze():
            _must_be_open(incident, "snooze")
            return (Snoozed(at_ns=now_ns, by=by, why=why, until_ns=now_ns + command.for_ns),)
        case Unsnooze():
            if not incident.snoozed_until_ns:
                raise NotApplicable(f"{_told(incident)}: it is not snoozed")
            return (SnoozeEnded(at_ns=now_ns, by=by, why=why, expired=False),)
        case Respond():
            return (_respond(incident, command, now_ns),)
        case Verify():
            _must_respond(incident, "verify")
            return (Verified(at_ns=now_ns, by=by, why=why),)
        case FailResponse():
            _must_respond(incident, "call failed")
            return (ResponseFailed(at_ns=now_ns, by=by, why=why),)
        case RollBack():
            if incident.response is None or incident.response.phase is not Phase.FAILED:
                raise NotApplicable(f"{_told(incident)}: only a response that has failed is rolled back")
            return (RolledBack(at_ns=now_ns, by=by, why=why),)
        case Review():
            if incident.state not in ENDED:
                raise NotApplicable(f"{_told(incident)}: review it when it is resolved; until then comment on it")
            return (Reviewed(at_ns=now_ns, by=by, why=why, text=command.text),)
        case _:
            assert_never(command)


def expire(incident: Incident, now_ns: int) -> tuple[AnyEvent, ...]:
    """What has run out by now, at the time at which it did, whenever that is noticed; but never before the last event,
    so that a timeline is in the order of its times."""
    events: list[AnyEvent] = []
    held = incident.acknowledgement
    if held and held.until_ns <= now_ns:
        at_ns = max(held.until_ns, incident.updated_ns)
        events.append(AcknowledgementEnded(at_ns=at_ns, by=CLOCK, owner=held.owner, expired=True))
    if 0 < incident.snoozed_until_ns <= now_ns:
        at_ns = max(incident.snoozed_until_ns, incident.updated_ns)
        events.append(SnoozeEnded(at_ns=at_ns, by=CLOCK, expired=True))
    return tuple(sorted(events, key=lambda event: event.at_ns))


def holds_repeats(incident: Incident, now_ns: int) -> str:
    """Why neither repeats nor escalation go out for this incident now; "" where they do. News about it (an alert that
    joins, its end) are told all the same. Both are named: whichever ends first, the other goes on holding."""
    held, reasons = incident.acknowledgement, []
    if held and now_ns < held.until_ns:
        reasons.append(f"acknowledged by {held.owner} until {moment(held.until_ns)}")
    if now_ns < incident.snoozed_until_ns:
        reasons.append(f"snoozed until {moment(incident.snoozed_until_ns)}")
    return "; ".join(reasons)


def _respond(incident: Incident, command: Respond, now_ns: int) -> AnyEvent:
    _must_be_open(incident, "respond to")
    running = incident.response
    if running and running.phase is Phase.RUNNING:
        raise NotApplicable(f"{_told(incident)}: {running.by} is responding already ({running.action})")
    return Responding(at_ns=now_ns, by=command.by, why=command.why, action=command.action)


def _must_be_open(incident: Incident, verb: str) -> None:
    if incident.state in ENDED:
        raise NotApplicable(
            f"{_told(incident)} since {moment(incident.ended_ns)}: there is nothing left to {verb}; "
            "it can be commented on and reviewed"
        )


def _must_not_be_reviewed(incident: Incident, verb: str) -> None:
    if incident.state is State.REVIEWED:
        raise NotApplicable(f"{_told(incident)}: it is closed, nobody needs to {verb} it")


def _must_respond(incident: Incident, verb: str) -> None:
    if incident.state is not State.RESPONDING:
        raise NotApplicable(f"{_told(incident)}: no response runs that one could {verb}")


def _told(incident: Incident) -> str:
    return f"incident {incident.id} is {incident.state.value}"
