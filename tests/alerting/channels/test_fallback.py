"""Delivery from the outbox: each target's receipt, the fallback receiver, reloads, rate limits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from alerting.notify.channels.delivery import Delivery, DeliveryPolicy, Receivers
from alerting.notify.channels.delivery_metrics import DeliveryMetrics
from alerting.notify.channels.model import Answer, Notification, Outcome, Queued, Receipt, Sent, Undelivered
from alerting.notify.channels.pace import Pace
from alerting.notify.channels.receipts import after, for_fallback, receipts_of
from alerting.notify.channels.worker import Worker
from alerting.state_store import StateStore
from deckwatch.runtime.clock import ManualClock, SystemClock
from tests.fixtures.channels import alert, integrations, notification
from tests.fixtures.chat_services import Canned, ChatService, Rules, chat_service, hook, slack_webhook
from tests.fixtures.mail_server import mail_server


class Desk:
    """A delivery over a store on disk."""

    def __init__(self, folder: Path, receivers: Receivers, **policy: Any) -> None:
        self.store = StateStore(folder / "alerts.sqlite")
        self.outbox = self.store.outbox()
        self.registry = CollectorRegistry()
        self.policy = msgspec.structs.replace(DeliveryPolicy(retry_most_s=0.1), **policy)
        self.delivery = Delivery(self.outbox, receivers, SystemClock(), DeliveryMetrics(self.registry), self.policy)

    def tell(self, receiver: str, integration: str, key: str = "k1", container: str = "web") -> None:
        told = msgspec.structs.replace(
            notification(alert(container), key=key),
            receiver=receiver,
            integration=integration,
            group_key=f"{{}}:{container}",
            created_ns=time.time_ns(),
        )
        self.outbox.add(told, None)
        self.delivery.wake()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.delivery.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, receipts: int) -> list[Receipt]:
        async with asyncio.timeout(10):
            while len(self.store.receipts()) < receipts:
                await asyncio.sleep(0.01)
        return self.store.receipts()


def webhooks(**urls: str) -> dict[str, tuple[Any, ...]]:
    return {name: integrations({"webhook_configs": [{"url": f"{url}/s3cret"}]}) for name, url in urls.items()}


@contextlib.asynccontextmanager
async def two(first: Rules = hook, second: Rules = hook) -> AsyncIterator[tuple[ChatService, ChatService]]:
    async with chat_service(first) as one, chat_service(second) as other:
        yield one, other


async def test_a_receipt_says_how_it_went(tmp_path: Path) -> None:
    async with chat_service(slack_webhook) as service:
        receivers = {"ops": integrations({"slack_configs": [{"api_url": f"{service.url}/s3cret"}]})}
        desk = Desk(tmp_path, receivers)
        service.answers = [Canned(503), Canned(429, "", {"Retry-After": "0.2"}), Canned(200, "invalid_token")]
        async with desk.open():
            desk.tell("ops", "slack[0]")
            (receipt,) = await desk.until(1)
    assert (receipt.outcome, receipt.code, receipt.business_code, receipt.attempts) == (
        "refused",
        200,
        "invalid_token",
        3,
    )
    assert (receipt.receiver, receipt.integration, receipt.target) == ("ops", "slack[0]", service.url)
    assert receipt.latency_s > 0
    assert service.got[2].at - service.got[1].at >= 0.2
    assert "s3cret" not in repr(receipt)


async def test_who_was_not_reached_is_told_to_the_fallback_receiver(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with two() as (ops, boss):
        desk = Desk(tmp_path, webhooks(ops=ops.url, boss=boss.url), fallback="boss")
        ops.answers = [Canned(400, "no such hook")]
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            refused, told = await desk.until(2)
    assert (refused.receiver, refused.outcome, refused.fallback) == ("ops", "refused", "boss")
    assert (told.receiver, told.outcome, told.fallback) == ("boss", "delivered", "")
    error = f"{ops.url}: refused the message with 400: no such hook"
    assert boss.got[0].body["undelivered"] == {
        "receiver": "ops",
        "integration": "webhook[0]",
        "targets": [ops.url],
        "error": error,
    }
    assert boss.got[0].body["alerts"] == ops.got[0].body["alerts"]
    assert boss.got[0].headers["Idempotency-Key"] != ops.got[0].headers["Idempotency-Key"]
    assert "boss is told instead" in caplog.text


async def test_a_fallback_that_fails_tells_nobody_else(tmp_path: Path) -> None:
    async with two() as (ops, boss):
        desk = Desk(tmp_path, webhooks(ops=ops.url, boss=boss.url), fallback="boss")
        ops.answers, boss.answers = [Canned(400)], [Canned(400)]
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            receipts = await desk.until(2)
            await asyncio.sleep(0.1)
    assert [(receipt.receiver, receipt.outcome) for receipt in receipts] == [("ops", "refused"), ("boss", "refused")]
    assert desk.outbox.queue_lengths() == {}


async def test_a_message_that_waits_is_told_to_the_fallback_once_and_tried_on(tmp_path: Path) -> None:
    async with two() as (ops, boss):
        desk = Desk(tmp_path, webhooks(ops=ops.url, boss=boss.url), fallback="boss", fallback_after_s=0.2)
        ops.answers = [Canned(503)] * 8
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            late, reached = await desk.until(2)
    assert (late.receiver, late.outcome) == ("boss", "delivered")
    assert (reached.receiver, reached.outcome, reached.attempts) == ("ops", "delivered", 9)
    assert len(boss.got) == 1


async def test_the_fallback_survives_a_restart(tmp_path: Path) -> None:
    """It joined the outbox in the transaction in which the other message left it."""
    async with two() as (ops, boss):
        receivers = webhooks(ops=ops.url)
        desk = Desk(
            tmp_path,
            {**receivers, "boss": integrations({"webhook_configs": [{"url": "http://127.0.0.1:1"}]})},
            fallback="boss",
        )
        ops.answers = [Canned(400)]
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            await desk.until(1)
        desk.store.close()
        again = Desk(tmp_path, webhooks(ops=ops.url, boss=boss.url), fallback="boss")
        async with again.open():
            _, told = await again.until(2)
    assert (told.receiver, told.outcome) == ("boss", "delivered")


async def test_each_recipient_gets_a_mail_once(tmp_path: Path) -> None:
    async with mail_server() as server:
        server.refuse = {"b@example.org": "450 greylisted", "c@example.org": "550 no such user"}
        config = {
            "to": "a@example.org, b@example.org, c@example.org",
            "from": "me@example.org",
            "smarthost": f"127.0.0.1:{server.port}",
            "require_tls": False,
        }
        desk = Desk(tmp_path, {"ops": integrations({"email_configs": [config]})})
        async with desk.open():
            desk.tell("ops", "email[0]")
            first = await desk.until(2)
            server.refuse = {}
            receipts = await desk.until(3)
    assert [(receipt.target, receipt.outcome) for receipt in first] == [
        ("a@example.org", "delivered"),
        ("c@example.org", "refused"),
    ]
    assert (receipts[2].target, receipts[2].outcome) == ("b@example.org", "delivered")
    assert receipts[2].attempts > 1
    assert [mail.recipients for mail in server.taken] == [("a@example.org",), ("b@example.org",)]


async def test_another_configuration_while_a_message_is_tried(tmp_path: Path) -> None:
    """It does not wait for the back-off of a receiver that was mended."""
    async with two() as (broken, mended):
        broken.answers = [Canned(429, "", {"Retry-After": "60"})]
        desk = Desk(tmp_path, webhooks(ops=broken.url))
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            async with asyncio.timeout(5):
                while not broken.got:
                    await asyncio.sleep(0.01)
            desk.delivery.configure(webhooks(ops=mended.url), desk.policy)
            (receipt,) = await desk.until(1)
            desk.delivery.configure({}, desk.policy)
            desk.tell("ops", "webhook[0]", key="k2")
            await asyncio.sleep(0.1)
            assert len(mended.got) == 1
            desk.delivery.configure(webhooks(ops=mended.url), desk.policy)
            await desk.until(2)
    assert (receipt.target, receipt.outcome, receipt.attempts) == (mended.url, "delivered", 2)
    assert [got.headers["Idempotency-Key"] for got in mended.got] == ["k1", "k2"]


async def test_a_try_on_its_way_ends_before_the_next_configuration_takes_over(tmp_path: Path) -> None:
    async with chat_service(hook) as service:
        service.delay_s = 0.3
        desk = Desk(tmp_path, webhooks(ops=service.url))
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            await asyncio.sleep(0.1)
            desk.delivery.configure(webhooks(ops=service.url), desk.policy)
            await desk.until(1)
            await asyncio.sleep(0.1)
    assert len(service.got) == 1


class Broken:
    """An integration with a fault of ours."""

    name, send_resolved, at_once = "webhook[0]", True, 1

    def wait_s(self, monotonic_s: float) -> float:
        return 0.0

    async def send(self, notification: Notification) -> Sent:
        raise ZeroDivisionError

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_fault_of_ours_over_a_message_is_told_of_too(tmp_path: Path) -> None:
    async with chat_service(hook) as boss:
        receivers = {**webhooks(boss=boss.url), "ops": (Broken(),)}
        desk = Desk(tmp_path, receivers, fallback="boss", fallback_after_s=0.1, give_up_after_s=0.5)
        async with desk.open():
            desk.tell("ops", "webhook[0]")
            told, given_up = await desk.until(2)
    assert (told.receiver, told.outcome) == ("boss", "delivered")
    assert (given_up.outcome, given_up.error) == ("given_up", "a fault of Deckwatch: ZeroDivisionError")


async def test_a_slow_service_is_sent_several_groups_at_once_and_each_group_in_order(tmp_path: Path) -> None:
    async with chat_service(hook) as service:
        service.delay_s = 0.3
        desk = Desk(tmp_path, webhooks(ops=service.url))
        for number in range(8):
            desk.tell("ops", "webhook[0]", key=f"k{number}", container=f"c{number % 4}")
        started = time.monotonic()
        async with desk.open():
            receipts = await desk.until(8)
        took_s = time.monotonic() - started
    assert 0.6 <= took_s < 2.0
    ended = {receipt.key: receipt.ended_ns for receipt in receipts}
    assert all(ended[f"k{number}"] <= ended[f"k{number + 4}"] - 300_000_000 for number in range(4))


def test_tries_that_fail_together_are_one_failure() -> None:
    """Else four lanes would drive the wait up as if the service had failed four times in a row."""
    worker = Worker(ManualClock())
    worker.starts(60.0)
    first = worker.round
    assert [worker.failed(first, after_s) for after_s in (None, 5.0, None, None)] == [True, False, False, False]
    assert (worker.failures, worker.round) == (1, first + 1)
    assert not worker.went_well(first)  # began before the failure
    assert not worker.failed(worker.round, None)
    assert worker.failures == 2
    assert worker.went_well(worker.round)
    assert worker.failures == 0
    assert not worker.went_well(worker.round)


async def test_all_lanes_wait_as_long_as_the_longest_wish() -> None:
    clock = ManualClock()
    worker = Worker(clock)
    worker.starts(0.1)
    worker.failed(worker.round, None)
    worker.failed(worker.round - 1, 30.0)
    resting = asyncio.create_task(worker.rest())
    for _ in range(5):  # until it sleeps
        await asyncio.sleep(0)
    await clock.advance(29.0)
    assert not resting.done()
    await clock.advance(2.0)
    await asyncio.wait_for(resting, 1.0)


async def test_a_rate_limit_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No message is lost, and none is sent too early."""
    monkeypatch.setattr("alerting.notify.channels.discord.MOST", 2)
    monkeypatch.setattr("alerting.notify.channels.discord.WINDOW_S", 0.5)
    async with chat_service(lambda got: Canned(204)) as service:
        receivers = {"ops": integrations({"discord_configs": [{"webhook_url": service.url}]})}
        desk = Desk(tmp_path, receivers)
        async with desk.open():
            for number in range(5):
                desk.tell("ops", "discord[0]", key=f"k{number}", container=f"c{number}")
            await desk.until(5)
    times = [got.at for got in service.got]
    assert all(later - earlier >= 0.45 for earlier, later in zip(times, times[2:], strict=False))


