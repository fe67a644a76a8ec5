"""Steps of escalation policies are taken when they are due: the messages join the outbox in the transaction that puts
the step on the incident's timeline, so that a kill at any moment neither skips a step nor repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from alerting.answer.escalation import Turn, next_turn_ns, policy_of, turns_due
from alerting.answer.model import NO_PLAN, Kind, OnCallPlan, Override, Policy, Whom
from alerting.answer.oncall import on_call
from alerting.track.commands import holds_repeats
from alerting.track.events import (
    ESCALATION,
    AnyEvent,
    Assigned,
    Escalated,
    EscalationStarted,
    EscalationStopped,
    NotNotified,
)
from alerting.track.model import Incident
from alerting.track.tracker import Tracker

Tell = Callable[[Incident, str, str, int], str]
"""(incident, receiver, reason, now) -> why it can't be told; "" where the message is in the outbox. Part of the
transaction."""
OverridesOf = Callable[[str, str], Sequence[Override]]
"""(tenant, schedule) -> overrides that stand in no file."""


class Asked(msgspec.Struct, frozen=True):
    """Whom an entry of a step means now. `why_nobody` where there are no receivers."""

    said: str
    receivers: tuple[str, ...] = ()
    why_nobody: str = ""


class Escalator:
    def __init__(self, tracker: Tracker, tell: Tell, overrides: OverridesOf) -> None:
        self._tracker = tracker
        self._tell = tell
        self._overrides = overrides
        self.plan: OnCallPlan = NO_PLAN
        tracker.escalate_by(self.next_ns, self._over, self._assigned)

    def take(self, plan: OnCallPlan, now_ns: int) -> None:
        """This plan from now on. What has been done under a policy's name stays done."""
        self.plan = plan
        self._tracker.plan_again(now_ns)

    def next_ns(self, incident: Incident, now_ns: int) -> int | None:
        policy, running = policy_of(incident, self.plan.policies), incident.escalation
        if policy is None:
            return None if running is None else now_ns
        if running is None or running.policy != policy.name:
            return now_ns
        return next_turn_ns(incident, policy, now_ns)

    def tick(self, now_ns: int) -> int:
        """Everything that is due by now. How many incidents that concerned. One that fails holds up no other: what
        went wrong is raised at the end, as an ExceptionGroup."""
        store = self._tracker.store
        due = [(incident.tenant, incident.id) for incident in store.due(now_ns)]
        wrong: list[Exception] = []
        for tenant, id_ in due:
            try:
                with store.database.transaction():
                    self._look(self._tracker.get(tenant, id_), now_ns)
            except Exception as error:
                wrong.append(error)
        if wrong:
            raise ExceptionGroup("incidents that were due", wrong)
        return len(due)

    def asked(self, tenant: str, whom: Whom, now_ns: int) -> Asked:
        if whom.kind is Kind.RECEIVER:
            return Asked(str(whom), (whom.name,))
        if whom.kind is Kind.USER:
            return self._user(tenant, whom.name, str(whom))
        schedule = self.plan.schedules.get((tenant, whom.name))
        if schedule is None:
            return Asked(str(whom), why_nobody="there is no such schedule any more")
        now = on_call(schedule, now_ns, self._overrides(tenant, whom.name))
        if not now.user:
            return Asked(str(whom), why_nobody="nobody is on call")
        return self._user(tenant, now.user, f"{whom}: {now.user}")

    # Inside -----------------------------------------------------------------------------------------------------

    def _look(self, incident: Incident, now_ns: int) -> None:
        incident = self._tracker.settled(incident, now_ns)
        if not incident.ended_ns and not holds_repeats(incident, now_ns):
            incident = self._escalate(incident, now_ns)
        self._tracker.store.set_due(incident.id, self._tracker.due_ns(incident, now_ns))

    def _escalate(self, incident: Incident, now_ns: int) -> Incident:
        policy, running = policy_of(incident, self.plan.policies), incident.escalation
        if running is not None and (policy is None or policy.name != running.policy):
            why = f"{policy.name} takes it over" if policy else "there is no such policy any more"
            event = EscalationStopped(at_ns=now_ns, by=ESCALATION, why=why, policy=running.policy)
            incident = self._tracker.append(incident, [event], now_ns)
            running = None
        if policy is None:
            return incident
        if running is None:
            begun = EscalationStarted(at_ns=now_ns, by=ESCALATION, policy=policy.name)
            incident = self._tracker.append(incident, [begun], now_ns)
        return self._take_turns(incident, policy, now_ns)

    def _take_turns(self, incident: Incident, policy: Policy, now_ns: int) -> Incident:
        """Until none is due: a step that names nobody makes the next one due."""
        while turns := turns_due(incident, policy, now_ns):
            for turn in turns:
                incident = self._tracker.append(incident, self._turn(incident, policy, turn, now_ns), now_ns)
        return incident

    def _turn(self, incident: Incident, policy: Policy, turn: Turn, now_ns: int) -> list[AnyEvent]:
        asked = [self.asked(incident.tenant, whom, now_ns) for whom in policy.steps[turn.step].notify]
        reason = f"escalation {policy.name}, step {turn.step + 1}"
        untold: list[tuple[str, str]] = [(one.said, one.why_nobody) for one in asked if not one.receivers]
        told: list[str] = []
        for receiver in dict.fromkeys(receiver for one in asked for receiver in one.receivers):
            why = self._tell(incident, receiver, reason, now_ns)
            if why:
                untold.append((receiver, why))
            else:
                told.append(receiver)
        said = tuple(one.said for one in asked)
        step = Escalated(
            at_ns=now_ns,
            by=ESCALATION,
            policy=policy.name,
            step=turn.step,
            turn=turn.number,
            receivers=tuple(told),
            targets=said,
        )
        return [step, *_missed(untold, now_ns)]

    def _user(self, tenant: str, name: str, said: str) -> Asked:
        user = self.plan.users.get((tenant, name))
        if user is None or not user.receivers:
            why = "has no receivers" if user else "there is no such user any more"
            return Asked(said, why_nobody=f"{name}: {why}")
        return Asked(said, user.receivers)

    def _over(self, before: Incident, after: Incident, now_ns: int) -> None:
        """Whoever was called is told that it is over, those who have it acknowledged included."""
        for receiver in before.called:
            self._tell(after, receiver, "escalation: resolved", now_ns)

    def _assigned(self, incident: Incident, event: Assigned, now_ns: int) -> list[AnyEvent]:
        """A user of the on-call files hears of it; any other name is just a name. Nobody tells himself."""
        user = self.plan.users.get((incident.tenant, event.to))
        if user is None or event.to == event.by:
            return []
        reason = f"assigned to {event.to} by {event.by}"
        answers = [(receiver, self._tell(incident, receiver, reason, now_ns)) for receiver in user.receivers]
        return _missed([(receiver, why) for receiver, why in answers if why], now_ns)


def _missed(untold: Iterable[tuple[str, str]], now_ns: int) -> list[AnyEvent]:
    return [NotNotified(at_ns=now_ns, by=ESCALATION, why=why, receiver=receiver) for receiver, why in untold]
