"""Filters, flags and faults of the API beyond what was recorded; a database that can't be written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from alerting.notifications import Notifications
from alerting.settings import AlertingSettings
from alerting.state_store import StateStore
from deckwatch.runtime.clock import ManualClock

CONFIG = """
route: {receiver: ops, group_by: [alertname], group_wait: 1h, routes: [{matchers: [team=db], receiver: db}]}
inhibit_rules: [{source_matchers: [alertname=Down], target_matchers: [severity=warning]}]
receivers: [{name: ops, webhook_configs: [{url: 'http://127.0.0.1:9'}]}, {name: db}]
"""


class Desk:
    def __init__(self, folder: Path) -> None:
        (folder / "am.yml").write_text(CONFIG)
        self.registry = CollectorRegistry()
        self.clock = ManualClock()
        self.store = StateStore(folder / "alerts.sqlite")
        settings = AlertingSettings(alertmanager_config=folder / "am.yml")
        self.notifications = Notifications(settings, self.store, self.clock, self.registry)
        self.url = ""
        self.session: ClientSession

    async def get(self, path: str, code: int = 200) -> Any:
        async with self.session.get(f"{self.url}api/v2/{path}") as answer:
            assert answer.status == code, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any, code: int = 200) -> Any:
        async with self.session.post(f"{self.url}api/v2/{path}", json=body) as answer:
            assert answer.status == code, await answer.text()
            return await answer.json() if answer.content_length else None

    async def names(self, query: str) -> list[str]:
        return sorted(each["labels"]["alertname"] for each in await self.get(f"alerts?{query}"))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"deckwatch_alerting_{name}", labels)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    app = web.Application()
    app.add_routes(made.notifications.routes())
    server = TestServer(app)
    async with server, ClientSession() as session:
        made.url, made.session = str(server.make_url("/")), session
        yield made
    made.store.close()


async def some(desk: Desk) -> None:
    alerts = [
        {"alertname": "Hot", "host": "n1"},
        {"alertname": "Down", "host": "n2"},
        {"alertname": "Slow", "severity": "warning"},
        {"alertname": "Full", "team": "db"},
    ]
    await desk.post("alerts", [{"labels": labels} for labels in alerts])
    silence = {
        "matchers": [{"name": "alertname", "value": "Hot", "isRegex": False}],
        "startsAt": "2000-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
    }
    await desk.post("silences", {**silence, "createdBy": "x", "comment": "y"})


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("", ["Down", "Full", "Hot", "Slow"]),
        ("silenced=false", ["Down", "Full", "Slow"]),
        ("inhibited=false", ["Down", "Full", "Hot"]),
        ("active=false", ["Hot", "Slow"]),
        ("active=false&silenced=false", ["Slow"]),
        ("unprocessed=false", ["Down", "Full", "Hot", "Slow"]),
        ("active=1", ["Down", "Full", "Hot", "Slow"]),
        ("active=nonsense", ["Hot", "Slow"]),  # go-openapi: all else is false
        ("receiver=db", ["Full"]),
        ("receiver=d|o", []),  # the whole name
        ("receiver=db|ops", ["Down", "Full", "Hot", "Slow"]),
        ('filter=host=""', ["Full", "Slow"]),
        ('filter=host!=""', ["Down", "Hot"]),
        ('filter=host=~"n.*"&filter=alertname!="Hot"', ["Down"]),
    ],
)
async def test_filters(desk: Desk, query: str, want: list[str]) -> None:
    await some(desk)
    assert await desk.names(query) == want


async def test_faults(desk: Desk) -> None:
    assert "failed to parse receiver param" in await desk.get("alerts?receiver=(", 400)
    assert "failed to parse receiver param" in await desk.get("alerts/groups?receiver=(", 400)
    assert await desk.get("silences?filter=a{b", 400) == "bad matcher format: a{b"
    assert "can't be a tenant" in await desk.get("alerts?tenant=..", 400)
    past = {
        "matchers": [{"name": "a", "value": "1", "isRegex": False}],
        "startsAt": "2000-01-01T00:00:00Z",
        "endsAt": "2001-01-01T00:00:00Z",
        "createdBy": "",
        "comment": "",
    }
    assert await desk.post("silences", past, 400) == "Failed to create silence: end time can't be in the past"


async def test_what_can_not_be_saved_is_said_and_not_in_force(desk: Desk) -> None:
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE alert RENAME TO away")
        connection.execute("ALTER TABLE silence RENAME TO away_too")
    assert "can't be saved now" in await desk.post("alerts", [{"labels": {"alertname": "Hot"}}], 500)
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE away RENAME TO alert")
        connection.execute("ALTER TABLE away_too RENAME TO silence")
    assert await desk.names("") == []
    await some(desk)
    assert len(await desk.names("")) == 4


async def test_alerts_that_nobody_repeats_end(desk: Desk) -> None:
    await some(desk)
    desk.clock.jump_wall(299)
    assert len(await desk.names("")) == 4
    await desk.post("alerts", [{"labels": {"alertname": "Full", "team": "db"}}])
    desk.clock.jump_wall(1)
    assert await desk.names("") == ["Full"]


async def test_figures(desk: Desk) -> None:
    await some(desk)
    await desk.post("alerts", [{"labels": {}}, {"labels": {"a": "1"}, "endsAt": "2001-01-01T00:00:00Z"}], 400)
    desk.notifications.notifier._look()
    assert desk.value("alerts", state="active") == 2
    assert desk.value("alerts", state="suppressed") == 2
    assert desk.value("groups") == 4
    assert desk.value("silences", state="active") == 1
    assert desk.value("alerts_received_total", status="firing") == 4
    assert desk.value("alerts_received_total", status="resolved") == 1
    assert desk.value("alerts_invalid_total") == 1
    assert desk.value("config_good") == 1
    desk.clock.jump_wall(3600)
    await some(desk)
    desk.notifications.notifier._look()
    assert desk.value("notifications_suppressed_total", reason="silence") == 1
    assert desk.value("notifications_suppressed_total", reason="inhibition") == 1
