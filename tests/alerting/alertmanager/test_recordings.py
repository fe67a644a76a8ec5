"""A session with Alertmanager 0.25 was recorded; the same requests at the same times have the same answers here, and
the same messages go out at the same times.

What differs on purpose: `status` and the config's text (test_load.py), `mutedBy` and the state of alerts whose route is
muted (as newer Alertmanagers have it), the order of an object's fields, and that a restart forgets no alert.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from yarl import URL

from alerting.notifications import Notifications
from alerting.notify.channels.model import Receipt
from alerting.notify.channels.webhook import message_body
from alerting.settings import AlertingSettings
from alerting.state_store import StateStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.times import absolute_span

RECORDED = Path(__file__).parents[2] / "recordings" / "alertmanager"
S = 10**9
MAX_ALERTS = {"capped": 1}
SENT_WITHIN_NS = 150_000_000
"""How exactly the times of messages agree: Alertmanager's timers drift by milliseconds with each turn."""


def at(time: str) -> int:
    return absolute_span(f"2026-11-24T03:{time}Z")[0]


class Sent(msgspec.Struct, frozen=True):
    at_ns: int
    path: str
    body: dict[str, Any]


class Replay:
    """The API over real HTTP, time as the recording has it, and receivers that answer as they did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(at("56:05.742"))
        self.sent: list[Sent] = []
        self.answers: dict[str, list[str]] = {"flaky": ["delivered", "refused"]}
        self.ids: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        self.store = StateStore(self.folder / "alerts.sqlite")
        settings = AlertingSettings(
            alertmanager_config=RECORDED / "am.yml", external_url="http://127.0.0.1:19093", builtin_rules=False
        )
        self.notifications = Notifications(settings, self.store, self.clock, CollectorRegistry())
        self.notifier = self.notifications.notifier

    async def until(self, time: str) -> None:
        """Every group's turn up to then, at its very time; what it sends is answered at once."""
        end_ns = at(time)
        dispatcher = self.notifier.dispatcher("default")
        while (due_ns := dispatcher.next_due_ns(end_ns)) is not None and due_ns <= end_ns:
            self.set_time(due_ns)
            dispatcher.flush_due(due_ns)
            self.deliver()
        self.set_time(end_ns)

    def set_time(self, ns: int) -> None:
        self.clock._now_ns = ns  # to the nanosecond, which a float of seconds is not

    def deliver(self) -> None:
        outbox = self.store.outbox()
        for receiver, integration in outbox.queue_lengths():
            while (queued := outbox.next(receiver, integration)) is not None:
                told = queued.notification
                self.sent.append(Sent(told.created_ns, f"/{receiver}", message_body(told, MAX_ALERTS.get(receiver, 0))))
                outcomes = self.answers.get(receiver, [])
                outbox.finish(queued, [receipt(told.created_ns, outcomes.pop(0) if outcomes else "delivered")])


def receipt(now_ns: int, outcome: str) -> Receipt:
    return Receipt(
        *("key", "receiver", "webhook[0]", "http://127.0.0.1", "group", "reason"),
        outcome=outcome,
        code=200,
        business_code="",
        attempts=1,
        latency_s=0.0,
        retry_after_s=None,
        created_ns=now_ns,
        ended_ns=now_ns,
    )


@pytest.fixture
async def replay(tmp_path: Path) -> AsyncIterator[tuple[Replay, ClientSession, TestServer]]:
    made = Replay(tmp_path)
    app = web.Application()
    app.add_routes(made.notifications.routes())
    server = TestServer(app)
    async with server, ClientSession() as session:
        yield made, session, server
    made.store.close()


async def ask(session: ClientSession, server: TestServer, request: dict[str, Any], ids: dict[str, str]) -> Any:
    """(status, content type, body)"""
    path, body = request["path"], request["body"]
    data = None if body is None else body if isinstance(body, str) else json.dumps(body)
    for theirs, ours in ids.items():
        path = path.replace(theirs, ours)
        data = data.replace(theirs, ours) if data else data
    url = URL(f"{server.make_url('/')}".rstrip("/") + path, encoded=True)
    async with session.request(request["method"], url, data=data) as answer:
        raw = await answer.read()
        kind = {"Content-Type": "application/json"} if answer.content_type == "application/json" else {}
        return answer.status, kind, json.loads(raw) if raw else ""


