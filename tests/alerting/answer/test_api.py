"""The HTTP API of incidents and schedules: as a client meets it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from alerting.answer.calendar_import import read_calendar
from alerting.track.bodies import VERBS
from alerting.track.events import AnyEvent
from alerting.track.fold import fold
from alerting.track.measures import statistics
from tests.alerting.answer.desk import Desk, served
from tests.alerting.answer.test_oncall import BERLIN, at
from tests.alerting.track.timelines import alert

Answer = tuple[int, Any]


class Client:
    def __init__(self, desk: Desk, url: str, session: aiohttp.ClientSession) -> None:
        self.desk = desk
        self.url = url
        self.session = session

    async def get(self, path: str, **query: str) -> Answer:
        return await self.ask("GET", path, None, query)

    async def post(self, path: str, body: object = None, **query: str) -> Answer:
        return await self.ask("POST", path, body, query)

    async def ask(self, method: str, path: str, body: object = None, query: dict[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes | str) else b"" if body is None else msgspec.json.encode(body)
        data = io.BytesIO(raw.encode() if isinstance(raw, str) else raw)
        async with self.session.request(method, f"{self.url}/api/v1/{path}", data=data, params=query) as answer:
            json = "json" in answer.content_type
            return answer.status, await answer.json() if json else await answer.text()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    desk = Desk(tmp_path)
    async with served(desk) as (url, session):
        yield Client(desk, url, session)


async def test_from_opening_to_review(client: Client) -> None:
    desk = client.desk
    incident = desk.observe(alert(instance="a", team="web"))
    path = f"incidents/{incident.id}"
    status, answer = await client.post(f"{path}/acknowledge", {"by": "alice", "for": "2h", "why": "on it"})
    assert status == 200
    assert answer["incident"]["state"] == "acknowledged"
    assert answer["incident"]["held"] == "acknowledged by alice until 2023-11-15T00:13:20Z"
    for verb, body in (
        ("assign", {"to": "bob"}),
        ("comment", {"text": "it is the disk"}),
        ("respond", {"by": "bot", "action": "restart"}),
        ("fail", {"by": "bot", "why": "still slow"}),
        ("rollback", {"by": "bot"}),
        ("respond", {"by": "bot", "action": "restart"}),
        ("verify", {"by": "bot"}),
        ("snooze", {"for": "30m"}),
        ("unsnooze", {}),
        ("unacknowledge", None),
    ):
        assert (await client.post(f"{path}/{verb}", body))[0] == 200, verb
    await desk.clock.advance(60)
    desk.observe(alert(60, instance="a", team="web"))
    assert (await client.post(f"{path}/review", {"by": "alice", "text": "quota"}))[0] == 200
    status, whole = await client.get(path)
    assert status == 200
    assert [entry["kind"] for entry in whole["timeline"]] == [
        *("opened", "alerts joined", "acknowledged", "assigned", "commented", "responding", "response failed"),
        *("rolled back", "responding", "verified", "snoozed", "snooze ended", "acknowledgement ended"),
        *("alerts resolved", "resolved", "reviewed"),
    ]
    assert whole["incident"]["review"] == "quota"
    assert (whole["timeline"][4]["text"], whole["timeline"][4]["message"]) == (
        "it is the disk",
        "commented: it is the disk",
    )
    assert whole["alerts"][0]["labels"] == {"alertname": "Slow", "instance": "a", "team": "web"}
    status, text = await client.get(f"{path}/report.md")
    assert status == 200
    assert text.startswith(f"# Incident {incident.id}: Slow\n")
    assert {verb.name for verb in VERBS} == {
        *("acknowledge", "unacknowledge", "assign", "comment", "snooze", "unsnooze"),
        *("respond", "verify", "fail", "rollback", "review"),
    }


@pytest.mark.parametrize(
    ("verb", "body", "status", "error"),
    [
        ("acknowledge", {"for": "soon"}, 400, "is not a duration"),
        ("acknowledge", {"for": "8d"}, 400, "give a time up to 168h"),
        ("acknowledge", {"for": "0s"}, 400, "give a time up to 168h"),
        ("acknowledge", {"until": "x"}, 400, "unknown field `until`; expected a JSON object with the fields by, why"),
        ("acknowledge", "[]", 400, "Expected `object`, got `array`"),
        ("acknowledge", "{", 400, "Input data was truncated"),
        ("acknowledge", {"by": "x" * 201}, 400, "length <= 200"),
        ("comment", {"text": "x", "by": "rules"}, 400, "'rules' is not you"),
        ("snooze", {}, 400, "missing required field `for`"),
        ("snooze", {"for": ""}, 400, "for how long"),
        ("comment", {"text": ""}, 400, "length >= 1"),
        ("comment", {"text": "x" * 2_000_000}, 400, "bytes are too many"),
        ("review", {"text": "x"}, 409, "is firing: review it when it is resolved"),
        ("verify", {}, 409, "no response runs"),
        ("unacknowledge", {}, 409, "nobody has acknowledged it"),
    ],
)
async def test_what_is_refused_and_why(client: Client, verb: str, body: object, status: int, error: str) -> None:
    incident = client.desk.observe(alert(instance="a"))
    found, answer = await client.post(f"incidents/{incident.id}/{verb}", body)
    assert (found, error in answer["error"]) == (status, True), answer
    assert len(client.desk.said(incident.id)) == 2


async def test_what_is_not_there(client: Client) -> None:
    for method, path in (
        ("GET", "incidents/3hrqx0008dpdn5"),
        ("GET", "incidents/3hrqx0008dpdn5/report.md"),
        ("GET", "incidents/3hrqx0008dpdn5/link"),
        ("POST", "incidents/3hrqx0008dpdn5/acknowledge"),
        ("GET", "oncall/nothing"),
        ("DELETE", "oncall/web/overrides/abc"),
    ):
        status, answer = await client.ask(method, path)
        assert (status, answer["error"].startswith("there is no ")) == (404, True), path


async def test_tenants_are_kept_apart(client: Client) -> None:
    mine = client.desk.observe(alert(instance="a"))
    theirs = client.desk.observe(alert(instance="a"), tenant="other")
    _, answer = await client.get("incidents", tenant="other")
    assert [row["id"] for row in answer["incidents"]] == [theirs.id]
    for verb in ("acknowledge", "comment"):
        body = {"text": "x"} if verb == "comment" else {}
        assert (await client.post(f"incidents/{mine.id}/{verb}", body, tenant="other"))[0] == 404
    assert (await client.get(f"incidents/{mine.id}", tenant="other"))[0] == 404
    assert (await client.get("oncall", tenant="other"))[1]["schedules"] == []
    assert (await client.get("oncall/web", tenant="other"))[0] == 404
    _, rows = await client.get("incidents/statistics", tenant="other")
    assert [row["periods"] for row in rows["statistics"]] == [1]


async def test_filters_and_pages(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "{}")
    for number in range(7):
        await desk.clock.advance(1)
        severity = "critical" if number % 2 else "info"
        desk.observe(alert(name=f"Rule{number}", severity=severity, team="web" if number < 3 else ""))
    desk.observe(alert(7, name="Rule0", severity="info", team="web"))
    async with served(desk) as (url, session):
        client = Client(desk, url, session)

        async def rules(**query: str) -> list[str]:
            status, answer = await client.get("incidents", **query)
            assert status == 200, answer
            return [row["rule"].removeprefix("Rule") for row in answer["incidents"]]

        assert await rules() == list("6543210")
        assert await rules(state="open") == list("654321")
        assert await rules(state="resolved,reviewed") == ["0"]
        assert await rules(team="web") == list("210")
        assert await rules(rule="Rule4") == ["4"]
        assert await rules(filter='{severity="critical"}') == list("531")
        assert await rules(filter="severity!~crit.*,team=web") == list("20")
        assert await rules(end="2023-11-14T22:13:23Z") == list("10")
        _, page = await client.get("incidents", limit="3")
        assert await rules(limit="3", cursor=page["next"]) == list("321")
        _, page = await client.get("incidents", limit="7")
        assert "next" not in page
        one = page["incidents"][2]["id"]
        await client.post(f"incidents/{one}/acknowledge", {"by": "alice", "owner": "bob"})
        assert await rules(owner="bob") == ["4"]
        for bad in ({"state": "broken"}, {"limit": "0"}, {"filter": "=x"}, {"colour": "red"}, {"start": "then"}):
            status, answer = await client.get("incidents", **bad)
            assert (status, answer["parameter"]) == (400, next(iter(bad)))


async def test_statistics_can_be_computed_from_the_exported_timelines(client: Client) -> None:
    desk = client.desk
    incident = desk.observe(alert(instance="a", team="web"))
    await desk.clock.advance(30)
    await client.post(f"incidents/{incident.id}/acknowledge", {"by": "alice", "for": "1h"})
    await desk.clock.advance(60)
    desk.observe(alert(90, instance="a", team="web"))
    _, answer = await client.get("incidents/statistics", by="team")
    timeline: list[AnyEvent] = desk.tracker.store.timeline(incident.id)
    (row,) = answer["statistics"]
    assert (row["name"], row["to_acknowledge"]["mean_s"], row["to_resolve"]["mean_s"]) == ("web", 30, 90)
    _, by_rule = await client.get("incidents/statistics")
    again = statistics([fold(incident.id, "default", timeline).measured], 0, 2**63 - 1)
    assert by_rule["statistics"] == msgspec.to_builtins(again)


# On call ----------------------------------------------------------------------------------------------------------


async def test_who_is_on_call(client: Client) -> None:
    _, answer = await client.get("oncall")
    assert answer["schedules"] == [
        {"schedule": "empty", "timezone": "UTC", "user": "", "by": ""},
        {
            "schedule": "web",
            "timezone": "Europe/Berlin",
            "user": "alice",
            "full_name": "Alice Liddell",
            "by": "layer 1",
            "until": "2023-11-20T08:00:00Z",
            "next": "bob",
        },
    ]
    _, later = await client.get("oncall", at="2023-11-21T00:00:00Z")
    assert later["schedules"][1]["user"] == "bob"


async def test_shifts(client: Client) -> None:
    _, answer = await client.get("oncall/web", start="2024-03-25T08:00:00Z", end="2024-04-08T08:00:00Z")
    assert [(row["start"], row["user"]) for row in answer["shifts"]] == [
        ("2024-03-25T08:00:00Z", "bob"),
        ("2024-04-01T07:00:00Z", "alice"),
        ("2024-04-08T07:00:00Z", "bob"),
    ]
    for bad in ({"start": "2024-01-01", "end": "2024-01-01"}, {"start": "2024-01-01", "end": "2026-01-01"}):
        assert (await client.get("oncall/web", **bad))[0] == 400


async def test_overrides_are_made_and_taken_back(client: Client) -> None:
    body = {"user": "bob", "from": "2023-11-15T09:00", "to": "2023-11-15T17:00", "by": "alice"}
    status, made = await client.post("oncall/web/overrides", body)
    assert (status, made["start"], made["end"]) == (200, "2023-11-15T08:00:00Z", "2023-11-15T16:00:00Z")
    _, then = await client.get("oncall", at="2023-11-15T10:00:00Z")
    assert (then["schedules"][1]["user"], then["schedules"][1]["by"]) == ("bob", "override (alice)")
    _, shown = await client.get("oncall/web")
    assert [row["id"] for row in shown["overrides"]] == [made["id"]]
    assert (await client.ask("DELETE", f"oncall/empty/overrides/{made['id']}"))[0] == 404
    assert (await client.ask("DELETE", f"oncall/web/overrides/{made['id']}"))[0] == 200
    _, then = await client.get("oncall", at="2023-11-15T10:00:00Z")
    assert then["schedules"][1]["user"] == "alice"


@pytest.mark.parametrize(
    ("change", "parameter"),
    [({"user": "eve"}, "user"), ({"to": "2023-11-15"}, "to"), ({"from": "soon"}, "from"), ({"x": 1}, "body")],
)
async def test_overrides_that_are_refused(client: Client, change: dict[str, object], parameter: str) -> None:
    body = {"user": "bob", "from": "2023-11-15T09:00", "to": "2023-11-15T17:00", **change}
    status, answer = await client.post("oncall/web/overrides", body)
    assert (status, answer["parameter"]) == (400, parameter)


async def test_a_calendar_goes_out_and_comes_in(client: Client) -> None:
    _, text = await client.get("oncall/web/calendar.ics")
    users = {"alice", "bob"}
    first = read_calendar(text, BERLIN, users, "")[0]
    assert (first.user, first.start_ns) == ("alice", at("2023-11-13T09:00"))  # nobody was before
    _, feed = await client.get("oncall/web/feed")
    async with aiohttp.ClientSession() as anybody, anybody.get(client.url + feed["url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "text/calendar")
        assert await answer.text() == text
    event = "BEGIN:VEVENT\nSUMMARY:bob\nDTSTART:20231116T090000\nDURATION:PT8H\nEND:VEVENT\n"
    calendar = f"BEGIN:VCALENDAR\n{event}{event.replace('16T', '17T')}END:VCALENDAR\n"
    status, answer_ = await client.post("oncall/web/overrides/calendar", calendar, by="alice")
    assert (status, len(answer_["overrides"])) == (200, 2)
    _, then = await client.get("oncall", at="2023-11-17T10:00:00Z")
    assert then["schedules"][1]["user"] == "bob"
    status, answer_ = await client.post("oncall/web/overrides/calendar", calendar.replace("bob", "eve"))
    assert (status, answer_["parameter"]) == (400, "body")


async def test_a_feed_of_a_schedule_that_is_gone_is_refused(client: Client) -> None:
    url = client.desk.incidents.links.calendar_url("default", "gone")
    async with aiohttp.ClientSession() as anybody, anybody.get(client.url + url) as answer:
        assert answer.status == 404
    link = client.desk.incidents.links.incident_url("default", "x").replace("incident", "calendar")
    async with aiohttp.ClientSession() as anybody, anybody.get(f"{client.url}{link}.ics") as answer:
        assert answer.status == 403


async def test_the_openapi_document_has_all_of_it(client: Client) -> None:
    _, document = await client.get("openapi.json")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) > len(client.desk.incidents.endpoints())
    acknowledge = document["paths"]["/api/v1/incidents/{id}/acknowledge"]["post"]
    schema = acknowledge["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"by", "why", "owner", "for"}
    assert acknowledge["requestBody"]["required"] is False
    assert document["paths"]["/api/v1/incidents/{id}/snooze"]["post"]["requestBody"]["required"] is True
    assert [parameter["in"] for parameter in acknowledge["parameters"]] == ["path", "query"]
    assert "409" in acknowledge["responses"]


async def test_the_token_is_asked_for(client: Client) -> None:
    incident = client.desk.observe(alert(instance="a"))
    async with aiohttp.ClientSession() as anybody:
        for path in ("incidents", f"incidents/{incident.id}", "oncall", "oncall/web/calendar.ics"):
            async with anybody.get(f"{client.url}/api/v1/{path}") as answer:
                assert answer.status == 401
