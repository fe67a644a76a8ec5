"""What an incident is: the events on its timeline, and the state that they add up to.

    firing -> notified -> acknowledged -> responding -> verified -> resolved -> reviewed

A timeline is only ever appended to. Whatever an incident looks like is a pure fold over it (`fold.py`); the copy of
that state in the database is there to be looked up, and could be made again from the events at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from deckwatch.wire.model import Labels

RULES = "rules"
"""Who: alerts began or ended."""
CLOCK = "clock"
"""Who: a time that somebody had set has come."""
DELIVERY = "delivery"
"""Who: a receiver answered, or didn't."""
ESCALATION = "escalation"
"""Who: a step of an escalation policy was due."""
NOT_PEOPLE = (RULES, CLOCK, DELIVERY, ESCALATION)


class State(StrEnum):
    """How far an incident has come. The first five are open: an alert of it fires."""

    FIRING = "firing"
    NOTIFIED = "notified"  # a receiver took a message about it
    ACKNOWLEDGED = "acknowledged"  # somebody owns it
    RESPONDING = "responding"  # a response runs
    VERIFIED = "verified"  # the response has worked, as far as its check can tell; alerts fire still
    RESOLVED = "resolved"  # its last alert has ended
    REVIEWED = "reviewed"  # somebody has written down what was learnt


OPEN = (State.FIRING, State.NOTIFIED, State.ACKNOWLEDGED, State.RESPONDING, State.VERIFIED)
ENDED = (State.RESOLVED, State.REVIEWED)


# Events -------------------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """`by`: a person's name, or one of RULES, CLOCK, DELIVERY, ESCALATION. `why` is for people."""

    at_ns: int
    by: str
    why: str = ""


class Opened(Event, frozen=True, tag="opened"):
    key: Labels  # the labels that its alerts share, by which they were put together
    rule: str  # alertname of the first alert
    team: str = ""


class AlertRef(msgspec.Struct, frozen=True):
    fingerprint: str
    labels: Labels
    annotations: Labels = ()


class AlertsJoined(Event, frozen=True, tag="alerts joined"):
    """Alerts began to fire: those of one evaluation are one event, since a storm brings thousands."""

    alerts: tuple[AlertRef, ...]


class AlertsResolved(Event, frozen=True, tag="alerts resolved"):
    alerts: tuple[AlertRef, ...]


class Notified(Event, frozen=True, tag="notified"):
    """A receiver took a message: its receipt."""

    receiver: str
    target: str = ""  # as it may be shown
    code: int = 0
    attempts: int = 1
    latency_s: float = 0.0  # of the last try
    key: str = ""  # of the message


class NotNotified(Event, frozen=True, tag="not notified"):
    """Somebody was to be told and was not; `why` says why."""

    receiver: str
    target: str = ""
    code: int = 0
    attempts: int = 0
    key: str = ""


class Acknowledged(Event, frozen=True, tag="acknowledged"):
    owner: str
    until_ns: int


class AcknowledgementEnded(Event, frozen=True, tag="acknowledgement ended"):
    owner: str
    expired: bool  # False: given back


class Assigned(Event, frozen=True, tag="assigned"):
    to: str


class Commented(Event, frozen=True, tag="commented"):
    text: str


class Snoozed(Event, frozen=True, tag="snoozed"):
    until_ns: int


class SnoozeEnded(Event, frozen=True, tag="snooze ended"):
    expired: bool


class EscalationStarted(Event, frozen=True, tag="escalation started"):
    policy: str


class Escalated(Event, frozen=True, tag="escalated"):
    """`receivers` were told; `targets` says in the words of the policy whom that meant (`schedule web: alice`)."""

    policy: str
    step: int  # from 0
    turn: int  # 0, then the repeats
    receivers: tuple[str, ...]
    targets: tuple[str, ...]


class EscalationStopped(Event, frozen=True, tag="escalation stopped"):
    policy: str


class Responding(Event, frozen=True, tag="responding"):
    action: str


class Verified(Event, frozen=True, tag="verified"):
    pass


class ResponseFailed(Event, frozen=True, tag="response failed"):
    pass


class RolledBack(Event, frozen=True, tag="rolled back"):
    pass


class Resolved(Event, frozen=True, tag="resolved"):
    pass


class Reopened(Event, frozen=True, tag="reopened"):
    pass


class Reviewed(Event, frozen=True, tag="reviewed"):
    text: str


