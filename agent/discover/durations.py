"""How long a container ran, said beside its end: the engine's own `execDuration` is in whole seconds, and older engines
tell none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from agent.model import EventListener
from deckwatch.wire.model import Event

MOST_RUNS = 20_000
"""Starts remembered; the oldest go first."""


class Durations:
    """Takes a container's events in their order and hands them on; `die` gets `started_ns` and `duration_ns`."""

    def __init__(self, emit: EventListener, described_start_ns: Callable[[str], int | None]) -> None:
        """`described_start_ns`: of a container whose start nobody told of (it ran before us)."""
        self._emit = emit
        self._described_start_ns = described_start_ns
        self._starts: OrderedDict[str, int] = OrderedDict()

    def take(self, event: Event) -> None:
        ident = event.container.id if event.container else ""
        if event.action == "start":
            self._starts[ident] = event.ts_ns
            self._starts.move_to_end(ident)
            if len(self._starts) > MOST_RUNS:
                self._starts.popitem(last=False)
        elif event.action == "die":
            event = self._with_duration(event, self._starts.pop(ident, None) or self._described_start_ns(ident))
        self._emit(event)

    def _with_duration(self, event: Event, started_ns: int | None) -> Event:
        if started_ns is None or started_ns > event.ts_ns:  # unknown; or the description is of the next run already
            return event
        told = (("duration_ns", str(event.ts_ns - started_ns)), ("started_ns", str(started_ns)))
        return msgspec.structs.replace(event, attributes=tuple(sorted((*event.attributes, *told))))
