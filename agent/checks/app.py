"""Checks and probes, put together: each runs in its slot of its interval, on its own; what it found becomes a frame."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from agent.checks.outcome import ProbeFailed
from agent.checks.settings import CheckSettings
from agent.scrape.loop import slot_wait_s
from agent.series_frame import series_frame
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Column, Labels, Samples

log = logging.getLogger(__name__)


class Check(Protocol):
    """`look` raises ProbeFailed where a probe was answered wrongly; it is cancelled when its time is over, and `failed`
    then says what is known all the same."""

    kind: str
    title: str
    labels: Labels
    interval_s: float
    timeout_s: float

    async def look(self) -> dict[Column, float]: ...

    def failed(self, why: str) -> dict[Column, float]: ...


class Checks:
    """Built and run inside the event loop; frames are handed to `emit` there."""

    def __init__(
        self,
        settings: CheckSettings,
        emit: Callable[[Samples], object],
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """Raises Unusable where a check can't work as it is configured."""
        self._tenant = settings.tenant
        self._emit = emit
        self._clock = clock
        self._runs = Counter(
            "deckwatch_agent_check_runs_total",
            "Runs of checks and probes by how they ended: ok, failed, timeout, unexpected.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._trouble: dict[str, str] = {}
        self._checks = list(_made(settings))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for check in self._checks:
                tasks.create_task(self._keep_looking(check), name=f"check {check.title}")

    async def _keep_looking(self, check: Check) -> None:
        key = check_key(check)
        due = self._clock.monotonic() + slot_wait_s(key, check.interval_s, self._clock.now_ns())
        while True:
            await self._clock.sleep(due - self._clock.monotonic())
            await self.look(check)
            late = int((self._clock.monotonic() - due) // check.interval_s)
            due += check.interval_s * (1 + max(0, late))

    async def look(self, check: Check) -> None:
        ts_ns, begun = self._clock.now_ns(), self._clock.monotonic()
        outcome, trouble, series = "ok", "", {}
        try:
            async with asyncio.timeout(check.timeout_s):
                series = await check.look()
        except TimeoutError:
            outcome, trouble = "timeout", f"not over within {check.timeout_s:g} s"
            series = check.failed(trouble)
        except ProbeFailed as fault:
            outcome, trouble, series = "failed", str(fault), fault.series
        except Exception as error:  # a supervised loop: one check's fault must not end the others
            outcome, trouble = "unexpected", f"{error!r}; please report this"
            series = check.failed(trouble)
        self._runs.labels(check.kind, outcome).inc()
        self._note(check, trouble)
        about = _about(check, outcome, self._clock.monotonic() - begun)
        self._emit(series_frame(_source(check), ts_ns, self._tenant, check.labels, about | series))

    def _note(self, check: Check, trouble: str) -> None:
        """The first failure and the recovery are logged, not each."""
        key, before = _source(check), self._trouble.get(_source(check), "")
        if trouble and not before:
            log.warning("%s check of %s failed: %s", check.kind, check.title, trouble)
        elif before and not trouble:
            log.info("%s check of %s succeeds again", check.kind, check.title)
        self._trouble[key] = trouble


def _about(check: Check, outcome: str, seconds: float) -> dict[Column, float]:
    if check.kind == "nagios":
        return {
            Column("nagios_check_duration_seconds"): seconds,
            Column("nagios_check_timed_out"): float(outcome == "timeout"),
        }
    return {Column("probe_success"): float(outcome == "ok"), Column("probe_duration_seconds"): seconds}


def _source(check: Check) -> str:
    return f"check/{check.kind}/{check.title}/{check_key(check)}"


def check_key(check: Check) -> str:
    text = "\0".join([check.kind, check.title, *(part for pair in check.labels for part in pair)])
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _made(settings: CheckSettings) -> Iterator[Check]:
    """What isn't configured is not loaded."""
    if settings.nagios:
        from agent.checks.nagios import NagiosCheck

        yield from map(NagiosCheck, settings.nagios)
    if settings.http:
        from agent.checks.http_probe import HttpCheck

        yield from map(HttpCheck, settings.http)
    if settings.tcp:
        from agent.checks.tcp_probe import TcpCheck

        yield from map(TcpCheck, settings.tcp)
    if settings.dns:
        from agent.checks.dns_probe import DnsCheck

        yield from map(DnsCheck, settings.dns)
