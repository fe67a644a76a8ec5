"""A finder that looks at folders again and again: at once when inotify tells of a change, and by time beside it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from agent.discover.finding import Finding
from agent.discover.folder_watch import FolderWatch
from agent.discover.metrics import DiscoverMetrics
from agent.discover.view import View
from deckwatch.runtime.clock import Clock

T = TypeVar("T")

log = logging.getLogger(__name__)

SHARE = 400
"""A look that costs much is made less often: at most one part in 400 of a core goes into looking."""

WOKEN_SHARE = 20
"""As above for looks that inotify asks for, in a folder where something happens all the time."""

LEAST_PAUSE_S = 0.05


class Looked(msgspec.Struct, frozen=True):
    """What one look brought."""

    view: View
    findings: tuple[Finding, ...] = ()
    folders: tuple[str, ...] = ()  # whose entries matter, the most telling first


class Looking:
    """Runs `look` in a thread (file systems may hang) and keeps what it brought last."""

    def __init__(
        self,
        part: str,
        look: Callable[[], Looked],
        interval_s: float,
        changed: Callable[[], None],
        clock: Clock,
        metrics: DiscoverMetrics,
    ) -> None:
        self.part = part
        self._look = look
        self._interval_s = interval_s
        self._changed = changed
        self._clock = clock
        self._metrics = metrics
        self._cost_s = 0.0
        self.last = Looked(View())

    def view(self) -> View:
        return self.last.view

    def findings(self) -> tuple[Finding, ...]:
        return self.last.findings

    async def look(self) -> Looked:
        looked, self._cost_s = await asyncio.to_thread(timed, self._look)
        self._metrics.looks.labels(self.part).inc()
        self._metrics.look_seconds.labels(self.part).inc(self._cost_s)
        tell_changes(self.last.findings, looked.findings)
        before, self.last = self.last, looked
        if looked.view != before.view:
            self._changed()
        return looked

    async def run(self) -> None:
        """Until cancelled."""
        watch = FolderWatch(self.part)
        try:
            while True:
                looked = await self.look()
                watch.watch_only(looked.folders)
                await self._clock.sleep(max(LEAST_PAUSE_S, self._cost_s * WOKEN_SHARE))
                await watch.wait(max(self._interval_s, self._cost_s * SHARE))
        finally:
            watch.close()


def timed(look: Callable[[], T]) -> tuple[T, float]:
    """What it brought, and the seconds of CPU that it took of the thread it runs in."""
    started_s = time.thread_time()
    return look(), time.thread_time() - started_s


def tell_changes(before: tuple[Finding, ...], after: tuple[Finding, ...]) -> None:
    """Logs what is reached now and was not, and the reverse; not each look."""
    known = {finding.what: finding for finding in before}
    for finding in after:
        old = known.get(finding.what)
        if old is None or old.reached == finding.reached:
            continue
        log.log(logging.INFO if finding.reached else logging.WARNING, "%s", finding)