@pytest.mark.parametrize(
    ("times", "now", "wait_s"),
    [([], 0.0, 0.0), ([0.0], 1.0, 0.0), ([0.0, 1.0], 2.0, 58.0), ([0.0, 1.0], 61.0, 0.0), ([0.0, 1.0, 2.0], 2.0, 59.0)],
)
def test_pace(times: list[float], now: float, wait_s: float) -> None:
    pace = Pace(2, 60.0)
    for at in times:
        pace.took(at)
    assert pace.wait_s(now) == wait_s


def of(outcome: Outcome, target: str = "t", error: str = "e") -> Answer:
    return Answer(outcome, target, error="" if outcome is Outcome.DELIVERED else error)


D, RETRY, REFUSED = Outcome.DELIVERED, Outcome.RETRY, Outcome.REFUSED


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [((D, D), D), ((D, REFUSED), REFUSED), ((REFUSED, RETRY), RETRY), ((D, RETRY), RETRY), ((D,), D)],
)
def test_the_outcome_of_several_targets(answers: tuple[Outcome, ...], outcome: Outcome) -> None:
    assert Sent(tuple(of(answer) for answer in answers)).outcome is outcome


def told(**changes: Any) -> Notification:
    return msgspec.structs.replace(notification(), integration="email[0]", **changes)


