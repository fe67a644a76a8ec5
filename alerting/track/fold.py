"""A timeline adds up to an incident. Pure, one event at a time, and total: what may happen when is `commands.py`'s
business; here every event that stands on a timeline counts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import assert_never

from msgspec.structs import replace

from alerting.track.events import (
    Acknowledged,
    AcknowledgementEnded,
    AlertsJoined,
    AlertsResolved,
    AnyEvent,
    Assigned,
    Commented,
    Escalated,
    EscalationStarted,
    EscalationStopped,
    Notified,
    NotNotified,
    Opened,
    Reopened,
    Resolved,
    Responding,
    ResponseFailed,
    Reviewed,
    RolledBack,
    Snoozed,
    SnoozeEnded,
    Verified,
)
from alerting.track.model import Acknowledgement, Escalation, Incident, IncidentAlert, Period, Phase, Response


def fold(id_: str, tenant: str, events: Iterable[AnyEvent]) -> Incident:
    """The first event must be the opening."""
    following = iter(events)
    first = next(following)
    if not isinstance(first, Opened):
        raise TypeError(f"the timeline of {id_} begins with {type(first).__name__}")
    return reduce(step, following, opened(id_, tenant, first))


def opened(id_: str, tenant: str, event: Opened) -> Incident:
    return Incident(
        id_,
        tenant,
        event.key,
        event.rule,
        event.team,
        opened_ns=event.at_ns,
        updated_ns=event.at_ns,
        events=1,
        periods=(Period(event.at_ns),),
    )


def step(incident: Incident, event: AnyEvent) -> Incident:
    after = replace(_changed(incident, event), updated_ns=event.at_ns, events=incident.events + 1)
    return _hold(incident, after, event.at_ns)


def _hold(before: Incident, after: Incident, at_ns: int) -> Incident:
    """The clock of the escalation stands still while somebody has the incident, or while it sleeps."""
    is_held = after.acknowledgement is not None or after.snoozed_until_ns > 0
    if is_held == (before.held_since_ns > 0):
        return after
    if is_held:
        return replace(after, held_since_ns=at_ns)
    escalation = after.escalation
    if escalation is not None:
        held_ns = at_ns - max(before.held_since_ns, escalation.since_ns)
        escalation = replace(escalation, held_ns=escalation.held_ns + held_ns)
    return replace(after, held_since_ns=0, escalation=escalation)


def _changed(incident: Incident, event: AnyEvent) -> Incident:
    match event:
        case AlertsJoined():
            return _joined(incident, event)
        case AlertsResolved():
            return _alerts_ended(incident, event)
        case Notified():
            return _notified(incident, event)
        case NotNotified():
            return _not_notified(incident, event)
        case Acknowledged():
            held = Acknowledgement(event.owner, event.at_ns, event.until_ns)
            return _touched(replace(incident, acknowledgement=held), acknowledged_ns=event.at_ns)
        case AcknowledgementEnded():
            return replace(incident, acknowledgement=None)
        case Assigned():
            return _touched(replace(incident, assignee=event.to))
        case Commented():
            return _touched(incident)
        case Snoozed():
            return _touched(replace(incident, snoozed_until_ns=event.until_ns))
        case SnoozeEnded():
            return replace(incident, snoozed_until_ns=0)
        case EscalationStarted():
            return replace(incident, escalation=Escalation(event.policy, event.at_ns))
        case Escalated():
            return _escalated(incident, event)
        case EscalationStopped():
            return replace(incident, escalation=None)
        case Responding():
            return _touched(replace(incident, response=Response(event.action, event.by, event.at_ns)))
        case Verified():
            return _phase(incident, Phase.VERIFIED)
        case ResponseFailed():
            return _phase(incident, Phase.FAILED)
        case RolledBack():
            return _phase(incident, Phase.ROLLED_BACK)
        case Resolved():
            return _resolved(incident, event.at_ns)
        case Reopened():
            return _reopened(incident, event.at_ns)
        case Reviewed():
            return replace(incident, reviewed_ns=event.at_ns, review=event.text)
        case Opened():
            return incident
        case _:
            assert_never(event)


def _joined(incident: Incident, event: AlertsJoined) -> Incident:
    """An alert that begins although a response was verified shows that it has not helped."""
    alerts = dict(incident.alerts)
    for one in event.alerts:
        known = alerts.get(one.fingerprint)
        times = known.times + 1 if known else 1
        alerts[one.fingerprint] = IncidentAlert(one.labels, one.annotations, event.at_ns, times=times)
    undone = incident.response is not None and incident.response.phase is Phase.VERIFIED
    return replace(incident, alerts=alerts, response=None if undone else incident.response)


def _alerts_ended(incident: Incident, event: AlertsResolved) -> Incident:
    alerts = dict(incident.alerts)
    for one in event.alerts:
        if one.fingerprint in alerts:
            alerts[one.fingerprint] = replace(alerts[one.fingerprint], ended_ns=event.at_ns)
    return replace(incident, alerts=alerts)


def _notified(incident: Incident, event: Notified) -> Incident:
    untold = {receiver: why for receiver, why in incident.untold.items() if receiver != event.receiver}
    escalation = incident.escalation
    if escalation is not None and event.receiver in escalation.asked:
        incident = replace(incident, escalation=replace(escalation, reached=True))
    if incident.ended_ns:  # the message that told of the end
        return replace(incident, untold=untold)
    return replace(incident, untold=untold, notified_ns=incident.notified_ns or event.at_ns)


def _not_notified(incident: Incident, event: NotNotified) -> Incident:
    """Only what a receiver answered counts as its failure: one that is muted can be called."""
    escalation = incident.escalation
    if escalation is not None and event.key and event.receiver in escalation.asked:
        escalation = replace(escalation, failed=(*escalation.failed, event.receiver))
    return replace(incident, untold={**incident.untold, event.receiver: event.why}, escalation=escalation)


def _escalated(incident: Incident, event: Escalated) -> Incident:
    escalation = incident.escalation
    if escalation is None or escalation.policy != event.policy:
        return incident
    called = tuple(dict.fromkeys((*incident.called, *event.receivers)))
    done = {**escalation.done, event.step: event.turn}
    taken = replace(escalation, done=done, asked=event.receivers, reached=False, failed=())
    return replace(incident, escalation=taken, called=called)


def _phase(incident: Incident, phase: Phase) -> Incident:
    return (
        incident if incident.response is None else replace(incident, response=replace(incident.response, phase=phase))
    )


def _resolved(incident: Incident, at_ns: int) -> Incident:
    """Whoever owns it or has it sleep keeps it so, up to the time that they gave: an alert that comes back a minute
    later is theirs still. The escalation is over; a reopening begins it anew."""
    last = replace(incident.periods[-1], resolved_ns=at_ns)
    return replace(incident, ended_ns=at_ns, periods=(*incident.periods[:-1], last), escalation=None, called=())


def _reopened(incident: Incident, at_ns: int) -> Incident:
    fresh = Period(at_ns, touched=incident.acknowledgement is not None)  # somebody is at it still
    return replace(incident, ended_ns=0, notified_ns=0, untold={}, periods=(*incident.periods, fresh), response=None)


def _touched(incident: Incident, *, acknowledged_ns: int = 0) -> Incident:
    """What is done after the end says nothing about how the period went."""
    last = incident.periods[-1]
    if last.ended:
        return incident
    noted = replace(last, touched=True, acknowledged_ns=last.acknowledged_ns or acknowledged_ns)
    return replace(incident, periods=(*incident.periods[:-1], noted))
