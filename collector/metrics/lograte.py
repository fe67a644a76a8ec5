"""Log lines a second of each container, for the live table: a tally over the last minute in steps of two seconds."""

from __future__ import annotations

from collections import deque

import numpy as np

from collector.records import RecordFrame
from deckwatch.runtime.clock import Clock

STEP_S = 2.0
STEPS = 30
FIRST_STEPS = 5
"""The rate is taken over the last ten seconds; the rest of the minute tells "none lately" from "never seen"."""

_Key = tuple[str, str]  # tenant, container id


class LogRates:
    """Told of each record frame as it arrives. Not durable: it starts at nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steps: deque[tuple[float, dict[_Key, int]]] = deque(maxlen=STEPS)

    def take(self, frame: RecordFrame) -> None:
        """In the event loop: without a query plan, whose threads it would wait for."""
        counts = np.bincount(frame.rows["origin"].to_numpy(), minlength=len(frame.origins)).tolist()
        tally = self._step()
        for origin, count in zip(frame.origins, counts, strict=True):
            container = origin.context.container
            if container is not None and count:
                key = (origin.tenant, container.id)
                tally[key] = tally.get(key, 0) + count

    def per_second(self, tenant: str, container_id: str) -> float | None:
        """None: it wrote nothing in the last minute, or more than a minute ago."""
        now = self._clock.monotonic()
        key = (tenant, container_id)
        recent = [(start, tally.get(key, 0)) for start, tally in self._steps if now - start <= STEP_S * STEPS]
        if not any(count for _, count in recent):
            return None
        window_s = STEP_S * FIRST_STEPS
        return sum(count for start, count in recent if now - start < window_s) / window_s

    def _step(self) -> dict[_Key, int]:
        now = self._clock.monotonic()
        if not self._steps or now - self._steps[-1][0] >= STEP_S:
            self._steps.append((now, {}))
        return self._steps[-1][1]
