"""What an incident is: the state that its timeline adds up to.

    firing -> notified -> acknowledged -> responding -> verified -> resolved -> reviewed

A timeline is only ever appended to. Whatever an incident looks like is a pure fold over it (`fold.py`); the copy of
that state in the database is there to be looked up, and could be made again from the events at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from deckwatch.wire.model import Labels


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
