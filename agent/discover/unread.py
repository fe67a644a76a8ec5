"""Containers whose logs stand nowhere that we can read: told once each, counted by driver."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from agent.discover.docker_findings import why_unread
from agent.discover.docker_reader import Seen
from agent.discover.metrics import DiscoverMetrics

log = logging.getLogger(__name__)


class UnreadLogs:
    def __init__(self, metrics: DiscoverMetrics) -> None:
        self._metrics = metrics
        self._told: set[str] = set()  # ids

    def look(self, containers: Iterable[Seen], *, told: bool = False) -> None:
        """`told`: the start-up's findings name them."""
        unread = {seen.found.container.id: seen for seen in containers if seen.unreadable}
        for ident in unread.keys() - self._told:
            if not told:
                self._tell(unread[ident])
        self._told = set(unread)
        by_driver = Counter(seen.unreadable for seen in unread.values())
        self._metrics.unread.clear()
        for driver, number in by_driver.items():
            self._metrics.unread.labels(driver).set(number)

    def _tell(self, seen: Seen) -> None:
        known = seen.found.container
        why, mend = why_unread(seen.unreadable)
        log.warning(
            "container %s: its logs are not read: the log driver %s %s; %s",
            known.name or known.id[:12], seen.unreadable, why, mend,
        )  # fmt: skip
