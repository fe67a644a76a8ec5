"""The outbox is emptied: one worker a receiver, so that a receiver that is away holds up nobody else."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerting.notify.message import group_key, ordered_alerts, webhook_body
from alerting.notify.receivers import Receiver
from alerting.notify.webhook import RejectAnswer, RetryAnswer, post
from alerting.state_store import Message, Queued, Receipt, StateStore
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault, Reject, Retry

log = logging.getLogger(__name__)

REFUSED_AGAIN_NS = 300_000_000_000
"""A group whose message was refused is told again after this, if it still fires (Alertmanager: group_interval)."""


class DeliveryMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter(
            "deckwatch_alerting_notifications_total",
            "Messages to receivers by how they ended: delivered, refused, given_up.",
            ["receiver", "outcome"],
            registry=registry,
        )
        self.attempts = Counter(
            "deckwatch_alerting_notification_attempts_total",
            "Tries to deliver a message.",
            ["receiver"],
            registry=registry,
        )
        self.latency = Histogram(
            "deckwatch_alerting_notification_latency_seconds",
            "From the change of an alert to the receiver's answer.",
            ["receiver"],
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
            registry=registry,
        )
        self.waiting = Gauge(
            "deckwatch_alerting_outbox_messages", "Messages that wait for a receiver.", ["receiver"], registry=registry
        )


class Delivery:
    """Workers live in `run`. `wake` tells them that the outbox has something new."""

    def __init__(
        self,
        store: StateStore,
        receivers: tuple[Receiver, ...],
        clock: Clock,
        metrics: DeliveryMetrics,
        *,
        external_url: str,
        timeout_s: float,
        retry_most_s: float,
        give_up_after_s: float,
        repeat_interval_ns: int,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._clock = clock
        self._metrics = metrics
        self._external_url = external_url
        self._timeout_s = timeout_s
        self._retry_most_s = retry_most_s
        self._give_up_ns = int(give_up_after_s * 1e9)
        self._repeat_interval_ns = repeat_interval_ns
        self._wakers = {receiver.name: asyncio.Event() for receiver in receivers}

    def wake(self) -> None:
        for waker in self._wakers.values():
            waker.set()

    async def run(self) -> None:
        """Until it is cancelled. A message whose POST is cut off is sent again, with the same key, after a restart."""
        for name in self._store.queue_lengths().keys() - self._wakers.keys():
            log.warning("the outbox holds messages for the receiver %s, which is no longer configured", name)
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for receiver in self._receivers:
                tasks.create_task(self._work(session, receiver), name=f"deliver to {receiver.name}")
            await asyncio.Event().wait()  # without receivers too

    async def _work(self, session: aiohttp.ClientSession, receiver: Receiver) -> None:
        backoff = Backoff(first_s=0.5, most_s=self._retry_most_s)
        while True:
            try:
                await self._deliver_next(session, receiver)
            except Retry as fault:
                if backoff.failures == 0:
                    log.warning("%s; it is tried again", fault)
                await self._clock.sleep(backoff.next_s(fault.after_s))
            except Exception:  # a full disk or a fault of ours over one message ends neither alerting nor the collector
                if backoff.failures == 0:
                    log.exception("messages to %s are held up; they are tried again", receiver.name)
                await self._clock.sleep(backoff.next_s())
            else:
                if backoff.failures:
                    log.info("receiver %s takes messages again", receiver.name)
                backoff.reset()

    async def _deliver_next(self, session: aiohttp.ClientSession, receiver: Receiver) -> None:
        waker = self._wakers[receiver.name]
        waker.clear()
        self._metrics.waiting.labels(receiver.name).set(self._store.queue_lengths().get(receiver.name, 0))
        queued = self._store.next(receiver.name)
        if queued is None:
            await waker.wait()
        else:
            await self._deliver(session, receiver, queued)

    async def _deliver(self, session: aiohttp.ClientSession, receiver: Receiver, queued: Queued) -> None:
        """Raises Retry where the message is still to be delivered."""
        self._metrics.attempts.labels(receiver.name).inc()
        body = message_body(receiver, queued.message, self._external_url)
        self._store.tried(queued, self._clock.now_ns())
        try:
            code = await post(session, receiver, body, queued.message.key, timeout_s=self._timeout_s)
        except Retry as fault:
            if self._clock.now_ns() - queued.message.created_ns < self._give_up_ns:
                raise
            self._finish(queued, fault, "given_up")
            log.error("a message to %s is given up, it could not be delivered for too long: %s", receiver.name, fault)
        except Reject as fault:
            self._finish(queued, fault, "refused")
            self._tell_again_later(queued)
            log.error("%s: the message about %s is dropped", fault, queued.group_key)
        else:
            self._finish(queued, code, "delivered")

    def _finish(self, queued: Queued, ending: int | Fault, outcome: str) -> None:
        now_ns = self._clock.now_ns()
        code = ending if isinstance(ending, int) else 0
        if isinstance(ending, RetryAnswer | RejectAnswer):
            code = ending.code
        receipt = Receipt(
            queued.message.key,
            queued.receiver,
            queued.group_key,
            queued.message.reason,
            code,
            queued.attempts + 1,
            queued.message.created_ns,
            now_ns,
            outcome == "delivered",
            "" if isinstance(ending, int) else str(ending),
        )
        self._store.finish(queued, receipt)
        self._metrics.sent.labels(queued.receiver, outcome).inc()
        if receipt.delivered:
            self._metrics.latency.labels(queued.receiver).observe((now_ns - receipt.created_ns) / 1e9)

    def _tell_again_later(self, queued: Queued) -> None:
        """The receiver does not know what it refused: the group's repeat is due early."""
        told = self._store.told(queued.receiver, queued.group_key)
        if told is not None:
            at_ns = self._clock.now_ns() + REFUSED_AGAIN_NS - self._repeat_interval_ns
            self._store.save_told(
                queued.receiver, queued.group_key, msgspec.structs.replace(told, at_ns=min(told.at_ns, at_ns))
            )


def message_body(receiver: Receiver, message: Message, external_url: str) -> dict[str, object]:
    alerts = ordered_alerts(message.alerts)
    kept = alerts[: receiver.max_alerts] if receiver.max_alerts else alerts
    return webhook_body(
        receiver.name,
        group_key(message.group_labels),
        message.group_labels,
        kept,
        external_url,
        truncated=len(alerts) - len(kept),
    )
