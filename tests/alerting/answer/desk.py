"""Incidents put together over a database of their own, with a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from alerting.database import Database
from alerting.incidents import Incidents
from alerting.notify.channels.model import Notification
from alerting.notify.message import GroupAlert
from alerting.notify.notification_log import NotificationLog
from alerting.notify.outbox import SqlOutbox
from alerting.notify.routes import IntegrationInfo, Route, Routing
from alerting.state_format import STEPS
from alerting.track.describe import describe
from alerting.track.model import Incident
from alerting.track.settings import IncidentSettings
from collector.api import openapi
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.settings import Secret
from deckwatch.wire.auth import guard
from tests.alerting.track.timelines import T

PLAN = """
users:
- {name: alice, full_name: Alice Liddell, receivers: [alice-phone, alice-mail]}
- {name: bob, receivers: [bob-phone]}
- {name: carol}
schedules:
- name: web
  timezone: Europe/Berlin
  layers: [{users: [alice, bob], rotation: weekly, start: 2023-11-13, handover: 09:00}]
- name: empty
  layers: [{users: [bob], rotation: daily, start: 2023-01-01, end: 2023-01-02}]
escalation_policies:
- name: critical
  matchers: ['severity="critical"']
  steps:
  - notify: [{schedule: web}]
  - {after: 10m, notify: [{user: bob}, {receiver: ops}], repeat: {every: 5m, times: 2}}
  - {after: 1h, notify: [{receiver: boss}]}
"""
RECEIVERS = ("alice-phone", "alice-mail", "bob-phone", "ops", "boss")


class Desk:
    def __init__(self, folder: Path, plan: str = PLAN, settings: IncidentSettings | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock(T)
        self.registry = CollectorRegistry()
        self.database = Database(folder / "alerts.sqlite", STEPS)
        self.woken = 0
        webhook: tuple[IntegrationInfo, ...] = (IntegrationInfo("webhook[0]", True),)
        receivers = dict.fromkeys(RECEIVERS, webhook)
        self.routings: dict[str, Routing] = {}  # of tenants that have one of their own
        self.routing = Routing(Route("{}", "{}", "ops"), receivers)
        (folder / "oncall.yml").write_text(plan)
        self.incidents = Incidents(
            settings or IncidentSettings(),
            [str(folder / "oncall.yml")],
            self.database,
            folder,
            self.clock,
            self.registry,
            outbox=self.outbox,
            routing=lambda tenant: self.routings.get(tenant, self.routing),
            wake=self._wake,
            external_url="",
        )
        self.tracker = self.incidents.tracker

    def outbox(self, scope: str = "") -> SqlOutbox:
        return SqlOutbox(self.database, NotificationLog(self.database), scope, [])

    def observe(self, *alerts: GroupAlert, tenant: str = "default") -> Incident:
        (id_,) = self.tracker.observe(tenant, alerts, self.clock.now_ns())
        return self.tracker.get(tenant, id_)

    async def tick(self, after_s: float = 0) -> int:
        await self.clock.advance(after_s)
        return self.incidents.escalator.tick(self.clock.now_ns())

    def said(self, id_: str) -> list[str]:
        """The timeline, in words."""
        return [describe(event) for event in self.tracker.store.timeline(id_)]

    def messages(self) -> list[Notification]:
        """What waits in the outbox, in the order in which it came."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT receiver, integration FROM outbox GROUP BY receiver ORDER BY min(id)")
            keys = rows.fetchall()
        found = (self.outbox().next(receiver, integration) for receiver, integration in keys)
        return [queued.notification for queued in found if queued is not None]

    def told(self) -> list[tuple[str, str]]:
        """(receiver, status) of each message that waits; they are taken out."""
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT id, receiver, integration FROM outbox ORDER BY id").fetchall()
        found = []
        for _, receiver, integration in rows:
            queued = self.outbox().next(receiver, integration)
            assert queued is not None
            found.append((receiver, queued.notification.status))
            self.outbox().finish(queued, [])
        return found

    def _wake(self) -> None:
        self.woken += 1


@asynccontextmanager
async def served(desk: Desk) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Its API over HTTP, with a token."""
    app = web.Application(middlewares=[guard(Secret(TOKEN))], client_max_size=64 << 20)  # as the collector's
    endpoints = desk.incidents.endpoints()
    app.add_routes([one.route() for one in (*endpoints, openapi.endpoint(endpoints))])
    app.add_routes(desk.incidents.routes())
    server = TestServer(app)
    await server.start_server()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        try:
            yield str(server.make_url("")).rstrip("/"), session
        finally:
            await server.close()
            await asyncio.sleep(0)


TOKEN = "0123456789abcdef-token"
