"""On-call files -> OnCallPlan, or every fault of every file.

They are files of their own, not parts of rule files: those stay what promtool reads, and whoever swaps a shift need
not touch a rule. Top-level keys: `tenant`, `users`, `schedules`, `escalation_policies`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import yaml

from alerting.answer.model import Kind, OnCallPlan, Policy, Schedule, Step, User, Whom
from alerting.answer.schedule_files import ScheduleReader
from alerting.notify.matchers import parse_matchers
from alerting.rules.document import Document
from alerting.rules.files import BadRules, read_rule_text, rule_paths
from alerting.rules.model import RuleFault
from collector.metrics.selector import Matcher
from deckwatch.wire.model import DEFAULT_TENANT

_TOP = ("tenant", "users", "schedules", "escalation_policies")
_USER = ("name", "full_name", "email", "receivers")
_POLICY = ("name", "matchers", "steps")
_STEP = ("after", "notify", "repeat")
_REPEAT = ("every", "times")
_LEAST_EVERY_NS = 60_000_000_000
_MOST_TIMES = 1000

Named = TypeVar("Named", User, Schedule, Policy)


def load_plan(globs: Iterable[str]) -> OnCallPlan:
    """Raises BadRules with all faults of all files."""
    users: dict[tuple[str, str], User] = {}
    schedules: dict[tuple[str, str], Schedule] = {}
    policies: list[Policy] = []
    faults: list[RuleFault] = []
    readers = [_FileReader(path) for path in rule_paths(globs)]
    for reader in readers:
        for user_node, user in reader.users:
            reader.once(user_node, users, user.id, user, "user")
    for reader in readers:
        reader.read_schedules({name for tenant, name in users if tenant == reader.tenant})
        for node, schedule in reader.schedules:
            reader.once(node, schedules, schedule.name, schedule, "schedule")
    for reader in readers:
        known = {
            Kind.USER: {name for tenant, name in users if tenant == reader.tenant},
            Kind.SCHEDULE: {name for tenant, name in schedules if tenant == reader.tenant},
        }
        taken = {policy.name for policy in policies if policy.tenant == reader.tenant}
        policies += reader.read_policies(known, taken)
        faults += reader.faults
    if faults:
        raise BadRules(sorted(faults, key=lambda fault: (fault.path, fault.line, fault.column)))
    calendars = tuple(path for reader in readers for path in reader.calendars)
    return OnCallPlan(users, schedules, tuple(policies), calendars)


class _FileReader:
    """One file, read in three rounds: schedules name users, policies name both, whichever file they stand in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tenant = DEFAULT_TENANT
        self.faults: list[RuleFault] = []
        self.users: list[tuple[yaml.Node, User]] = []
        self.schedules: list[tuple[yaml.Node, Schedule]] = []
        self.calendars: list[str] = []
        self._policy_nodes: list[yaml.Node] = []
        self._schedule_nodes: list[yaml.Node] = []
        try:
            self._doc = Document(str(path), read_rule_text(path))
        except BadRules as bad:
            self._doc = Document(str(path), "")
            self.faults = list(bad.faults)
            return
        self.faults = self._doc.faults
        if self._doc.root is not None:
            self._top(self._doc.root)

    def once(self, node: yaml.Node, known: dict[tuple[str, str], Named], name: str, value: Named, what: str) -> None:
        if (self.tenant, name) in known:
            self._doc.fault(node, f'the {what} "{name}" is there already, in this file or another one')
        known[self.tenant, name] = value

    def read_schedules(self, users: set[str]) -> None:
        reader = ScheduleReader(self._doc, self._path, self.tenant, users)
        for node in self._schedule_nodes:
            schedule = reader.schedule(node)
            if schedule is not None:
                self.schedules.append((node, schedule))
        self.calendars = reader.calendars

    def read_policies(self, known: dict[Kind, set[str]], taken: set[str]) -> list[Policy]:
        found: list[Policy] = []
        for node in self._policy_nodes:
            policy = self._policy(node, known)
            if policy is not None and policy.name in taken:
                self._doc.fault(
                    node, f'the escalation policy "{policy.name}" is there already, here or in another file'
                )
            elif policy is not None:
                taken.add(policy.name)
                found.append(policy)
        return found

    def _top(self, root: yaml.Node) -> None:
        doc = self._doc
        fields = doc.mapping(root, "an on-call file", _TOP)
        self.tenant = doc.text(fields.get("tenant"), "tenant") or DEFAULT_TENANT
        for node in doc.items(fields.get("users"), "users"):
            user = self._user(node)
            if user is not None:
                self.users.append((node, user))
        self._schedule_nodes = doc.items(fields.get("schedules"), "schedules")
        self._policy_nodes = doc.items(fields.get("escalation_policies"), "escalation_policies")

    def _user(self, node: yaml.Node) -> User | None:
        doc = self._doc
        fields = doc.mapping(node, "a user", _USER)
        name = doc.text(fields.get("name"), "name")
        if not name:
            doc.fault(node, "a user needs a name")
            return None
        receivers = tuple(doc.text(one, "a receiver") for one in doc.items(fields.get("receivers"), "receivers"))
        full_name, email = doc.text(fields.get("full_name"), "full_name"), doc.text(fields.get("email"), "email")
        return User(name, full_name, email, receivers)

    def _policy(self, node: yaml.Node, known: dict[Kind, set[str]]) -> Policy | None:
        doc = self._doc
        fields = doc.mapping(node, "an escalation policy", _POLICY)
        name = doc.text(fields.get("name"), "name")
        if not name:
            doc.fault(node, "an escalation policy needs a name")
            return None
        with doc.rule(f'escalation policy "{name}"'):
            matchers = self._matchers(fields.get("matchers"))
            nodes = doc.items(fields.get("steps"), "steps")
            if not nodes:
                doc.fault(node, "steps are missing: whom to tell, and after how long")
            steps = [step for step in (self._step(one, known) for one in nodes) if step is not None]
            for one, earlier, later in zip(nodes[1:], steps, steps[1:], strict=False):
                if later.after_ns < earlier.after_ns:
                    doc.fault(one, "a step comes after the one before it: `after` counts from the incident's beginning")
            return Policy(name, matchers, tuple(steps), self.tenant)

    def _matchers(self, node: yaml.Node | None) -> tuple[Matcher, ...]:
        texts = [(one, self._doc.text(one, "a matcher")) for one in self._doc.items(node, "matchers")]
        found = [self._doc.checked(one, parse_matchers, text) for one, text in texts]
        return tuple(matcher for some in found if some is not None for matcher in some)

    def _step(self, node: yaml.Node, known: dict[Kind, set[str]]) -> Step | None:
        doc = self._doc
        fields = doc.mapping(node, "a step", _STEP)
        after_ns = doc.duration_ns(fields.get("after"), "after")
        targets = [self._whom(one, known) for one in doc.items(fields.get("notify"), "notify")]
        if not targets:
            doc.fault(node, "a step notifies somebody: notify: [{schedule: web}, {user: alice}, {receiver: pager}]")
        every_ns, times = self._repeat(fields["repeat"]) if "repeat" in fields else (0, 0)
        return Step(after_ns, tuple(whom for whom in targets if whom is not None), every_ns, times)

    def _repeat(self, node: yaml.Node) -> tuple[int, int]:
        fields = self._doc.mapping(node, "repeat", _REPEAT)
        every_ns = self._doc.duration_ns(fields.get("every"), "every")
        times = self._doc.integer(fields.get("times"), "times")
        if every_ns < _LEAST_EVERY_NS:
            self._doc.fault(node, "repeat needs `every`, of 1m at least")
        if not 1 <= times <= _MOST_TIMES:
            self._doc.fault(node, f"repeat needs `times`, from 1 to {_MOST_TIMES}")
        return every_ns, times

    def _whom(self, node: yaml.Node, known: dict[Kind, set[str]]) -> Whom | None:
        doc = self._doc
        fields = doc.mapping(node, "an entry of notify", tuple(Kind))
        if len(fields) != 1:
            doc.fault(node, "an entry of notify names one of schedule, user, receiver")
            return None
        kind = Kind(next(iter(fields)))
        name = doc.text(fields[kind], kind.value)
        if kind in known and name not in known[kind]:
            listed = ", ".join(sorted(known[kind])) or "none"
            doc.fault(fields[kind], f'there is no {kind.value} "{name}"; known are: {listed}')
        return Whom(kind, name)


__all__ = ["BadRules", "load_plan"]
