"""What can stand on an incident's timeline. Events are only ever appended; what they add up to is `model.py`'s."""

from __future__ import annotations

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
