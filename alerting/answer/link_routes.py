"""`/links/...`: what signed links open. Following one changes nothing, whoever or whatever follows it (previews of
chats and mail scanners do); only the form on its page does."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web

from alerting.answer.links import BadLink, ExpiredLink, Link, Permits, Signer
from alerting.answer.page import HEADERS, actions, incident_page, refusal_page
from alerting.track.bodies import hold_ns
from alerting.track.commands import LONGEST_TEXT, Acknowledge, AnyCommand, Comment, NotApplicable, Snooze
from alerting.track.model import Incident
from alerting.track.settings import IncidentSettings
from alerting.track.tracker import NoIncident, Tracker
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.auth import SIGNED_PATHS

INCIDENT = f"{SIGNED_PATHS}incident/"
CALENDAR = f"{SIGNED_PATHS}calendar/"
_MOST_BYTES = 64 << 10
_MOST_NAME = 100

Calendar = Callable[[str, str], bytes | None]
"""(tenant, schedule) -> its calendar; None: there is no such schedule."""


class LinkRoutes:
    """`external_url`: where people reach this collector; links are relative without it."""

    def __init__(
        self,
        signer: Signer,
        tracker: Tracker,
        calendar: Calendar,
        settings: IncidentSettings,
        clock: Clock,
        *,
        external_url: str,
    ) -> None:
        self._signer = signer
        self._tracker = tracker
        self._calendar = calendar
        self._settings = settings
        self._clock = clock
        self._base = external_url.rstrip("/")

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{INCIDENT}{{token}}", self.show),
            web.post(f"{INCIDENT}{{token}}", self.answer),
            web.get(f"{CALENDAR}{{token}}.ics", self.calendar),
        ]

    def incident_url(self, tenant: str, incident: str, permits: Permits = Permits.ANSWER) -> str:
        expires_s = self._clock.now_ns() // 1_000_000_000 + round(self._settings.link_valid_s)
        return f"{self._base}{INCIDENT}{self._signer.sign(Link(permits, tenant, incident, expires_s))}"

    def calendar_url(self, tenant: str, schedule: str) -> str:
        """It never expires, since calendars ask for years; another key ends it."""
        return f"{self._base}{CALENDAR}{self._signer.sign(Link(Permits.CALENDAR, tenant, schedule, 0))}.ics"

    async def show(self, request: web.Request) -> web.Response:
        try:
            link, incident = self._opened(request)
        except Reject as fault:
            return _refused(fault)
        return self._page(link, incident, done=request.query.get("done", ""))

    async def answer(self, request: web.Request) -> web.Response:
        try:
            link, incident = self._opened(request)
        except Reject as fault:
            return _refused(fault)
        length = request.content_length
        if length is None or length > _MOST_BYTES or request.content_type != "application/x-www-form-urlencoded":
            return _refused(BadLink("this is not what the form on this page sends"))
        try:
            form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        except (LookupError, ValueError):  # of an encoding that nobody knows, or not what it says
            return _refused(BadLink("this is not what the form on this page sends"))
        try:
            command = self._command(link, incident, form)
            self._tracker.do(link.tenant, link.subject, command, self._clock.now_ns())
        except Reject as fault:
            return self._page(link, incident, wrong=str(fault), status=409 if isinstance(fault, NotApplicable) else 400)
        # See other: a reload of what follows sends nothing again.
        return web.Response(status=303, headers={**HEADERS, "Location": f"?done={quote(form['do'])}"})

    async def calendar(self, request: web.Request) -> web.Response:
        try:
            link = self._signer.read(request.match_info["token"], self._clock.now_ns())
            if link.permits is not Permits.CALENDAR:
                raise BadLink("this link does not open a calendar")
            made = self._calendar(link.tenant, link.subject)
            if made is None:
                raise NoIncident(f"there is no schedule {link.subject} any more")
        except Reject as fault:
            return _refused(fault)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=made, content_type="text/calendar", charset="utf-8", headers=headers)

    def _opened(self, request: web.Request) -> tuple[Link, Incident]:
        """Raises BadLink, ExpiredLink, NoIncident."""
        link = self._signer.read(request.match_info["token"], self._clock.now_ns())
        if link.permits is Permits.CALENDAR:
            raise BadLink("this link opens a calendar, not an incident")
        return link, self._tracker.get(link.tenant, link.subject)

    def _command(self, link: Link, incident: Incident, form: dict[str, str]) -> AnyCommand:
        """Raises Reject."""
        action = form.get("do", "")
        if action not in actions(incident, link.permits):
            raise NotApplicable(f"this link can't be used for that, or not now: the incident is {incident.state.value}")
        name = "".join(char for char in form.get("by", "") if char.isprintable()).strip()[:_MOST_NAME]
        if not name:
            raise Reject("your name is missing: the timeline says who did what")
        by = f"{name} (by link)"
        if action == "comment":
            text = form.get("text", "").strip()[:LONGEST_TEXT]
            if not text:
                raise Reject("the comment is empty")
            return Comment(by=by, text=text)
        for_ns = hold_ns(form.get("for", ""), self._settings)
        if not for_ns:
            raise Reject("for how long? The form says it")
        return (
            Acknowledge(by=by, owner=name, for_ns=for_ns) if action == "acknowledge" else Snooze(by=by, for_ns=for_ns)
        )

    def _page(
        self, link: Link, incident: Incident, *, done: str = "", wrong: str = "", status: int = 200
    ) -> web.Response:
        events = self._tracker.store.timeline(incident.id)
        now_ns = self._clock.now_ns()
        text = incident_page(incident, events, link.permits, now_ns, done=done, wrong=wrong)
        return web.Response(text=text, content_type="text/html", status=status, headers=HEADERS)


def _refused(fault: Reject) -> web.Response:
    status = 410 if isinstance(fault, ExpiredLink) else 404 if isinstance(fault, NoIncident) else 403
    return web.Response(text=refusal_page(str(fault)), content_type="text/html", status=status, headers=HEADERS)
