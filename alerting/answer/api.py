"""`/api/v1/oncall`: who is on call, shifts, overrides, calendars; and links to incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, field

from alerting.answer.calendar import calendar
from alerting.answer.calendar_import import read_calendar
from alerting.answer.link_routes import LinkRoutes
from alerting.answer.links import Permits
from alerting.answer.model import OnCallPlan, Override, Schedule
from alerting.answer.oncall import Shift, instant_ns, on_call, shifts
from alerting.answer.overrides import Overrides
from alerting.answer.schedule_files import read_local
from alerting.notify.message import rfc3339
from alerting.track.api import PATH as INCIDENTS
from alerting.track.bodies import API, Name
from alerting.track.tracker import NoIncident, Tracker
from collector.api.endpoint import JSON, Arguments, Endpoint, NotFound, Parameter, ParameterError
from collector.api.log_schema import TENANT
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import DEFAULT_TENANT

PATH = "/api/v1/oncall"
CALENDAR = "text/calendar"
_DAY_NS = 86_400_000_000_000
_MOST_DAYS = 400
_CALENDAR_BEFORE_NS, _CALENDAR_AFTER_NS = 14 * _DAY_NS, 90 * _DAY_NS

_SCHEDULE = Parameter("schedule", "Its name.", place="path", required=True)
_SHIFT: dict[str, Any] = {
    "type": "object",
    "required": ["start", "end", "user", "by"],
    "properties": {key: {"type": "string"} for key in ("start", "end", "user", "by")},
}


class OverrideBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    user: Annotated[Name, Meta(description="Who is on call instead.")]
    from_: Annotated[str, Meta(description="In the schedule's zone where no offset is named.")] = field(name="from")
    to: Annotated[str, Meta(description="Likewise.")]
    by: Annotated[Name, Meta(description="Who says so.")] = API


class OnCallApi:
    """`plan` gives the plan in force."""

    def __init__(
        self, plan: Callable[[], OnCallPlan], overrides: Overrides, links: LinkRoutes, tracker: Tracker, clock: Clock
    ) -> None:
        self._plan = plan
        self._overrides = overrides
        self._links = links
        self._tracker = tracker
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        shifts_answer = {"type": "object", "properties": {"shifts": {"type": "array", "items": _SHIFT}}}
        override = {"type": "object", "properties": {"id": {"type": "string"}}}
        return [
            Endpoint(
                PATH,
                "Who is on call",
                "On each schedule of the tenant.",
                (Parameter("at", "When; now if absent."), TENANT),
                {JSON: {"type": "object", "properties": {"schedules": {"type": "array"}}}},
                self.now,
            ),
            Endpoint(
                f"{PATH}/{{schedule}}",
                "Shifts of a schedule",
                f"From start (now) to end (two weeks later), {_MOST_DAYS} days at most; with its overrides.",
                (
                    _SCHEDULE,
                    Parameter("start", "Now if absent."),
                    Parameter("end", "Two weeks later if absent."),
                    TENANT,
                ),
                {JSON: shifts_answer},
                self.shifts,
            ),
            Endpoint(
                f"{PATH}/{{schedule}}/calendar.ics",
                "A schedule as a calendar",
                "iCalendar: the last two weeks and the coming 90 days.",
                (_SCHEDULE, TENANT),
                {CALENDAR: {"type": "string"}},
                self.calendar,
            ),
            Endpoint(
                f"{PATH}/{{schedule}}/feed",
                "The address to subscribe to",
                "Of the same calendar, for programs that can't send a token: it holds a signed one.",
                (_SCHEDULE, TENANT),
                {JSON: {"type": "object", "properties": {"url": {"type": "string"}}}},
                self.feed,
            ),
            Endpoint(
                f"{PATH}/{{schedule}}/overrides",
                "Override a schedule",
                "Somebody else is on call for a while.",
                (_SCHEDULE, TENANT),
                {JSON: override},
                self.override,
                method="POST",
                body=OverrideBody,
            ),
            Endpoint(
                f"{PATH}/{{schedule}}/overrides/calendar",
                "Take overrides from a calendar",
                "The body is iCalendar; each event puts the user of its summary on call. All of them or none.",
                (_SCHEDULE, Parameter("by", "Who says so."), TENANT),
                {
                    JSON: {
                        "type": "object",
                        "properties": {"timezone": {"type": "string"}, "overrides": {"type": "array"}},
                    }
                },
                self.take_calendar,
                method="POST",
            ),
            Endpoint(
                f"{PATH}/{{schedule}}/overrides/{{id}}",
                "Take an override back",
                "One that was made over this API; those of files are taken back there.",
                (_SCHEDULE, Parameter("id", "Of the override.", place="path", required=True), TENANT),
                {JSON: {"type": "object"}},
                self.take_back,
                method="DELETE",
            ),
            Endpoint(
                f"{INCIDENTS}/{{id}}/link",
                "A signed link to an incident's page",
                "Whoever opens it may do what it permits, without a token, until it expires.",
                (
                    Parameter("id", "Of the incident.", place="path", required=True),
                    Parameter("permits", "What.", {"enum": [*_FOR_INCIDENTS], "default": Permits.ANSWER}),
                    TENANT,
                ),
                {JSON: {"type": "object", "properties": {"url": {"type": "string"}}}},
                self.link,
            ),
        ]

    def calendar_of(self, tenant: str, name: str) -> bytes | None:
        plan = self._plan()
        schedule = plan.schedules.get((tenant, name))
        if schedule is None:
            return None
        now_ns = self._clock.now_ns()
        found = self._shifts(schedule, now_ns - _CALENDAR_BEFORE_NS, now_ns + _CALENDAR_AFTER_NS)
        return calendar(schedule, found, plan.users, now_ns)

    async def now(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        at_ns = arguments.time("at", now_ns, now_ns)
        tenant = _tenant(arguments)
        schedules = [one for (owner, _), one in sorted(self._plan().schedules.items()) if owner == tenant]
        return _json({"at": rfc3339(at_ns), "schedules": [self._now(schedule, at_ns) for schedule in schedules]})

    async def shifts(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        now_ns = self._clock.now_ns()
        start_ns = arguments.time("start", now_ns, now_ns)
        end_ns = arguments.time("end", start_ns + 14 * _DAY_NS, now_ns)
        if not 0 < end_ns - start_ns <= _MOST_DAYS * _DAY_NS:
            raise ParameterError("end", "will not do", f"a time after start, at most {_MOST_DAYS} days later")
        plan = self._plan()
        further = self._overrides.of(schedule.tenant, schedule.name)
        rows = [_shift(shift, plan, schedule.tenant) for shift in self._shifts(schedule, start_ns, end_ns)]
        overrides = [
            _override(one) for one in (*schedule.overrides, *further) if one.end_ns > start_ns and one.start_ns < end_ns
        ]
        zone = schedule.timezone.key
        return _json({"schedule": schedule.name, "timezone": zone, "shifts": rows, "overrides": overrides})

    async def calendar(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        return web.Response(
            body=self.calendar_of(schedule.tenant, schedule.name), content_type=CALENDAR, charset="utf-8"
        )

    async def feed(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        return _json({"url": self._links.calendar_url(schedule.tenant, schedule.name)})

    async def override(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        body = await arguments.body(OverrideBody)
        if body.user not in self._users(schedule.tenant):
            known = ", ".join(sorted(self._users(schedule.tenant)))
            raise ParameterError("user", f"there is no user {body.user[:40]!r}", f"one of {known}")
        start_ns, end_ns = (_edge(name, text, schedule) for name, text in (("from", body.from_), ("to", body.to)))
        if end_ns <= start_ns:
            raise ParameterError("to", "an override ends after it begins", f"a time after {rfc3339(start_ns)}")
        wanted = Override(body.user, start_ns, end_ns, origin=body.by)
        made = self._overrides.add(schedule.tenant, schedule.name, wanted, self._clock.now_ns())
        return _json({**_override(made), "timezone": schedule.timezone.key})

    async def take_calendar(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        origin = arguments.text("by", API)
        try:
            text = (await arguments.request.read()).decode()
            wanted = read_calendar(text, schedule.timezone, self._users(schedule.tenant), origin)
        except (UnicodeDecodeError, Reject) as fault:
            raise ParameterError("body", str(fault), "a calendar (RFC 5545) in UTF-8") from None
        made = self._overrides.add_all(schedule.tenant, schedule.name, wanted, self._clock.now_ns())
        return _json({"timezone": schedule.timezone.key, "overrides": [_override(one) for one in made]})

    async def take_back(self, arguments: Arguments) -> web.Response:
        schedule = self._schedule(arguments)
        id_ = arguments.path("id")
        if not self._overrides.remove(schedule.tenant, schedule.name, id_):
            raise NotFound(f"there is no override {id_[:40]} of {schedule.name} that was made over the API")
        return _json({"removed": id_})

    async def link(self, arguments: Arguments) -> web.Response:
        permits = Permits(arguments.choice("permits", _FOR_INCIDENTS, Permits.ANSWER))
        tenant, id_ = _tenant(arguments), arguments.path("id")
        try:
            self._tracker.get(tenant, id_)
        except NoIncident as fault:
            raise NotFound(str(fault)) from None
        return _json({"url": self._links.incident_url(tenant, id_, permits)})

    # Inside -----------------------------------------------------------------------------------------------------

    def _schedule(self, arguments: Arguments) -> Schedule:
        tenant, name = _tenant(arguments), arguments.path("schedule")
        schedules = self._plan().schedules
        if (tenant, name) not in schedules:
            known = ", ".join(sorted(one for owner, one in schedules if owner == tenant)) or "none"
            raise NotFound(f"there is no schedule {name[:60]!r}; known are: {known}")
        return schedules[tenant, name]

    def _users(self, tenant: str) -> set[str]:
        return {name for owner, name in self._plan().users if owner == tenant}

    def _shifts(self, schedule: Schedule, start_ns: int, end_ns: int) -> list[Shift]:
        return shifts(schedule, start_ns, end_ns, self._overrides.of(schedule.tenant, schedule.name))

    def _now(self, schedule: Schedule, at_ns: int) -> dict[str, Any]:
        plan = self._plan()
        now = on_call(schedule, at_ns, self._overrides.of(schedule.tenant, schedule.name))
        ahead = self._shifts(schedule, at_ns, at_ns + 35 * _DAY_NS)
        following = {"until": rfc3339(ahead[0].end_ns), "next": ahead[1].user} if len(ahead) > 1 else {}
        named = _full_name(plan, schedule.tenant, now.user)
        return {"schedule": schedule.name, "timezone": schedule.timezone.key, "user": now.user, **named} | (
            {"by": now.by, **following}
        )


_FOR_INCIDENTS = (Permits.ANSWER, Permits.ACKNOWLEDGE, Permits.SNOOZE, Permits.COMMENT)


def _edge(name: str, text: str, schedule: Schedule) -> int:
    try:
        return instant_ns(read_local(text), schedule.timezone)
    except (Reject, OverflowError) as fault:
        raise ParameterError(name, str(fault), "a time such as 2026-01-31T09:00, in the schedule's zone") from None


def _shift(shift: Shift, plan: OnCallPlan, tenant: str) -> dict[str, Any]:
    named = _full_name(plan, tenant, shift.user)
    return {"start": rfc3339(shift.start_ns), "end": rfc3339(shift.end_ns), "user": shift.user, **named, "by": shift.by}


def _full_name(plan: OnCallPlan, tenant: str, user: str) -> dict[str, str]:
    known = plan.users.get((tenant, user))
    return {"full_name": known.name} if known and known.name else {}


def _override(override: Override) -> dict[str, Any]:
    view = {
        "id": override.id,
        "user": override.user,
        "start": rfc3339(override.start_ns),
        "end": rfc3339(override.end_ns),
        "by": override.origin,
    }
    return {name: value for name, value in view.items() if value}


def _tenant(arguments: Arguments) -> str:
    return arguments.text("tenant", DEFAULT_TENANT)


def _json(body: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type=JSON)
