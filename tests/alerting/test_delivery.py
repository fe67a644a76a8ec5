"""Messages to real receivers: retries, refusals, restarts, and no secret in any log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from alerting.notifications import Notifications
from alerting.notify.alerts import AlertRecord
from alerting.notify.channels.delivery import Delivery, DeliveryPolicy
from alerting.notify.channels.delivery_metrics import DeliveryMetrics
from alerting.notify.channels.http_client import retry_after_s
from alerting.notify.channels.model import Answer, Notification, Outcome, Sent
from alerting.notify.channels.secrets import host_of
from alerting.notify.message import fingerprint
from alerting.settings import AlertingSettings, WebhookSettings
from alerting.state_store import StateStore
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.settings import Secret
from tests.fixtures.webhook_receiver import WebhookReceiver, webhook_receiver

S = 1_000_000_000


@pytest.fixture
async def hook() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


def alert(container: str, ends_ns: int = 0) -> AlertRecord:
    labels = (("alertname", "Hot"), ("container", container))
    return AlertRecord(fingerprint(labels), labels, (), S, ends_ns, S, by_rule=True)


class Desk:
    """Notifications as the app makes them, over one store."""

    def __init__(self, path: Path, *webhooks: WebhookSettings, give_up_after_s: float = 3600) -> None:
        self.registry = CollectorRegistry()
        self.store = StateStore(path / "alerts.sqlite")
        settings = AlertingSettings(
            webhooks=webhooks,
            external_url="http://me",
            send_timeout_s=0.5,
            retry_most_s=0.2,
            give_up_after_s=give_up_after_s,
        )
        self.notifications = Notifications(settings, self.store, SystemClock(), self.registry)

    def tell(self, firing: list[str], resolved: list[str] | None = None) -> None:
        now_ns = SystemClock().now_ns()
        alerts = [*map(alert, firing), *(alert(name, now_ns) for name in resolved or [])]
        self.notifications.notifier.put("default", alerts, now_ns)

    def look(self, at_ns: int) -> None:
        """As when the clock says so."""
        self.notifications.notifier.dispatcher("default").flush_due(at_ns)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.notifications.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            while self.store.waiting():
                await asyncio.sleep(0.01)

    def outcomes(self, outcome: str) -> float | None:
        labels = {"receiver": "webhook", "integration": "webhook[0]", "outcome": outcome}
        return self.registry.get_sample_value("deckwatch_alerting_notifications_total", labels)


def to(hook: WebhookReceiver, **options: bool | int | str) -> WebhookSettings:
    return WebhookSettings(url=Secret(hook.url), **options)  # type: ignore[arg-type]


async def test_a_message_and_its_receipt(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web", "db"])
        (got,) = await hook.wait(1)
        await desk.settled()
    assert got.alerts == {"db": "firing", "web": "firing"}
    assert (got.body["receiver"], got.body["version"], got.body["externalURL"]) == ("webhook", "4", "http://me")
    assert got.body["groupKey"] == '{}:{alertname="Hot"}'
    assert got.headers["Content-Type"] == "application/json"
    (receipt,) = desk.store.receipts()
    assert (receipt.code, receipt.attempts, receipt.delivered, receipt.reason) == (200, 1, True, "new group")
    assert got.headers["Idempotency-Key"] == receipt.key
    assert desk.outcomes("delivered") == 1


async def test_counters_begin_with_zero_and_the_gauge_ends_with_its_receiver(tmp_path: Path) -> None:
    """Else a rule sees no increase in the first failure, and messages wait for ever for who is gone."""
    desk = Desk(tmp_path, WebhookSettings(url=Secret("http://127.0.0.1:9/")))
    assert [desk.outcomes(outcome) for outcome in ("delivered", "refused", "given_up")] == [0, 0, 0]
    labels = {"receiver": "webhook", "integration": "webhook[0]"}
    assert desk.registry.get_sample_value("deckwatch_alerting_outbox_messages", labels) == 0
    desk.notifications._deliveries.configure({"": {}})
    assert desk.registry.get_sample_value("deckwatch_alerting_outbox_messages", labels) is None
    desk.store.close()


async def test_only_changes_are_told(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web"])
        desk.tell(["web"])
        await hook.wait(1)
        desk.tell(["web", "db"])
        await hook.wait(2)
        desk.tell(["db"], ["web", "never told"])
        await hook.wait(3)
        await desk.settled()
        desk.tell([], ["db"])
        got = await hook.wait(4)
        desk.tell([], ["db"])
        await desk.settled()
    assert [message.alerts for message in got] == [
        {"web": "firing"},
        {"web": "firing", "db": "firing"},
        {"db": "firing", "web": "resolved"},
        {"db": "resolved"},
    ]
    assert [message.body["status"] for message in got] == ["firing", "firing", "firing", "resolved"]
    assert len(hook.got) == 4


async def test_without_send_resolved(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, to(hook, send_resolved=False))
    async with desk.open():
        desk.tell(["web"])
        await hook.wait(1)
        desk.tell([], ["web"])
        desk.tell(["web"])
        got = await hook.wait(2)
    assert [message.alerts for message in got] == [{"web": "firing"}, {"web": "firing"}]


async def test_max_alerts(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, to(hook, max_alerts=1))
    async with desk.open():
        desk.tell(["web", "db"])
        (got,) = await hook.wait(1)
    assert (got.alerts, got.body["truncatedAlerts"]) == ({"db": "firing"}, 1)


async def test_failures_are_tried_again_with_the_same_key(tmp_path: Path, hook: WebhookReceiver) -> None:
    hook.answers = [500, 503, 408]
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web"])
        got = await hook.wait(4)
        await desk.settled()
    assert len({message.headers["Idempotency-Key"] for message in got}) == 1
    assert [receipt.attempts for receipt in desk.store.receipts()] == [4]


async def test_retry_after_is_honoured(tmp_path: Path, hook: WebhookReceiver) -> None:
    hook.answers = [web.Response(status=429, headers={"Retry-After": "1"})]
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web"])
        first, second = await hook.wait(2)
    assert second.at - first.at >= 1


async def test_a_refused_message_is_dropped_and_told_again_later(tmp_path: Path, hook: WebhookReceiver) -> None:
    hook.answers = [400]
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web"])
        await hook.wait(1)
        await desk.settled()
        assert desk.outcomes("refused") == 1
        now_ns = SystemClock().now_ns()
        desk.look(now_ns + 298 * S)
        assert desk.store.waiting() == {}
        desk.look(now_ns + 301 * S)
        await hook.wait(2)
    assert desk.store.receipts()[0].code == 400


async def test_a_redirect_is_not_followed(tmp_path: Path, hook: WebhookReceiver) -> None:
    hook.answers = [web.Response(status=307, headers={"Location": "/elsewhere"})]
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        desk.tell(["web"])
        await hook.wait(1)
        await desk.settled()
    assert [got.path for got in hook.got] == ["/hook"]


async def test_the_outbox_outlives_a_restart(tmp_path: Path) -> None:
    async with webhook_receiver() as gone:
        url = gone.url
    desk = Desk(tmp_path, WebhookSettings(url=Secret(url)))
    async with desk.open():
        desk.tell(["web"])
        await asyncio.sleep(0.3)
    desk.store.close()
    async with webhook_receiver(port=int(url.split(":")[2].split("/")[0])) as back:
        again = Desk(tmp_path, WebhookSettings(url=Secret(url)))
        async with again.open():
            (got,) = await back.wait(1)
            await again.settled()
    assert got.alerts == {"web": "firing"}
    (receipt,) = again.store.receipts()
    assert receipt.attempts > 1


async def test_while_a_receiver_is_away_nothing_is_left_untold(tmp_path: Path) -> None:
    async with webhook_receiver() as gone:
        url = gone.url
    desk = Desk(tmp_path, WebhookSettings(url=Secret(url)))
    async with desk.open():
        desk.tell(["a"])
        for number in range(20):
            desk.tell([f"b{number}"], ["a"] if number == 0 else [f"b{number - 1}"])
        assert desk.store.waiting() == {"webhook": 2}
        async with webhook_receiver(port=int(url.split(":")[2].split("/")[0])) as back:
            first, second = await back.wait(2)
    assert first.alerts == {"a": "firing"}
    assert second.alerts == {"a": "resolved", **{f"b{n}": "resolved" for n in range(19)}, "b19": "firing"}


async def test_one_receiver_holds_up_no_other(tmp_path: Path, hook: WebhookReceiver) -> None:
    async with webhook_receiver() as gone:
        dead = WebhookSettings(name="dead", url=Secret(gone.url))
    desk = Desk(tmp_path, dead, to(hook))
    async with desk.open():
        desk.tell(["web"])
        await hook.wait(1, within_s=2)
        async with asyncio.timeout(5):
            while desk.store.waiting() != {"dead": 1}:
                await asyncio.sleep(0.01)


async def test_a_message_that_nobody_takes_is_given_up(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [500] * 50
    desk = Desk(tmp_path, to(hook), give_up_after_s=0.3)
    async with desk.open():
        desk.tell(["web"])
        await desk.settled()
    assert desk.outcomes("given_up") == 1
    assert "is given up" in caplog.text


async def test_a_slow_receiver_times_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    from aiohttp.test_utils import TestServer

    app = web.Application()
    app.add_routes([web.post("/", slow)])
    server = TestServer(app)
    async with server:
        desk = Desk(tmp_path, WebhookSettings(url=Secret(str(server.make_url("/")))))
        async with desk.open():
            desk.tell(["web"])
            await asyncio.sleep(0.9)
    assert "did not answer within 0.5 s" in caplog.text


async def test_secrets_come_from_files_and_stay_out_of_logs(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "url").write_text(f"{hook.url}/T0PSECRET\n")
    (tmp_path / "token").write_text("t0ken\n")
    hook.answers = [500, 400]
    settings = WebhookSettings(url_file=str(tmp_path / "url"), token_file=str(tmp_path / "token"))
    desk = Desk(tmp_path, settings)
    async with desk.open():
        desk.tell(["web"])
        await hook.wait(2)
        await desk.settled()
    assert hook.got[0].path == "/hook/T0PSECRET"
    assert hook.got[0].headers["Authorization"] == "Bearer t0ken"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("alerting", "asyncio"))]
    shown = "".join(ours) + "".join(receipt.error for receipt in desk.store.receipts())
    assert "answered 500" in shown
    assert "T0PSECRET" not in shown
    assert "t0ken" not in shown


async def test_a_store_that_fails_holds_messages_up_and_ends_nothing(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path, to(hook))
    async with desk.open():
        await asyncio.sleep(0.1)
        with desk.store.database.transaction() as connection:
            connection.execute("ALTER TABLE outbox RENAME TO away")
        desk.notifications._deliveries.wake()
        await asyncio.sleep(0.3)
        with desk.store.database.transaction() as connection:
            connection.execute("ALTER TABLE away RENAME TO outbox")
        desk.tell(["web"])
        await hook.wait(1)
    assert caplog.text.count("messages to webhook webhook[0] are held up") == 1


async def test_a_store_that_fails_at_the_start_is_waited_for(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path, to(hook))
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE outbox RENAME TO away")
    async with desk.open():
        await asyncio.sleep(0.1)
        with desk.store.database.transaction() as connection:
            connection.execute("ALTER TABLE away RENAME TO outbox")
        desk.tell(["web"])
        await hook.wait(1)
    assert "the outbox can't be looked through" in caplog.text


class Unclosable:
    """An integration whose connections can't be closed."""

    name = "webhook[0]"
    send_resolved = True
    at_once = 1

    def wait_s(self, monotonic_s: float) -> float:
        return 0.0

    async def send(self, notification: Notification) -> Sent:
        return Sent((Answer(Outcome.DELIVERED, self.name),))

    async def close(self) -> None:
        raise OSError("no")


