"""`/api/v1/incidents`: listed, shown with their timelines, acted upon, measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from alerting.notify.matchers import all_match, parse_matchers
from alerting.track.bodies import VERBS, Verb
from alerting.track.commands import NotApplicable
from alerting.track.events import NOT_PEOPLE
from alerting.track.measures import Grouped, statistics
from alerting.track.model import ENDED, OPEN, Incident, State
from alerting.track.report import markdown
from alerting.track.settings import IncidentSettings
from alerting.track.store import Choice
from alerting.track.tracker import NoIncident, Tracker
from alerting.track.view import shown, shown_alerts, shown_timeline
from collector.api.endpoint import JSON, Arguments, Conflict, Endpoint, NotFound, Parameter, ParameterError
from collector.api.log_schema import COUNT, TENANT, time_range
from collector.metrics.selector import Matcher
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import MAX_NS
from deckwatch.wire.model import DEFAULT_TENANT

PATH = "/api/v1/incidents"
MARKDOWN = "text/markdown"
_MOST = 1000
_GROUPS = {"open": OPEN, "ended": ENDED}

_TIME = {"type": "string", "format": "date-time"}
_INCIDENT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "title", "state", "rule", "opened", "alerts_firing", "events"],
    "properties": {
        "id": {"type": "string", "description": "In the order of opening."},
        "title": {"type": "string"},
        "state": {"enum": [*State]},
        "rule": {"type": "string"},
        "team": {"type": "string"},
        "key": {"type": "object", "description": "The labels that its alerts share."},
        **dict.fromkeys(("opened", "ended", "notified", "acknowledged_until", "snoozed_until", "reviewed"), _TIME),
        "owner": {"type": "string", "description": "Who has acknowledged it."},
        "held": {"type": "string", "description": "Why neither repeats nor escalation go out."},
        **dict.fromkeys(("alerts_firing", "alerts", "flaps", "reopened", "events"), COUNT),
        "not_told": {"type": "array", "items": {"type": "object"}, "description": "Receivers that were not reached."},
        "periods": {"type": "array", "items": {"type": "object"}},
    },
}
_WHOLE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "incident": _INCIDENT,
        "alerts": {"type": "array", "items": {"type": "object"}},
        "timeline": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "kind", "by", "message"],
                "properties": {"at": _TIME, **{key: {"type": "string"} for key in ("kind", "by", "message", "why")}},
            },
        },
    },
}
_ID = Parameter("id", "Of the incident.", place="path", required=True)
_FILTER = Parameter("filter", 'Matchers that one of its alerts fulfils: {severity="critical", host=~"web.*"}')


class IncidentApi:
    def __init__(self, tracker: Tracker, settings: IncidentSettings, clock: Clock) -> None:
        self._tracker = tracker
        self._settings = settings
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                PATH,
                "List incidents",
                "Newest first.",
                (
                    Parameter("state", f"Separated by commas: open, ended, or {', '.join(State)}."),
                    Parameter("rule", "Of this rule (alertname)."),
                    Parameter("team", "Of this team (label team)."),
                    Parameter("owner", "Acknowledged by, or assigned to."),
                    _FILTER,
                    *time_range("all times"),
                    Parameter("limit", "At most so many.", {**COUNT, "default": 100, "maximum": _MOST}),
                    Parameter("cursor", "`next` of the page before."),
                    TENANT,
                ),
                {JSON: {"type": "object", "properties": {"incidents": {"type": "array", "items": _INCIDENT}}}},
                self.list,
            ),
            Endpoint(
                f"{PATH}/statistics",
                "Times to acknowledge and to resolve, and noise",
                "Of incidents that opened, or reopened, in the range; by default of the last 7 days.",
                (
                    Parameter("by", "A row for each of these.", {"enum": [*Grouped], "default": Grouped.RULE}),
                    *time_range("7 days ago"),
                    TENANT,
                ),
                {JSON: {"type": "object", "properties": {"statistics": {"type": "array"}}}},
                self.statistics,
            ),
            Endpoint(
                f"{PATH}/{{id}}",
                "Show an incident",
                "With its alerts and its timeline: the JSON export.",
                (_ID, TENANT),
                {JSON: _WHOLE},
                self.show,
            ),
            Endpoint(
                f"{PATH}/{{id}}/report.md",
                "Post-mortem",
                "In Markdown, with places for what only people know.",
                (_ID, TENANT),
                {MARKDOWN: {"type": "string"}},
                self.report,
            ),
            *(self._verb(verb) for verb in VERBS),
        ]

    async def list(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        limit = arguments.integer("limit", 100, 1, _MOST)
        choice = Choice(
            _tenant(arguments),
            states=_states(arguments),
            rule=arguments.text("rule"),
            team=arguments.text("team"),
            start_ns=arguments.time("start", 0, now_ns),
            end_ns=arguments.time("end", MAX_NS, now_ns),
            before=arguments.text("cursor"),
        )
        wanted = _wanted(arguments.text("owner"), _matchers(arguments))
        found = await asyncio.to_thread(self._found, choice, wanted, limit + 1)
        following = {"next": found[limit - 1].id} if len(found) > limit else {}
        return _json({"incidents": [shown(incident, now_ns) for incident in found[:limit]], **following})

    def _found(self, choice: Choice, wanted: Callable[[Incident], bool], limit: int) -> tuple[Incident, ...]:
        return tuple(islice(filter(wanted, self._tracker.store.chosen(choice)), limit))

    async def statistics(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        end_ns = arguments.time("end", now_ns + 1, now_ns)
        start_ns = arguments.time("start", end_ns - 7 * 86_400_000_000_000, now_ns)
        by = Grouped(arguments.choice("by", tuple(Grouped), Grouped.RULE))
        choice = Choice(_tenant(arguments), start_ns=start_ns, end_ns=end_ns)
        # In a thread: those of a year take a second, and alerts don't wait for it.
        measured = await asyncio.to_thread(self._tracker.store.measured, choice)
        rows = await asyncio.to_thread(statistics, measured, start_ns, end_ns, by)
        return _json({"statistics": rows})

    async def show(self, arguments: Arguments) -> web.Response:
        return _json(self.whole(self._get(arguments)))

    async def report(self, arguments: Arguments) -> web.Response:
        incident = self._get(arguments)
        text = markdown(incident, self._tracker.store.timeline(incident.id), self._clock.now_ns())
        return web.Response(text=text, content_type=MARKDOWN)

    def whole(self, incident: Incident) -> dict[str, Any]:
        return {
            "incident": shown(incident, self._clock.now_ns()),
            "alerts": shown_alerts(incident),
            "timeline": shown_timeline(self._tracker.store.timeline(incident.id)),
        }

    def _verb(self, verb: Verb) -> Endpoint:
        async def act(arguments: Arguments) -> web.Response:
            body = await arguments.body(verb.body)
            if body.by in NOT_PEOPLE:
                raise ParameterError("by", f"{body.by!r} is not you", "your name, or that of a program")
            try:
                command = body.command(self._settings)
            except Reject as fault:
                raise ParameterError("for", str(fault), "a duration such as 30m, 2h, 1d") from None
            now_ns = self._clock.now_ns()
            try:
                incident = self._tracker.do(_tenant(arguments), arguments.path("id"), command, now_ns)
            except NoIncident as fault:
                raise NotFound(str(fault)) from None
            except NotApplicable as fault:
                raise Conflict(str(fault)) from None
            return _json({"incident": shown(incident, now_ns)})

        answers = {JSON: {"type": "object", "properties": {"incident": _INCIDENT}}}
        path = f"{PATH}/{{id}}/{verb.name}"
        return Endpoint(
            path, verb.summary, verb.description, (_ID, TENANT), answers, act, method="POST", body=verb.body
        )

    def _get(self, arguments: Arguments) -> Incident:
        try:
            return self._tracker.get(_tenant(arguments), arguments.path("id"))
        except NoIncident as fault:
            raise NotFound(str(fault)) from None


def _states(arguments: Arguments) -> tuple[State, ...]:
    found: list[State] = []
    for word in filter(None, arguments.text("state").split(",")):
        if word in _GROUPS:
            found += _GROUPS[word]
        elif word in tuple(State):
            found.append(State(word))
        else:
            raise ParameterError("state", f"{word[:40]!r} will not do", f"open, ended, or of {', '.join(State)}")
    return tuple(dict.fromkeys(found))


def _matchers(arguments: Arguments) -> tuple[Matcher, ...]:
    text = arguments.text("filter")
    try:
        return parse_matchers(text) if text else ()
    except Reject as fault:
        raise ParameterError("filter", str(fault), '{severity="critical", host=~"web.*"}') from None


def _wanted(owner: str, matchers: Sequence[Matcher]) -> Callable[[Incident], bool]:
    def wanted(incident: Incident) -> bool:
        held = incident.acknowledgement
        if owner and owner not in (incident.assignee, held.owner if held else ""):
            return False
        return not matchers or any(all_match(matchers, dict(one.labels)) for one in incident.alerts.values())

    return wanted


def _tenant(arguments: Arguments) -> str:
    return arguments.text("tenant", DEFAULT_TENANT)


def _json(body: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type=JSON)
