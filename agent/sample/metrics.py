"""The sampler's own metrics, and the log lines of its faults: the first of a kind and the recovery, not each."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge

_log = logging.getLogger(__name__)

_MOST_REMEMBERED = 1000


class SampleMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.looks = Counter(
            "deckwatch_agent_sample_looks_total",
            "Looks of each source at what it measures, by how they ended: done, failed, or late (over its time).",
            ["source", "outcome"],
            registry=registry,
        )
        self.seconds = Counter(
            "deckwatch_agent_sample_look_seconds_total", "Time spent in looks.", ["source"], registry=registry
        )
        self.duration = Gauge(
            "deckwatch_agent_sample_duration_seconds",
            "How long each source's last look took that came to an end.",
            ["source"],
            registry=registry,
        )
        self.last_success = Gauge(
            "deckwatch_agent_sample_last_success_timestamp_seconds",
            "Unix time at which each source last answered without a fault.",
            ["source"],
            registry=registry,
        )
        self.faults = Counter(
            "deckwatch_agent_sample_faults_total",
            "Files that could not be read or understood, by reason.",
            ["reason"],
            registry=registry,
        )
        self.targets = Gauge(
            "deckwatch_agent_sample_targets",
            "Targets (containers, host) of the last look.",
            ["source"],
            registry=registry,
        )
        self._left_out = Gauge(
            "deckwatch_agent_sample_targets_left_out",
            "Targets of the last look beyond the source's limit.",
            ["source"],
            registry=registry,
        )
        self.open_files = Gauge(
            "deckwatch_agent_sample_open_files", "Files of cgroups that are kept open.", registry=registry
        )

    def left_out(self, source: str, count: int) -> None:
        self._left_out.labels(source=source).set(count)


LeftOut = Callable[[str, int], None]
"""Told at each look how many targets a source left out."""


class Faults(Protocol):
    """Told of every file that could not be read or understood; the reading goes on without it."""

    def note(self, where: str, error: Exception) -> None: ...


class FaultLog:
    """Takes the readers' faults. Each place is logged once a reason."""

    def __init__(self, metrics: SampleMetrics) -> None:
        self._metrics = metrics
        self._known: set[tuple[str, str]] = set()

    def note(self, where: str, error: Exception) -> None:
        reason = _reason(error)
        self._metrics.faults.labels(reason=reason).inc()
        if (where, reason) not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known.add((where, reason))
            _log.warning("can't read %s: %s; its metrics are absent until it can be read", where, error)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "OSError")
    return "malformed"