@pytest.mark.parametrize(
    ("notification", "answers", "fallback", "targets"),
    [
        (told(), (of(REFUSED, "a"), of(D, "b")), "boss", [("a",), ("a",)]),
        (told(), (of(RETRY, "a"), of(REFUSED, "b")), "boss", [("a", "b"), ("a", "b")]),
        (told(), (of(D, "a"),), "boss", []),
        (told(receiver="boss"), (of(REFUSED, "a"),), "boss", []),
        (told(undelivered=Undelivered("x", "y", (), "")), (of(REFUSED, "a"),), "boss", []),
    ],
)
def test_for_fallback(
    notification: Notification, answers: tuple[Answer, ...], fallback: str, targets: list[tuple[str, ...]]
) -> None:
    made = for_fallback(notification, Sent(answers), fallback, ["slack[0]", "email[0]"], 5)
    assert [one.undelivered.targets for one in made if one.undelivered] == targets
    assert {one.integration for one in made} == ({"slack[0]", "email[0]"} if targets else set())
    assert len({one.key for one in made}) == len(made)


def test_after_and_receipts() -> None:
    sent = Sent((of(D, "a"), of(REFUSED, "b"), of(RETRY, "c")))
    assert after(told(reached=("x",)), sent).reached == ("x", "a", "b")
    untouched = told()
    assert after(untouched, Sent((of(RETRY, "c"),))) is untouched
    receipts = receipts_of(Queued(1, told(), 2), sent.answers, 9, given_up=True, fallback="boss")
    assert [(one.target, one.outcome, one.fallback, one.attempts) for one in receipts] == [
        ("a", "delivered", "", 3),
        ("b", "refused", "boss", 3),
        ("c", "given_up", "boss", 3),
    ]
