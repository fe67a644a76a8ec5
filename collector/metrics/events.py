"""The last events of each container, bounded in both directions."""

from __future__ import annotations

from collections import OrderedDict, deque

import msgspec

from deckwatch.wire.model import Event

PER_CONTAINER = 20
MAX_CONTAINERS = 10_000


class SeenEvent(msgspec.Struct, frozen=True):
    host: str
    event: Event


class EventLog:
    """Events of containers by (tenant, container id); those of hosts and images under the empty id."""

    def __init__(self, per_container: int = PER_CONTAINER, max_containers: int = MAX_CONTAINERS) -> None:
        self._per_container = per_container
        self._max_containers = max_containers
        self._events: OrderedDict[tuple[str, str], deque[SeenEvent]] = OrderedDict()

    def add(self, host: str, event: Event) -> None:
        key = (event.tenant, event.container.id if event.container else "")
        ring = self._events.setdefault(key, deque(maxlen=self._per_container))
        if event.container and any(
            (seen.event.ts_ns, seen.event.action) == (event.ts_ns, event.action) for seen in ring
        ):
            return  # an agent that was killed asks its engine again for what came last
        ring.append(SeenEvent(host, event))
        self._events.move_to_end(key)
        if len(self._events) > self._max_containers:
            self._events.popitem(last=False)

    def of(self, tenant: str, container_id: str) -> tuple[SeenEvent, ...]:
        """Oldest first."""
        return tuple(self._events.get((tenant, container_id), ()))

    def all(self, tenant: str) -> list[SeenEvent]:
        """Of a tenant's containers, in no order that matters."""
        return [seen for (whose, _), ring in self._events.items() if whose == tenant for seen in ring]