AnyEvent = (
    Opened
    | AlertsJoined
    | AlertsResolved
    | Notified
    | NotNotified
    | Acknowledged
    | AcknowledgementEnded
    | Assigned
    | Commented
    | Snoozed
    | SnoozeEnded
    | EscalationStarted
    | Escalated
    | EscalationStopped
    | Responding
    | Verified
    | ResponseFailed
    | RolledBack
    | Resolved
    | Reopened
    | Reviewed
)


# State --------------------------------------------------------------------------------------------------------


class IncidentAlert(msgspec.Struct, frozen=True, array_like=True):
    labels: Labels
    annotations: Labels
    joined_ns: int
    ended_ns: int = 0  # 0: it fires
    times: int = 1  # how often it began to fire in this incident


class Acknowledgement(msgspec.Struct, frozen=True):
    owner: str
    since_ns: int
    until_ns: int


class Escalation(msgspec.Struct, frozen=True):
    """`held_ns`: how long its clock stood still since it began, the present hold not counted. `asked`: receivers of the
    step that was taken last; `reached`: one of them took a message since; `failed`: those that won't."""

    policy: str
    since_ns: int
    held_ns: int = 0
    done: Mapping[int, int] = {}  # step -> its last turn
    asked: tuple[str, ...] = ()
    reached: bool = False
    failed: tuple[str, ...] = ()

    @property
    def nobody_reached(self) -> bool:
        """The last step has come to nothing: it named nobody, or all that it named have refused."""
        return bool(self.done) and not self.reached and {*self.asked} <= {*self.failed}


class Phase(StrEnum):
    RUNNING = "running"
    VERIFIED = "verified"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


class Response(msgspec.Struct, frozen=True):
    action: str
    by: str
    since_ns: int
    phase: Phase = Phase.RUNNING


class Period(msgspec.Struct, frozen=True):
    """From opening or reopening to the end: what the times to acknowledge and to resolve are measured in."""

    since_ns: int
    acknowledged_ns: int = 0
    resolved_ns: int = 0
    touched: bool = False  # a person or a response did something about it

    @property
    def ended(self) -> bool:
        return self.resolved_ns > 0


class Measured(msgspec.Struct, frozen=True):
    """What statistics are computed from: kept apart, so that those of a year read no labels of alerts."""

    rule: str
    team: str
    periods: tuple[Period, ...]
    flaps: int


class Incident(msgspec.Struct, frozen=True):
    id: str
    tenant: str
    key: Labels
    rule: str
    team: str
    opened_ns: int
    updated_ns: int  # of its last event
    events: int
    alerts: Mapping[str, IncidentAlert] = {}  # by fingerprint
    periods: tuple[Period, ...] = ()  # the last one is that of now
    ended_ns: int = 0
    notified_ns: int = 0  # first message about this period that was taken
    acknowledgement: Acknowledgement | None = None
    snoozed_until_ns: int = 0
    held_since_ns: int = 0  # since when repeats and escalation are held; 0: they are not
    assignee: str = ""
    untold: Mapping[str, str] = {}  # receiver -> why the last message to it did not arrive
    escalation: Escalation | None = None
    called: tuple[str, ...] = ()  # receivers that escalations told, and that are to be told of the end
    response: Response | None = None
    reviewed_ns: int = 0
    review: str = ""

    @property
    def state(self) -> State:
        if self.ended_ns:
            return State.REVIEWED if self.reviewed_ns else State.RESOLVED
        phase = self.response.phase if self.response else None
        if phase is Phase.VERIFIED:
            return State.VERIFIED
        if phase is Phase.RUNNING:
            return State.RESPONDING
        if self.acknowledgement:
            return State.ACKNOWLEDGED
        return State.NOTIFIED if self.notified_ns else State.FIRING

    @property
    def firing(self) -> tuple[str, ...]:
        """Fingerprints."""
        return tuple(fingerprint for fingerprint, alert in self.alerts.items() if not alert.ended_ns)

    @property
    def flaps(self) -> int:
        """How often an alert fired again within the incident."""
        return sum(alert.times - 1 for alert in self.alerts.values())

    @property
    def measured(self) -> Measured:
        return Measured(self.rule, self.team, self.periods, self.flaps)

    @property
    def title(self) -> str:
        """`HighErrorRate {container="web"}`"""
        more = ", ".join(f'{name}="{value}"' for name, value in self.key if name != "alertname")
        return f"{self.rule} {{{more}}}" if more else self.rule
