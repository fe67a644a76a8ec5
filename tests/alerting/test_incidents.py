"""Incidents inside alerting: rules and posted alerts make them, receivers' answers stand on them, who has one is not
told again, links in messages lead to them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from alerting.notify.explain import explain
from alerting.track.commands import Acknowledge
from alerting.track.events import AnyEvent, NotNotified
from alerting.track.model import Incident, State
from tests.alerting.test_app import Desk, now_samples
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

ROUTES = """
route: {receiver: ops, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}
receivers:
- name: ops
  webhook_configs: [{url: HOOK}]
- name: boss
  webhook_configs: [{url: HOOK/boss}]
"""
LINKS = """{{ define "links" }}{{ range .Alerts }}{{ range .Evidence.Links }}{{ .Value }}{{ end }}{{ end }}{{ end }}"""
ONCALL = """
escalation_policies:
- {name: all, steps: [{notify: [{receiver: boss}]}, {after: 1h, notify: [{receiver: nobody}]}]}
"""


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


def incidents(desk: Desk, tenant: str = "default") -> list[Incident]:
    return [each for each in desk.alerting._incidents.tracker.store.all() if each.tenant == tenant]


def timeline(desk: Desk, incident: Incident) -> list[AnyEvent]:
    return desk.alerting._incidents.tracker.store.timeline(incident.id)


async def until(what: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.02)


async def test_a_rule_opens_one_its_receipt_stands_on_it_its_end_ends_it(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        await hook.wait(1)
        await until(lambda: incidents(desk)[0].state is State.NOTIFIED)
        desk.take(1, "h1", now_samples(5e5))
        await hook.wait(2)
        await until(lambda: len(timeline(desk, incidents(desk)[0])) == 6)
        (incident,) = incidents(desk)
    assert (incident.rule, incident.state, incident.untold) == ("MemoryHigh", State.RESOLVED, {})
    kinds = [str(event.__struct_config__.tag) for event in timeline(Desk(tmp_path, hook), incident)]
    assert kinds == ["opened", "alerts joined", "notified", "alerts resolved", "resolved", "notified"]


async def test_messages_carry_a_link_whose_form_acknowledges(tmp_path: Path, hook: WebhookReceiver) -> None:
    template = tmp_path / "links.tmpl"
    template.write_text(
        '{{ define "l" }}{{ range .Alerts }}{{ range .Evidence.Links }}{{ .Value }}{{ end }}{{ end }}{{ end }}'
    )
    routes = ROUTES.replace(
        "[{url: HOOK}]", "[]\n  slack_configs: [{api_url: HOOK, channel: x, text: '{{ template \"l\" . }}'}]"
    )
    desk = Desk(tmp_path, hook, alertmanager_config=f"templates: ['{template}']\n{routes}")
    async with desk.open(), desk.api() as (session, server):
        desk.take(0, "h1", now_samples(2e6))
        (got,) = await hook.wait(1)
        (url,) = re.findall(r"http://me:9428(/links/incident/[A-Za-z0-9_-]+)", str(got.body))
        async with session.get(server.make_url(url)) as page:
            assert (page.status, "MemoryHigh" in await page.text()) == (200, True)
        async with session.post(server.make_url(url), data={"do": "acknowledge", "by": "Zoe", "for": "1h"}) as page:
            assert page.status == 200
        (incident,) = incidents(desk)
        assert incident.acknowledgement is not None
        assert incident.acknowledgement.owner == "Zoe"


LABELS = (
    ("alertname", "MemoryHigh"),
    *(("host", "h1"), ("id", f"/docker/{'ab' * 32}"), ("image", "busybox"), ("name", "web")),
)


async def test_who_has_it_is_not_told_again(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook, alertmanager_config=ROUTES)
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        await hook.wait(2)  # it repeats each second
        tracker = desk.alerting._incidents.tracker
        (incident,) = incidents(desk)
        held = Acknowledge(by="alice", for_ns=3_500_000_000)
        tracker.do("default", incident.id, held, desk.clock.now_ns())
        await asyncio.sleep(0.3)
        count = len(hook.got)
        await asyncio.sleep(1.2)
        why = explain(desk.alerting._notifications.notifier.glance("default"), LABELS, desk.clock.now_ns())
        assert why.routes[0].held.startswith("acknowledged by alice until ")
        assert why.routes[0].integrations[0].reason == ""
        await asyncio.sleep(1.2)
        assert len(hook.got) == count
        await hook.wait(count + 1)  # it has run out


async def test_posted_alerts_make_incidents_of_their_tenant(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook, alertmanager_config=ROUTES)
    async with desk.open(), desk.api() as (session, server):
        url = server.make_url("/api/v2/alerts")
        alerts = [{"labels": {"alertname": "Posted", "instance": name}} for name in ("a", "b")]
        async with session.post(url, json=alerts) as answer:
            assert answer.status == 200
        async with session.post(url, json=alerts) as answer:  # Prometheus says so again and again
            assert answer.status == 200
        (incident,) = incidents(desk)
        assert (incident.rule, len(incident.firing), incident.flaps) == ("Posted", 2, 0)
        over = [{**each, "endsAt": "2026-01-01T00:00:00Z", "startsAt": "2025-01-01T00:00:00Z"} for each in alerts]
        async with session.post(url, json=over) as answer:
            assert answer.status == 200
        (incident,) = incidents(desk)
        assert incident.state is State.RESOLVED
        assert incidents(desk, "other") == []


async def test_an_alert_that_nobody_ends_times_out_with_its_incident(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook, alertmanager_config=f"global: {{resolve_timeout: 1s}}\n{ROUTES}")
    async with desk.open(), desk.api() as (session, server):
        async with session.post(
            server.make_url("/api/v2/alerts"), json=[{"labels": {"alertname": "Posted"}}]
        ) as answer:
            assert answer.status == 200
        await until(lambda: incidents(desk)[0].state is State.RESOLVED)
        (incident,) = incidents(desk)
        assert 1 <= (incident.ended_ns - incident.opened_ns) / 1e9 < 1.2  # when it timed out, not when that was noticed


async def test_what_is_silenced_says_so(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, hook, alertmanager_config=ROUTES)
    async with desk.open(), desk.api() as (session, server):
        silence = {
            "matchers": [{"name": "alertname", "value": "MemoryHigh", "isRegex": False}],
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2126-01-01T00:00:00Z",
            "createdBy": "a",
            "comment": "b",
        }
        async with session.post(server.make_url("/api/v2/silences"), json=silence) as answer:
            assert answer.status == 200, await answer.text()
        desk.take(0, "h1", now_samples(2e6))
        await until(lambda: bool(incidents(desk) and incidents(desk)[0].untold))
        await asyncio.sleep(2.2)  # further looks say it no second time
        (incident,) = incidents(desk)
        said = [event.why for event in timeline(desk, incident) if isinstance(event, NotNotified)]
    assert said == ["muted by silence"]
    assert hook.got == []


async def test_escalation_reaches_a_real_receiver_and_the_end_too(tmp_path: Path, hook: WebhookReceiver) -> None:
    (tmp_path / "oncall.yaml").write_text(ONCALL)
    desk = Desk(tmp_path, hook, alertmanager_config=ROUTES, oncall=(str(tmp_path / "oncall.yaml"),))  # type: ignore[arg-type]
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        await hook.wait_until(lambda got: any(each.path == "/hook/boss" for each in got))
        desk.take(1, "h1", now_samples(5e5))
        await hook.wait_until(lambda got: sum(each.path == "/hook/boss" for each in got) == 2)
    told = [each.body for each in hook.got if each.path == "/hook/boss"]
    assert [body["status"] for body in told] == ["firing", "resolved"]
    assert told[0]["groupKey"] == told[1]["groupKey"]
    assert told[1]["alerts"][0]["labels"]["alertname"] == "MemoryHigh"


async def test_alerts_that_fired_before_there_were_incidents_get_one(tmp_path: Path, hook: WebhookReceiver) -> None:
    """The database of an older version: alerts fire, and no incident is known."""
    desk = Desk(tmp_path, hook)
    async with desk.open():
        desk.take(0, "h1", now_samples(2e6))
        await desk.delivered(1)
        with desk.alerting._store.database.transaction() as connection:
            for table in ("incident", "incident_event", "incident_alert"):
                connection.execute(f"DELETE FROM {table}")
    again = Desk(tmp_path, hook)
    assert [each.rule for each in incidents(again)] == ["MemoryHigh"]
