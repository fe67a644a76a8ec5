"""Who answers, when, and who is asked next: what on-call files say, once they have been read and found right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from collector.metrics.selector import Matcher
from deckwatch.wire.model import DEFAULT_TENANT

WEEK_MINUTES = 7 * 24 * 60


class User(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    email: str = ""
    receivers: tuple[str, ...] = ()  # of the notification configuration

    @property
    def shown(self) -> str:
        return self.name or self.id


class Window(msgspec.Struct, frozen=True):
    """A stretch of every week, in minutes of local time since Monday 00:00; `end` may lie in the week after."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        return self.start <= minute < self.end or minute + WEEK_MINUTES < self.end


class Layer(msgspec.Struct, frozen=True):
    """Users take turns of one length, beginning with the first one at `start` (local time). Outside of its windows a
    layer names nobody, though the turns go on; without windows it is there all the time."""

    name: str
    users: tuple[str, ...]
    start: datetime  # without zone: of the schedule's
    turn: timedelta
    end: datetime | None = None
    windows: tuple[Window, ...] = ()


class Override(msgspec.Struct, frozen=True):
    user: str
    start_ns: int
    end_ns: int
    id: str = ""  # of those that were made over the API
    origin: str = ""  # file or person


class Schedule(msgspec.Struct, frozen=True):
    """A later layer goes before an earlier one, an override before all of them."""

    name: str
    timezone: ZoneInfo
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    tenant: str = DEFAULT_TENANT


class Kind(StrEnum):
    SCHEDULE = "schedule"
    USER = "user"
    RECEIVER = "receiver"


class Whom(msgspec.Struct, frozen=True):
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


class Step(msgspec.Struct, frozen=True):
    """`after_ns`: of the escalation's own clock, which begins with the incident and stands still while somebody has
    it. `times` further turns, each `every_ns` behind the one before."""

    after_ns: int
    notify: tuple[Whom, ...]
    every_ns: int = 0
    times: int = 0


class Policy(msgspec.Struct, frozen=True):
    """For incidents of which an alert matches all of the matchers."""

    name: str
    matchers: tuple[Matcher, ...]
    steps: tuple[Step, ...]
    tenant: str = DEFAULT_TENANT


class OnCallPlan(msgspec.Struct, frozen=True):
    """All of the on-call files. Users, schedules and policies of one tenant know only those of their own; the first
    policy that takes an incident has it."""

    users: Mapping[tuple[str, str], User] = {}  # by tenant and id
    schedules: Mapping[tuple[str, str], Schedule] = {}  # by tenant and name
    policies: tuple[Policy, ...] = ()
    calendars: tuple[str, ...] = ()  # files that schedules take overrides from


NO_PLAN = OnCallPlan()
