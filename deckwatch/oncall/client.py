"""What `deckwatch oncall` asks the collector."""

from __future__ import annotations

import msgspec

from deckwatch.json_client import JsonClient

PATH = "api/v1/oncall"


class Now(msgspec.Struct, frozen=True):
    """Who is on call on a schedule; an empty user: nobody."""

    schedule: str
    timezone: str
    user: str = ""
    full_name: str = ""
    by: str = ""
    until: str = ""
    next: str = ""


class Shift(msgspec.Struct, frozen=True):
    start: str
    end: str
    user: str = ""
    full_name: str = ""
    by: str = ""


class Override(msgspec.Struct, frozen=True):
    user: str
    start: str
    end: str
    id: str = ""  # of those that can be taken back here
    by: str = ""
    timezone: str = "UTC"  # the schedule's, where the answer is this override alone


class Shifts(msgspec.Struct, frozen=True):
    schedule: str
    timezone: str
    shifts: tuple[Shift, ...]
    overrides: tuple[Override, ...] = ()


class _NowAnswer(msgspec.Struct, frozen=True):
    at: str
    schedules: tuple[Now, ...]


class _Feed(msgspec.Struct, frozen=True):
    url: str


class Taken(msgspec.Struct, frozen=True):
    """Overrides that a calendar made, and the schedule's zone."""

    overrides: tuple[Override, ...]
    timezone: str = "UTC"


class _Removed(msgspec.Struct, frozen=True):
    removed: str


class OnCallClient(JsonClient):
    async def now(self, at: str) -> tuple[Now, ...]:
        return (await self.ask("GET", PATH, _NowAnswer, {"at": at})).schedules

    async def shifts(self, schedule: str, start: str, end: str) -> Shifts:
        return await self.ask("GET", f"{PATH}/{schedule}", Shifts, {"start": start, "end": end})

    async def calendar(self, schedule: str) -> bytes:
        return await self.ask_raw("GET", f"{PATH}/{schedule}/calendar.ics")

    async def feed(self, schedule: str) -> str:
        """An address; without external_url it is a path of the collector's own."""
        url = (await self.ask("GET", f"{PATH}/{schedule}/feed", _Feed)).url
        return url if "://" in url else str(self._target.url.join(self._target.url.with_path(url, encoded=True)))

    async def override(self, schedule: str, user: str, start: str, end: str, by: str) -> Override:
        body = {"user": user, "from": start, "to": end, "by": by}
        return await self.ask("POST", f"{PATH}/{schedule}/overrides", Override, body=body)

    async def take_calendar(self, schedule: str, calendar: bytes, by: str) -> Taken:
        raw = await self.ask_raw("POST", f"{PATH}/{schedule}/overrides/calendar", {"by": by}, calendar)
        return msgspec.json.decode(raw, type=Taken)

    async def take_back(self, schedule: str, id_: str) -> str:
        return (await self.ask("DELETE", f"{PATH}/{schedule}/overrides/{id_}", _Removed)).removed
