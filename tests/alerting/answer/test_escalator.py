"""Escalation over a real outbox: who is told when, what stops it, what a restart does, what a new plan does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import msgspec
import pytest

from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.routes import IntegrationInfo, Route, Routing
from alerting.track.commands import Acknowledge, Assign, Snooze, Unacknowledge
from alerting.track.model import State
from deckwatch.runtime.faults import Unusable
from tests.alerting.answer.desk import PLAN, Desk
from tests.alerting.track.timelines import S, alert

M = 60


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


CRITICAL = alert(instance="a", severity="critical")


async def test_step_by_step_until_it_is_over(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    assert await desk.tick() == 1
    assert [(one.receiver, one.reason, one.status) for one in desk.messages()] == [
        ("alice-phone", "escalation critical, step 1", "firing"),
        ("alice-mail", "escalation critical, step 1", "firing"),
    ]
    (message, _) = desk.messages()
    assert message.alerts[0].labels == CRITICAL.labels
    assert (message.group_key, len(message.key)) == (f"incident:{incident.id}", 32)
    assert desk.woken == 2  # once a receiver
    assert len(desk.told()) == 2
    assert await desk.tick(10 * M - 1) == 0
    assert await desk.tick(1) == 1
    assert desk.told() == [("bob-phone", "firing"), ("ops", "firing")]
    await desk.tick(5 * M)
    await desk.tick(5 * M)
    assert len(desk.told()) == 4
    await desk.tick(40 * M)
    assert desk.told() == [("boss", "firing")]
    assert await desk.tick(24 * 60 * M) == 0
    assert desk.told() == []
    now_ns = desk.clock.now_ns()
    desk.observe(msgspec.structs.replace(CRITICAL, ends_ns=now_ns))
    assert sorted(desk.told()) == sorted(
        (name, "resolved") for name in ("alice-phone", "alice-mail", "bob-phone", "ops", "boss")
    )
    assert desk.said(incident.id)[2:] == [
        "escalation policy critical began",
        "escalated, step 1 of critical: schedule web: alice",
        "escalated, step 2 of critical: user bob, receiver ops",
        "escalated, step 2 of critical, time 2: user bob, receiver ops",
        "escalated, step 2 of critical, time 3: user bob, receiver ops",
        "escalated, step 3 of critical: receiver boss",
        '1 alert ended: {alertname="Slow", instance="a", severity="critical"}',
        "resolved: none of its alerts fires any more",
    ]
    assert await desk.tick(9999) == 0
    assert desk.tracker.store.differing() == []


async def test_an_acknowledgement_stops_it_and_it_goes_on_after(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    await desk.tick()
    await desk.tick(4 * M)
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=30 * M * S), desk.clock.now_ns())
    assert await desk.tick(29 * M) == 0
    desk.told()
    assert await desk.tick(2 * M) == 1  # it has run out a minute ago: 5 of 10 minutes are over
    assert desk.told() == []
    assert desk.tracker.get("default", incident.id).state is State.FIRING
    assert await desk.tick(5 * M - 1) == 0
    assert await desk.tick(1) == 1
    assert desk.told() == [("bob-phone", "firing"), ("ops", "firing")]


async def test_giving_it_back_lets_it_go_on_at_once(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=3600 * S), desk.clock.now_ns())
    await desk.tick(20 * M)
    assert desk.told() == []  # it never began
    desk.tracker.do("default", incident.id, Unacknowledge(by="alice"), desk.clock.now_ns())
    await desk.tick()
    assert [name for name, _ in desk.told()] == ["alice-phone", "alice-mail"]


async def test_a_snooze_holds_it_too(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    await desk.tick()
    desk.told()
    desk.tracker.do("default", incident.id, Snooze(by="alice", for_ns=3600 * S), desk.clock.now_ns())
    await desk.tick(50 * M)
    assert desk.told() == []
    await desk.tick(10 * M)
    await desk.tick(10 * M)
    assert [name for name, _ in desk.told()] == ["bob-phone", "ops"]


async def test_a_restart_neither_skips_nor_repeats_a_step(desk: Desk, tmp_path: Path) -> None:
    desk.observe(CRITICAL)
    await desk.tick()
    desk.told()
    desk.database.close()
    again = Desk(tmp_path)
    assert await again.tick(9 * M) == 0
    assert again.told() == []
    again.database.close()
    late = Desk(tmp_path)
    await late.tick(70 * M)
    assert late.told() == [("bob-phone", "firing"), ("ops", "firing"), ("boss", "firing")]


async def test_a_transaction_that_fails_takes_no_step(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message and the step are one: neither is there without the other."""
    incident = desk.observe(CRITICAL)
    save = desk.tracker.store.save

    def full(*args: object, **more: object) -> None:
        save(*args, **more)  # type: ignore[arg-type]
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(desk.tracker.store, "save", full)
        with pytest.raises(ExceptionGroup):
            await desk.tick()
    assert desk.told() == []
    assert desk.woken == 0
    assert len(desk.said(incident.id)) == 2
    await desk.tick()
    assert len(desk.told()) == 2