async def test_an_integration_that_cant_be_closed_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = StateStore(tmp_path / "alerts.sqlite")
    receivers = {"ops": (Unclosable(),)}
    delivery = Delivery(store.outbox(""), receivers, SystemClock(), DeliveryMetrics(CollectorRegistry()))
    task = asyncio.create_task(delivery.run())
    await asyncio.sleep(0.05)
    delivery.configure({"ops": (Unclosable(),)}, DeliveryPolicy())
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.text.count("webhook[0] could not be closed") == 2
    store.close()


async def test_a_missing_secret_file_is_waited_for(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, WebhookSettings(url_file=str(tmp_path / "url")))
    async with desk.open():
        desk.tell(["web"])
        await asyncio.sleep(0.2)
        (tmp_path / "url").write_text(hook.url)
        await hook.wait(1)


def test_faults_of_receivers_come_together(tmp_path: Path) -> None:
    with pytest.raises(Unusable) as caught:
        Desk(
            tmp_path,
            WebhookSettings(),
            WebhookSettings(name="a", url=Secret("ftp://x")),
            WebhookSettings(name="a", url=Secret("http://x"), url_file="f"),
            WebhookSettings(name="b", url=Secret("http://[")),
        )
    lines = str(caught.value).splitlines()
    assert lines == [
        "alerting.webhooks 1 (webhook): give either url or url_file",
        "alerting.webhooks 2 (a): url must be http:// or https:// and name a host",
        "alerting.webhooks 3 (a): give either url or url_file",
        "alerting.webhooks 4 (b): url must be http:// or https:// and name a host",
        "alerting.webhooks: the name a stands 2 times",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org/services/T0/B0/secret?token=x", "https://hooks.example.org"),
        ("http://user:pass@127.0.0.1:8080/x", "http://127.0.0.1:8080"),
    ],
)
def test_host_of(url: str, shown: str) -> None:
    assert host_of(url) == shown


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("86400", 3600.0),
        (" 5 ", 5.0),
        ("soon", None),
        (format_datetime(datetime.fromtimestamp(1_000_060, UTC), usegmt=True), 60.0),
        (format_datetime(datetime.fromtimestamp(0, UTC), usegmt=True), 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, 1_000_000) == seconds