STEPS = [
    ("01_status", "56:06.050"),
    ("02_receivers", "56:06.051"),
    ("03_alerts_empty", "56:06.052"),
    ("04_groups_empty", "56:06.053"),
    ("05_silences_empty", "56:06.054"),
    ("06_post_bad_json", "56:06.055"),
    ("07_post_no_labels", "56:06.056"),
    ("08_post_empty_labels", "56:06.057"),
    ("09_post_bad_labelname", "56:06.067004954"),
    ("10_post_end_before_start", "56:06.068"),
    ("11_bad_filter", "56:06.069"),
    ("12_empty_label_value_dropped", "56:06.071170639"),
    ("20_post_grouped", "56:06.073104263"),
    ("21_alerts_unprocessed", "56:06.074"),
    ("22_alerts_active", "56:07.6"),
    ("23_groups_grouped", "56:07.7"),
    ("24_post_third_joins", "56:08.086733832"),
    ("30_post_ungrouped", "56:12.089117638"),
    ("31_groups_ungrouped", "56:13.9"),
    ("35_post_both", "56:14.294650454"),
    ("36_groups_both", "56:15.9"),
    ("37_alerts_both", "56:15.95"),
    ("40_post_inhibit", "56:16.509317628"),
    ("41_inhibited", "56:18.1"),
    ("42_inhibited_excluded", "56:18.2"),
    ("amtool silence add", "56:18.860"),
    ("51_silences", "56:18.9"),
    ("52_silence", "56:18.91"),
    ("53_alerts_silenced", "56:18.92"),
    ("54_alerts_silenced_false", "56:18.93"),
    ("60_silence_post", "56:23.126460"),
    ("61_silence_update_extend", "56:23.130197"),
    ("62_silence_update_matchers", "56:23.134075"),
    ("63_silences_after_update", "56:23.136"),
    ("64_silence_matches_empty", "56:23.137"),
    ("65_silence_ends_before", "56:23.138679"),
    ("66_silence_unknown_id", "56:23.140"),
    ("67_silence_start_past", "56:23.142"),
    ("68_silence_get_404", "56:23.143"),
    ("69_silence_delete", "56:23.144"),
    ("6a_silence_delete_again", "56:23.145"),
    ("6b_silence_expired", "56:23.146"),
    ("6c_silence_bad_uuid", "56:23.147"),
    ("a silence without a comment", "56:23.149"),
    ("70_post_muted", "56:23.151"),
    ("71_alerts_muted", "56:25.1"),
    ("72_groups_muted", "56:25.2"),
    ("80_post_flaky", "56:25.688067195"),
    ("81_post_flaky_400", "56:31.694604335"),
    ("90_resolve_one", "56:38.602"),
    ("91_groups_one_resolved", "56:41.0"),
    ("92_resolve_rest", "56:42.703"),
    ("93_groups_after_resolve", "56:48.7"),
    ("94_alerts_after_resolve", "56:48.8"),
]
"""Name of the recording, and when it took place."""
UNRECORDED = {
    "amtool silence add": {
        "matchers": json.loads((RECORDED / "52_silence.json").read_text())["response"]["matchers"],
        "startsAt": "2026-11-24T03:56:18.847Z",
        "endsAt": "2026-11-24T04:56:18.847Z",
        "createdBy": "ops",
        "comment": "planned work",
    },
    "a silence without a comment": {
        "matchers": [{"name": "alertname", "value": "X.*", "isRegex": True, "isEqual": True}],
        "startsAt": "2026-11-24T03:56:23.126460Z",
        "endsAt": "2026-11-24T04:56:23.126739Z",
        "createdBy": "me",
        "comment": "",
    },
}
THEIR_IDS = {
    "amtool silence add": "713bb4b1-4ef5-46be-97d9-e1548d5cdd0a",
    "a silence without a comment": "bf985b54-dbf9-4fc7-88de-6bc7d7bfd045",
}