async def test_one_incident_that_fails_holds_up_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = desk.observe(alert(name="Bad", severity="critical")), desk.observe(CRITICAL)
    settled = desk.tracker.settled

    def failing(incident, now_ns):  # type: ignore[no-untyped-def]
        if incident.id == bad.id:
            raise ZeroDivisionError
        return settled(incident, now_ns)

    monkeypatch.setattr(desk.tracker, "settled", failing)
    with pytest.raises(ExceptionGroup):
        await desk.tick()
    assert len(desk.said(good.id)) == 4
    assert len(desk.said(bad.id)) == 2


async def test_a_step_that_finds_nobody_gives_way_to_the_next(tmp_path: Path) -> None:
    plan = PLAN.replace("- notify: [{schedule: web}]", "- notify: [{schedule: empty}, {user: carol}, {receiver: gone}]")
    desk = Desk(tmp_path, plan)
    incident = desk.observe(CRITICAL)
    await desk.tick()
    assert desk.told() == [("bob-phone", "firing"), ("ops", "firing")]
    assert desk.said(incident.id)[3:] == [
        "escalated, step 1 of critical: schedule empty, user carol, receiver gone",
        "schedule empty was not told (nobody is on call)",
        "user carol was not told (carol: has no receivers)",
        "gone was not told (there is no such receiver in the notification configuration)",
        "escalated, step 2 of critical: user bob, receiver ops",
    ]
    assert await desk.tick(5 * M) == 0
    await desk.tick(10 * M)  # its repeats come when they would have come
    assert desk.told() == [("bob-phone", "firing"), ("ops", "firing")]


async def test_the_schedule_decides_when_the_step_is_due(desk: Desk) -> None:
    """T is a Tuesday; on the next Monday at 09:00 in Berlin bob takes over."""
    await desk.clock.advance(5 * 86_400 + 36_000)
    incident = desk.observe(CRITICAL)
    await desk.tick()
    assert "schedule web: bob" in desk.said(incident.id)[-1]
    assert [name for name, _ in desk.told()] == ["bob-phone"]