async def test_messages_to_a_receiver_that_is_gone_are_given_up_after_a_while(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path, to(hook, name="old"))
    desk.tell(["web"])
    desk.store.close()
    again = Desk(tmp_path, to(hook), give_up_after_s=0.5)
    again.notifications.forget()
    assert again.store.waiting() == {"old": 1}  # it may come back
    await asyncio.sleep(0.6)
    again.notifications.forget()
    assert again.store.waiting() == {}
    (receipt,) = again.store.receipts()
    assert (receipt.receiver, receipt.outcome) == ("old", "given_up")
    assert receipt.error == "old webhook[0] is no longer configured"
    assert "webhook[0] of the receiver old is no longer configured" in caplog.text
    again.store.close()


async def test_a_database_that_fails_holds_groups_up_and_is_told_once(
    tmp_path: Path, hook: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path, to(hook))
    name = "deckwatch_alerting_group_look_failures_total"
    async with desk.open():
        await asyncio.sleep(0.1)
        with desk.store.database.transaction() as connection:
            connection.execute("ALTER TABLE outbox RENAME TO away")
        with pytest.raises(sqlite3.OperationalError):
            desk.tell(["web"])
        dispatcher = desk.notifications.notifier.dispatcher("default")
        now_ns = SystemClock().now_ns()
        later = msgspec.structs.replace(dispatcher.routing.root, group_wait_ns=S // 2, at_once=False)
        dispatcher.configure(msgspec.structs.replace(dispatcher.routing, root=later), now_ns)
        dispatcher.put([msgspec.structs.replace(alert("web"), starts_ns=now_ns)], now_ns)
        desk.notifications.notifier._changed.set()
        async with asyncio.timeout(20):
            while (desk.registry.get_sample_value(name) or 0) < 2:
                await asyncio.sleep(0.05)
        with desk.store.database.transaction() as connection:
            connection.execute("ALTER TABLE away RENAME TO outbox")
        await hook.wait(1)
    assert caplog.text.count("groups of alerts can't be told of") == 1


async def test_a_tenant_whose_groups_cant_be_told_of_holds_up_no_other(tmp_path: Path, hook: WebhookReceiver) -> None:
    desk = Desk(tmp_path, to(hook))
    with desk.store.database.transaction() as connection:  # a disk that fails at what only this tenant has
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON outbox WHEN NEW.tenant = 'a'"
            " BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
        )
    now_ns = SystemClock().now_ns()
    async with desk.open():
        for tenant in ("a", "b"):
            dispatcher = desk.notifications.notifier.dispatcher(tenant)
            later = msgspec.structs.replace(dispatcher.routing.root, group_wait_ns=S // 2, at_once=False)
            dispatcher.configure(msgspec.structs.replace(dispatcher.routing, root=later), now_ns)
            dispatcher.put([msgspec.structs.replace(alert(tenant), starts_ns=now_ns)], now_ns)
        desk.notifications.notifier._changed.set()
        (got,) = await hook.wait(1)
        assert got.alerts == {"b": "firing"}
        with desk.store.database.transaction() as connection:
            connection.execute("DROP TRIGGER broken")
        assert (await hook.wait(2))[1].alerts == {"a": "firing"}