async def walk(replay: Replay, session: ClientSession, server: TestServer) -> dict[str, tuple[Any, Any]]:
    """Recording -> (ours, theirs), ids of silences as they were recorded."""
    pairs = {}
    for name, time in STEPS:
        await replay.until(time)
        if name in UNRECORDED:
            request = {"method": "POST", "path": "/api/v2/silences", "body": UNRECORDED[name]}
            _, _, body = await ask(session, server, request, replay.ids)
            replay.ids[THEIR_IDS[name]] = body["silenceID"]
            continue
        recorded = json.loads((RECORDED / f"{name}.json").read_text())
        status, kind, body = await ask(session, server, recorded["request"], replay.ids)
        theirs = recorded["status"], recorded["headers"], recorded["response"]
        if isinstance(body, dict) and "silenceID" in body:
            replay.ids.setdefault(recorded["response"]["silenceID"], body["silenceID"])
        pairs[name] = ((status, kind, as_recorded(body, replay.ids)), theirs)
        replay.deliver()
    return pairs


def as_recorded(body: Any, ids: dict[str, str]) -> Any:
    text = json.dumps(body)
    for theirs, ours in ids.items():
        text = text.replace(ours, theirs)
    return without_muted_by(json.loads(text))


def without_muted_by(body: Any) -> Any:
    """As Alertmanager said it before it told of muted routes."""
    if isinstance(body, list):
        return [without_muted_by(each) for each in body]
    if not isinstance(body, dict):
        return body
    told = {name: without_muted_by(value) for name, value in body.items() if name != "mutedBy"}
    return {**told, "state": "active"} if body.get("mutedBy") else told


async def test_every_answer_is_as_recorded(replay: tuple[Replay, ClientSession, TestServer]) -> None:
    pairs = await walk(*replay)
    (_, _, status), (_, _, theirs) = pairs.pop("01_status")
    assert set(status) == set(theirs)
    assert (status["cluster"], status["uptime"]) == (theirs["cluster"], theirs["uptime"])
    assert set(status["versionInfo"]) == set(theirs["versionInfo"])
    differing = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    assert differing == {}
    assert len(pairs) > 45


async def test_a_muted_route_is_told_of(replay: tuple[Replay, ClientSession, TestServer]) -> None:
    one, session, server = replay
    await walk(one, session, server)
    request = {"method": "GET", "path": "/api/v2/alerts/groups?filter=kind%3D%22muted%22", "body": None}
    ((group,),) = [(await ask(session, server, request, {}))[2]]
    assert group["alerts"][0]["status"] == {
        "inhibitedBy": [],
        "mutedBy": ["always"],
        "silencedBy": [],
        "state": "suppressed",
    }
    request = {**request, "path": f"{request['path']}&muted=false"}
    assert (await ask(session, server, request, {}))[2] == []


async def test_every_message_is_as_recorded_and_comes_when_it_came(
    replay: tuple[Replay, ClientSession, TestServer],
) -> None:
    await walk(*replay)
    lines = [json.loads(line) for line in (RECORDED / "webhooks.jsonl").read_text().splitlines()]
    recorded = [line for line in lines if line["at"] < at("56:48.8") / 1e9 and line["answered"] != 503]
    ours, theirs = (
        _in_order(replay[0].sent),
        _in_order([Sent(int(line["at"] * 1e9), line["path"], line["body"]) for line in recorded]),
    )
    assert [(one.path, one.body) for one in ours] == [(one.path, one.body) for one in theirs]
    late = [abs(mine.at_ns - other.at_ns) for mine, other in zip(ours, theirs, strict=True) if mine.path != "/flaky"]
    assert max(late) < SENT_WITHIN_NS


def _in_order(sent: list[Sent]) -> list[Sent]:
    return sorted(sent, key=lambda one: (one.path, one.body["groupKey"], one.at_ns))


async def test_a_restart_keeps_silences_as_recorded_and_alerts_too(
    replay: tuple[Replay, ClientSession, TestServer], tmp_path: Path
) -> None:
    """Alertmanager forgets its alerts (a0); here they are as they were."""
    one, session, server = replay
    pairs = await walk(one, session, server)
    before = pairs["94_alerts_after_resolve"][0][2]
    one.store.close()
    one.start()
    app = web.Application()
    app.add_routes(one.notifications.routes())
    again = TestServer(app)
    async with again:
        request = {"method": "GET", "path": "/api/v2/silences", "body": None}
        silences = as_recorded((await ask(session, again, request, one.ids))[2], one.ids)
        alerts = as_recorded((await ask(session, again, {**request, "path": "/api/v2/alerts"}, one.ids))[2], one.ids)
    assert silences == json.loads((RECORDED / "a1_silences_after_restart.json").read_text())["response"]
    assert alerts == before