async def test_another_plan_takes_over_where_it_must(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    await desk.tick()
    desk.told()
    path = desk.folder / "oncall.yml"
    path.write_text(PLAN.replace("name: critical", "name: other"))
    desk.incidents.reload_if_changed()
    await desk.tick()
    assert [name for name, _ in desk.told()] == ["alice-phone", "alice-mail"]
    assert desk.said(incident.id)[4:6] == [
        "escalation policy critical stopped: other takes it over",
        "escalation policy other began",
    ]
    path.write_text("{}")
    assert desk.incidents.reload()
    await desk.tick()
    assert desk.said(incident.id)[-1] == "escalation policy other stopped: there is no such policy any more"
    assert await desk.tick(9999) == 0
    desk.observe(msgspec.structs.replace(CRITICAL, ends_ns=desk.clock.now_ns()))
    assert [name for name, _ in desk.told()] == ["alice-phone", "alice-mail"]  # whoever was called hears the end


async def test_a_bad_plan_changes_nothing_and_says_why(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    (desk.folder / "oncall.yml").write_text("schedules: [{}]")
    desk.incidents.reload_if_changed()
    assert "a schedule needs a name" in caplog.text
    assert len(desk.incidents.escalator.plan.policies) == 1
    assert desk.registry.get_sample_value("deckwatch_alerting_oncall_good") == 0
    (desk.folder / "oncall.yml").write_text(PLAN)
    desk.incidents.reload_if_changed()
    assert desk.registry.get_sample_value("deckwatch_alerting_oncall_good") == 1


def test_the_last_file_of_a_pattern_is_not_taken_away_without_a_word(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = str(desk.folder / "oncall*.yml")
    desk.incidents._globs = (pattern,)
    assert desk.incidents.reload()
    assert not caplog.text
    (desk.folder / "oncall.yml").unlink()
    desk.incidents.reload_if_changed()
    assert not desk.incidents.escalator.plan.policies
    assert f"alerting.oncall {pattern}: no such file; nobody is on call by it until there is one" in caplog.text


def test_a_bad_plan_at_the_start_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="a schedule needs a name"):
        Desk(tmp_path, "schedules: [{}]")


async def test_a_calendar_that_changes_is_taken(tmp_path: Path) -> None:
    text = (Path(__file__).parent / "data" / "holidays.ics").read_text()
    (tmp_path / "a.ics").write_text(text)
    desk = Desk(tmp_path, PLAN.replace("- name: web\n", "- name: web\n  override_calendars: [a.ics]\n"))
    (tmp_path / "a.ics").write_text(text.replace("20260406", "20260407"))
    before = desk.incidents.escalator.plan.schedules["default", "web"].overrides
    desk.incidents.reload_if_changed()
    after = desk.incidents.escalator.plan.schedules["default", "web"].overrides
    assert after[0].end_ns - before[0].end_ns == 86_400 * S


async def test_what_no_policy_takes_rests(desk: Desk) -> None:
    incident = desk.observe(alert(instance="a"))
    assert await desk.tick() == 0
    desk.observe(alert(instance="b", severity="critical"))  # it becomes worse
    assert await desk.tick(3600) == 1
    assert [name for name, _ in desk.told()] == ["alice-phone", "alice-mail"]  # and begins with the first step
    assert len(desk.said(incident.id)) == 5


async def test_a_reopened_incident_is_escalated_anew(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    await desk.tick()
    desk.observe(msgspec.structs.replace(CRITICAL, ends_ns=desk.clock.now_ns()))
    desk.told()
    await desk.clock.advance(60)
    assert desk.observe(CRITICAL).id == incident.id
    await desk.tick()
    assert [name for name, _ in desk.told()] == ["alice-phone", "alice-mail"]


async def test_a_tenant_has_policies_and_receivers_of_its_own(desk: Desk) -> None:
    webhook: tuple[IntegrationInfo, ...] = (IntegrationInfo("webhook[0]", True),)
    desk.routings["other"] = Routing(Route("{}", "{}", "theirs"), {"theirs": webhook}, scope="other")
    desk.observe(CRITICAL, tenant="other")
    assert await desk.tick() == 0  # no policy of another tenant takes it
    text = "tenant: other\nescalation_policies: [{name: p, steps: [{notify: [{receiver: theirs}, {receiver: ops}]}]}]\n"
    (desk.folder / "oncall.yml").write_text(text)
    assert desk.incidents.reload()
    await desk.tick()
    queued = desk.outbox("other").next("theirs", "webhook[0]")
    assert queued is not None
    assert (queued.notification.tenant, queued.notification.receiver) == ("other", "theirs")
    assert desk.outbox("").queue_lengths() == {}


async def test_a_look_that_fails_is_told_once_and_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.observe(CRITICAL)
    task = asyncio.create_task(desk.incidents.run())
    with monkeypatch.context() as patched:
        patched.setattr(desk.incidents.escalator, "tick", lambda now_ns: 1 // 0)
        for _ in range(3):
            await desk.clock.advance(1)
    failures = desk.registry.get_sample_value("deckwatch_alerting_incident_failures_total")
    assert failures is not None
    assert failures >= 2
    assert caplog.text.count("not everything that is due for incidents could be done") == 1
    async with asyncio.timeout(10):
        while not desk.messages():
            await desk.clock.advance(1)
            await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while desk.registry.get_sample_value("deckwatch_alerting_incidents", FIRING) != 1:
            await desk.clock.advance(16)
            await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


FIRING = {"tenant": "default", "state": "firing"}


async def test_who_is_assigned_is_told(desk: Desk) -> None:
    incident = desk.observe(alert(instance="a"))
    now_ns = desk.clock.now_ns()
    desk.tracker.do("default", incident.id, Assign(by="bob", to="alice"), now_ns)
    assert [(one.receiver, one.reason) for one in desk.messages()] == [
        ("alice-phone", "assigned to alice by bob"),
        ("alice-mail", "assigned to alice by bob"),
    ]
    desk.told()
    for to in ("bob", "carol", "the night shift", ""):  # himself, no receivers, no user, nobody
        desk.tracker.do("default", incident.id, Assign(by="bob", to=to), now_ns)
    desk.routing = Routing(Route("{}", "{}", "ops"), {"ops": ()})
    desk.tracker.do("default", incident.id, Assign(by="bob", to="alice"), now_ns)
    assert desk.told() == []
    assert desk.said(incident.id)[-2:] == [
        "alice-phone was not told (there is no such receiver in the notification configuration)",
        "alice-mail was not told (there is no such receiver in the notification configuration)",
    ]
    desk.observe(alert(0, instance="a"))
    desk.tracker.do("default", incident.id, Assign(by="bob", to="alice"), now_ns)  # over: nothing to come for
    assert len(desk.said(incident.id)) == 13


async def test_receivers_that_refuse_are_passed_over_at_once(desk: Desk) -> None:
    incident = desk.observe(CRITICAL)
    await desk.tick()
    phone, mail = desk.messages()
    desk.incidents.finished(phone, [_refused(phone)])
    assert await desk.tick() == 0  # the mail may still arrive
    desk.incidents.finished(mail, [_refused(mail)])
    desk.told()
    assert await desk.tick() == 1
    assert desk.told() == [("bob-phone", "firing"), ("ops", "firing")]
    assert desk.said(incident.id)[4:] == [
        "alice-phone (https://hook) was not told (refused: no such chat)",
        "alice-mail (https://hook) was not told (refused: no such chat)",
        "escalated, step 2 of critical: user bob, receiver ops",
    ]


def _refused(message: Notification) -> Receipt:
    named = (message.key, message.receiver, message.integration, "https://hook", message.group_key, message.reason)
    times = (message.created_ns, message.created_ns)
    return Receipt(*named, "refused", 403, "", 1, 0.1, None, *times, "no such chat")
