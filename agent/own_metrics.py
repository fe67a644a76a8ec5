"""The agent's own metrics as samples, so that the collector's history has them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta
from prometheus_client import CollectorRegistry

from agent.series_frame import series_frame
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Column, Description, Samples

log = logging.getLogger(__name__)

SOURCE = "agent"
LABELS = (("job", "deckwatch-agent"),)
_PREFIXES = ("deckwatch_agent_", "deckwatch_discover_", "process_")
DESCRIBE_EVERY_S = 3600.0
"""Types and helps: the collector may be another one by then."""
_MADE_BY_THE_COLLECTOR = frozenset({"deckwatch_agent_up", "deckwatch_agent_sample_age_seconds"})


class OwnMetricsSettings(msgspec.Struct, frozen=True):
    enabled: Annotated[bool, Meta(description="Send the agent's own metrics as samples too.")] = True
    interval_s: Annotated[float, Meta(description="Between two samples of them.", ge=1, le=3600)] = 30.0
    tenant: Annotated[str, Meta(description="Tenant that they belong to.", min_length=1)] = "default"


class OwnMetrics:
    def __init__(
        self,
        settings: OwnMetricsSettings,
        registry: CollectorRegistry,
        measure: Callable[[], Awaitable[object]],
        emit: Callable[[Samples], object],
        clock: Clock,
    ) -> None:
        """`measure` brings the gauges up to date."""
        self._settings = settings
        self._registry = registry
        self._measure = measure
        self._emit = emit
        self._clock = clock
        self._failed = False
        self._described_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(self._settings.interval_s)
            try:
                await self._measure()
            except Exception as error:  # a supervised loop: what can't be measured now may be later
                if not self._failed:
                    log.exception("the agent's own metrics can't be measured; please report this", exc_info=error)
                self._failed = True
                continue
            self._failed = False
            self._emit(self._frame())

    def _frame(self) -> Samples:
        frame = series_frame(SOURCE, self._clock.now_ns(), self._settings.tenant, LABELS, own_series(self._registry))
        if self._clock.monotonic() - self._described_at < DESCRIBE_EVERY_S:
            return frame
        self._described_at = self._clock.monotonic()
        return msgspec.structs.replace(frame, about=own_descriptions(self._registry))


def own_series(registry: CollectorRegistry) -> dict[Column, float]:
    """Without the `_created` series, which say only when this process began to count."""
    return {
        Column(
            sample.name, tuple(sorted((name, value) for name, value in sample.labels.items() if value))
        ): sample.value
        for family in registry.collect()
        if family.name.startswith(_PREFIXES)
        for sample in family.samples
        if not sample.name.endswith("_created") and sample.name not in _MADE_BY_THE_COLLECTOR
    }


def own_descriptions(registry: CollectorRegistry) -> tuple[Description, ...]:
    """Under the names of the text format: prometheus_client's counters lack their `_total`."""
    return tuple(
        Description(family.name + ("_total" if family.type == "counter" else ""), family.type, family.documentation)
        for family in registry.collect()
        if family.name.startswith(_PREFIXES)
    )
