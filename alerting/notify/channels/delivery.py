"""The outbox is emptied: a worker for each integration, so that a receiver that is away holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping

import msgspec

from alerting.notify.channels.delivery_metrics import DeliveryMetrics
from alerting.notify.channels.model import Answer, Integration, Notification, Outbox, Outcome, Queued, Receipt, Sent
from alerting.notify.channels.receipts import GIVEN_UP, after, for_fallback, receipts_of
from alerting.notify.channels.worker import Worker
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry

log = logging.getLogger(__name__)

OBSERVE_EVERY_S = 1.0

Receivers = Mapping[str, tuple[Integration, ...]]
Key = tuple[str, str]
"""(receiver, integration)"""


class DeliveryPolicy(msgspec.Struct, frozen=True):
    """`fallback`: the receiver that is told when a message was refused, given up, or has waited for
    `fallback_after_s`; empty: nobody is. It must be one of the receivers."""

    retry_most_s: float = 60.0
    give_up_after_s: float = 259_200.0
    fallback: str = ""
    fallback_after_s: float = 300.0


class Delivery:
    """Workers live in `run`. `wake` tells them that the outbox has something new, `configure` gives them other
    integrations: a try that is on its way ends with the old one."""

    def __init__(
        self,
        outbox: Outbox,
        receivers: Receivers,
        clock: Clock,
        metrics: DeliveryMetrics,
        policy: DeliveryPolicy = DeliveryPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._workers: dict[Key, Worker] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._receivers: Receivers = {}
        self._observe_at = 0.0  # monotonic
        self.configure(receivers, policy)

    def wake(self) -> None:
        for worker in self._workers.values():
            worker.changed.set()

    def configure(self, receivers: Receivers, policy: DeliveryPolicy) -> None:
        """May be called at any time."""
        self._policy = policy
        self._receivers = receivers
        wanted = {(name, one.name): one for name, integrations in receivers.items() for one in integrations}
        for key in wanted:
            self._metrics.begin(*key)
        for key in self._workers.keys() | wanted.keys():
            worker = self._workers.setdefault(key, Worker(self._clock))
            worker.give(wanted.get(key))
            self._start_or_drop(key, worker)

    async def run(self) -> None:
        """Until it is cancelled. A message whose try is cut off is sent again, with the same key, after a restart."""
        self._tell_orphans()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for key, worker in list(self._workers.items()):
                    self._start_or_drop(key, worker)
                await asyncio.Event().wait()  # without receivers too
        finally:
            self._tasks = None
            for worker in self._workers.values():
                if worker.integration is not None:
                    await _close(worker.integration)

    def _tell_orphans(self) -> None:
        """A database that can't be read now is no reason to deliver nothing later: the lanes wait for it."""
        try:
            orphans = self._outbox.queue_lengths().keys() - self._workers.keys()
        except sqlite3.Error as error:
            log.warning("the outbox can't be looked through for receivers that are no longer configured: %s", error)
            return
        for receiver, integration in sorted(orphans):
            log.warning("the outbox holds messages for %s %s, which is no longer configured", receiver, integration)

    # Workers --------------------------------------------------------------------------------------------------------

    def _start_or_drop(self, key: Key, worker: Worker) -> None:
        if worker.runs:
            return
        if worker.integration is None:
            del self._workers[key]
            self._metrics.end(*key)
        elif self._tasks is not None:
            worker.runs = True
            self._tasks.create_task(self._work(key, worker), name=f"deliver to {' '.join(key)}")

    async def _work(self, key: Key, worker: Worker) -> None:
        """Each integration is closed here, after the tries that may be on their way when another takes its place."""
        while (integration := worker.integration) is not None:
            worker.starts(self._policy.retry_most_s)
            async with asyncio.TaskGroup() as lanes:
                for number in range(integration.at_once):
                    lanes.create_task(self._lane(key, worker, integration), name=f"{' '.join(key)} {number}")
            await _close(integration)
        worker.runs = False
        self._start_or_drop(key, worker)

    async def _lane(self, key: Key, worker: Worker, integration: Integration) -> None:
        while worker.integration is integration:
            await worker.rest()
            started_in = worker.round
            try:
                delivered = await self._deliver_next(key, worker, integration)
            except Retry as fault:
                if worker.failed(started_in, fault.after_s):
                    log.warning("receiver %s: %s; it is tried again", key[0], fault)
            except Exception:  # a full disk over one message ends neither alerting nor the collector
                if worker.failed(started_in, None):
                    log.exception("messages to %s %s are held up; they are tried again", *key)
            else:
                if delivered and worker.went_well(started_in):
                    log.info("receiver %s %s takes messages again", *key)

    # One message ----------------------------------------------------------------------------------------------------

    async def _deliver_next(self, key: Key, worker: Worker, integration: Integration) -> bool:
        """Has the service answered? Raises Retry."""
        if worker.integration is not integration:
            return False
        worker.changed.clear()
        self._observe()
        queued = self._outbox.next(*key, worker.in_flight)
        if queued is None:
            if not worker.in_flight:
                self._metrics.waiting.labels(*key).set(0)
            await worker.changed.wait()
            return False
        wait_s = integration.wait_s(self._clock.monotonic())
        if wait_s > 0:  # the service's rate limit; another message may be due by then
            await worker.pause(wait_s)
            return False
        worker.in_flight.add(queued.id)
        try:
            await self._deliver(integration, queued)
        finally:
            worker.in_flight.discard(queued.id)
        return True

    def _observe(self) -> None:
        """Not with each message: it counts all that wait."""
        if self._clock.monotonic() < self._observe_at:
            return
        self._observe_at = self._clock.monotonic() + OBSERVE_EVERY_S
        lengths = self._outbox.queue_lengths()
        for key in self._workers:
            self._metrics.waiting.labels(*key).set(lengths.get(key, 0))

    async def _deliver(self, integration: Integration, queued: Queued) -> None:
        """Raises Retry where the message is still to be delivered."""
        notification = queued.notification
        self._metrics.attempts.labels(notification.receiver, notification.integration).inc()
        self._outbox.tried(queued, self._clock.now_ns())
        sent = await self._send(integration, notification)
        waited_s = (self._clock.now_ns() - notification.created_ns) / 1e9
        if sent.outcome is Outcome.RETRY and waited_s < self._policy.give_up_after_s:
            self._keep(queued, sent, waited_s)
            raise Retry(_problem(sent), after_s=sent.retry_after_s)
        self._finish(queued, sent)

    async def _send(self, integration: Integration, notification: Notification) -> Sent:
        try:
            return await integration.send(notification)
        except Exception as fault:  # ours, over one message: it is retried, given up and told of like any other failure
            log.exception("receiver %s %s: this message can't be sent", notification.receiver, integration.name)
            return Sent(
                (Answer(Outcome.RETRY, integration.name, error=f"a fault of Deckwatch: {type(fault).__name__}"),)
            )

    def _keep(self, queued: Queued, sent: Sent, waited_s: float) -> None:
        """It stays in the outbox; what has become of it so far is kept, and the fallback receiver may be due."""
        left = after(queued.notification, sent)
        instead: tuple[Notification, ...] = ()
        refused = any(answer.outcome is Outcome.REFUSED for answer in sent.answers)
        if (refused or waited_s >= self._policy.fallback_after_s) and not left.fell_back:
            instead = self._instead(queued.notification, sent)
            left = msgspec.structs.replace(left, fell_back=True) if instead else left
        if left == queued.notification:
            return
        done = [answer for answer in sent.answers if answer.outcome is not Outcome.RETRY]
        receipts = receipts_of(queued, done, self._clock.now_ns(), fallback=self._policy.fallback if instead else "")
        self._outbox.replace(queued, left, receipts, instead)
        self._count(receipts)
        if instead:
            self.wake()

    def _finish(self, queued: Queued, sent: Sent) -> None:
        notification = queued.notification
        instead = () if notification.fell_back else self._instead(notification, sent)
        told = self._policy.fallback if instead or notification.fell_back else ""
        receipts = receipts_of(queued, sent.answers, self._clock.now_ns(), given_up=True, fallback=told)
        self._outbox.finish(queued, receipts, instead)
        self._count(receipts)
        for receipt in receipts:
            if not receipt.delivered:
                _complain(receipt, told)
        if instead:
            self.wake()

    def _instead(self, notification: Notification, sent: Sent) -> tuple[Notification, ...]:
        names = [one.name for one in self._receivers.get(self._policy.fallback, ())]
        return for_fallback(notification, sent, self._policy.fallback, names, self._clock.now_ns())

    def _count(self, receipts: tuple[Receipt, ...]) -> None:
        for receipt in receipts:
            self._metrics.sent.labels(receipt.receiver, receipt.integration, receipt.outcome).inc()
            if receipt.delivered:
                waited_s = (receipt.ended_ns - receipt.created_ns) / 1e9
                self._metrics.latency.labels(receipt.receiver, receipt.integration).observe(waited_s)


async def _close(integration: Integration) -> None:
    try:
        await integration.close()
    except Exception:  # its connections are of no more use to anybody; the other receivers' are
        log.exception("%s could not be closed", integration.name)


def _problem(sent: Sent) -> str:
    errors = dict.fromkeys(answer.error for answer in sent.answers if answer.outcome is Outcome.RETRY)
    return "; ".join(error for error in errors if error) or "it was not delivered"


def _complain(receipt: Receipt, told: str) -> None:
    how = "given up, it could not be delivered for too long" if receipt.outcome == GIVEN_UP else "refused"
    log.error(
        "receiver %s %s: the message about %s is %s: %s%s",
        receipt.receiver,
        receipt.integration,
        receipt.group_key,
        how,
        receipt.error,
        f"; {told} is told instead" if told else "",
    )
