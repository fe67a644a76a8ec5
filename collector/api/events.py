"""`/api/v1/events`: what happened to containers, as their engines told it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector.api.endpoint import JSON, Arguments, Endpoint, Parameter
from collector.api.log_schema import COUNT, TENANT, time_range
from collector.metrics.events import PER_CONTAINER, EventLog, SeenEvent
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.times import MAX_NS, MIN_NS, rfc3339
from deckwatch.wire.model import DEFAULT_TENANT

PATH = "/api/v1/events"
_MOST = 10_000

_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["@timestamp", "event.action", "event.kind", "host.name", "attributes"],
    "properties": {
        "@timestamp": {"type": "string", "format": "date-time"},
        "event.action": {"type": "string", "description": "create, start, oom, die, destroy, health_status ..."},
        "event.kind": {"type": "string", "description": "container"},
        "host.name": {"type": "string"},
        "container.id": {"type": "string"},
        "container.name": {"type": "string"},
        "container.image.name": {"type": "string"},
        "workload": {"type": "string", "description": "Service, job or owner of the pod."},
        "attributes": {
            "type": "object",
            "description": "exitCode, signal; of an end also started_ns and duration_ns.",
            "additionalProperties": {"type": "string"},
        },
    },
}


class EventApi:
    def __init__(self, events: EventLog, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        parameters = (
            *time_range("all times"),
            Parameter("container", "Name or id of a container."),
            Parameter("host", "Name of a host."),
            Parameter("action", "One kind of event: die."),
            Parameter("limit", "At most so many.", {**COUNT, "default": 100, "maximum": _MOST}),
            TENANT,
        )
        return [
            Endpoint(
                PATH,
                "List events of containers",
                f"The newest first; the last {PER_CONTAINER} of each container since the collector's start.",
                parameters,
                {JSON: {"type": "object", "properties": {"events": {"type": "array", "items": _EVENT}}}},
                self.events,
            )
        ]

    async def events(self, arguments: Arguments) -> web.Response:
        now_ns = self._clock.now_ns()
        start_ns, end_ns = arguments.time("start", MIN_NS, now_ns), arguments.time("end", MAX_NS, now_ns)
        limit = arguments.integer("limit", 100, 1, _MOST)
        container, host, action = (arguments.text(name) for name in ("container", "host", "action"))
        found = [
            seen
            for seen in self._events.all(arguments.text("tenant", DEFAULT_TENANT))
            if start_ns <= seen.event.ts_ns < end_ns
            and (not action or seen.event.action == action)
            and (not host or seen.host == host)
            and (not container or _is_of(seen, container))
        ]
        found.sort(key=lambda seen: -seen.event.ts_ns)
        return web.json_response({"events": [_told(seen) for seen in found[:limit]]})


def _is_of(seen: SeenEvent, container: str) -> bool:
    of = seen.event.container
    return of is not None and (container == of.name or (len(container) >= 12 and of.id.startswith(container)))


def _told(seen: SeenEvent) -> dict[str, Any]:
    event, container = seen.event, seen.event.container
    told: dict[str, Any] = {
        "@timestamp": rfc3339(event.ts_ns),
        "event.action": event.action,
        "event.kind": event.kind,
        "host.name": seen.host,
        "attributes": dict(event.attributes),
    }
    if container is not None:
        names = {"container.id": container.id, "container.name": container.name}
        names |= {"container.image.name": container.image}
        names |= {"workload": container.workload.name if container.workload else ""}
        told |= {name: value for name, value in names.items() if value}
    return told
