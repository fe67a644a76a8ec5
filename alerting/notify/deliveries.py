"""A delivery for each configuration, which goes on where its configuration is exchanged for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from alerting.notify.channels.delivery import Delivery, DeliveryPolicy, Receivers
from alerting.notify.channels.delivery_metrics import DeliveryMetrics
from alerting.notify.channels.model import Outbox
from deckwatch.runtime.clock import Clock


class Deliveries:
    """Lives in one event loop. Scopes are those of the start; one that comes later needs a restart."""

    def __init__(
        self,
        receivers: Mapping[str, Receivers],
        outbox: Callable[[str], Outbox],
        clock: Clock,
        metrics: DeliveryMetrics,
        policy: DeliveryPolicy,
    ) -> None:
        """`receivers`: by scope."""
        self._policy = policy
        self._by_scope = {
            scope: Delivery(outbox(scope), inside, clock, metrics, policy) for scope, inside in receivers.items()
        }

    def configure(self, receivers: Mapping[str, Receivers]) -> None:
        for scope, delivery in self._by_scope.items():
            delivery.configure(receivers[scope], self._policy)

    def wake(self) -> None:
        """The outbox has something new."""
        for delivery in self._by_scope.values():
            delivery.wake()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for scope, delivery in self._by_scope.items():
                tasks.create_task(delivery.run(), name=f"notifications {scope}".rstrip())
