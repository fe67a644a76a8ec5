"""Series of agents that are silent, or that haven't been heard of since we started: they are unknown, not absent.

Which series those are stands in the history: what the agent had when it was last heard of and didn't end itself. Who
was there before a restart stands there too, as `deckwatch_agent_up`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from alerting.rules.sources import Live, Unknown
from collector.metrics.block import HOST_LABEL
from collector.metrics.head import UP, Head
from collector.metrics.promql.source import STALE, Selection, SeriesSource
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp, Selector
from deckwatch.wire.model import Labels

LOOKBACK_MS = 300_000
RETURN_MS = 120_000
"""When an agent is heard of again after we started, its sources come in one by one for so long at most."""
_MOST_SAMPLES = 50_000_000


class Replay:
    """A LiveSource: until what the journal held at the start has been taken again, anything may still come."""

    def __init__(self, replayed: Callable[[], bool]) -> None:
        self._replayed = replayed

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        if self._replayed():
            return Live()
        return Live(unknown=(Unknown(((NAME_LABEL, selector.name),), math.nan),))


class Quiet(msgspec.Struct, frozen=True):
    """An agent of which not all is known at the moment."""

    host: str
    last_ms: int  # when all of it was
    returning: bool = False


class QuietAgents:
    """A LiveSource that knows no samples, only what is unknown."""

    def __init__(
        self,
        head: Head,
        history: Callable[[str], SeriesSource],
        ours: Callable[[str, str], bool],
        *,
        started_ns: int,
        forget_after_s: float = 86_400.0,
    ) -> None:
        """`ours`: is a series of this (tenant, name) made here, and so known whatever agents do?"""
        self._head = head
        self._history = history
        self._ours = ours
        self._started_ms = started_ns // 1_000_000
        self._forget_ms = int(forget_after_s * 1000)
        self._expected: dict[str, dict[str, int]] = {}
        self._asked: tuple[tuple[str, int], list[Quiet]] = (("", -1), [])

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        if selector.name and self._ours(tenant, selector.name):
            return Live()
        return Live(
            unknown=tuple(one for quiet in self.quiet(tenant, now_ms) for one in self._of(tenant, selector, quiet))
        )

    def quiet(self, tenant: str, now_ms: int) -> list[Quiet]:
        """Remembered for the moment: all selectors of a group ask for the same one."""
        if self._asked[0] != (tenant, now_ms):
            self._asked = ((tenant, now_ms), self._quiet(tenant, now_ms))
        return self._asked[1]

    def _quiet(self, tenant: str, now_ms: int) -> list[Quiet]:
        silent = self._head.silent(tenant, now_ms * 1_000_000)
        return [Quiet(host, newest_ns // 1_000_000) for host, newest_ns in silent.items()] + [
            quiet
            for host, last_ms in self._before_start(tenant).items()
            if host not in silent and (quiet := self._expected_one(tenant, host, last_ms, now_ms)) is not None
        ]

    def _expected_one(self, tenant: str, host: str, last_ms: int, now_ms: int) -> Quiet | None:
        first_ns = self._head.first_heard_ns(tenant, host)
        if first_ns is None:
            return Quiet(host, last_ms) if now_ms - last_ms < self._forget_ms else None
        if now_ms - first_ns // 1_000_000 < RETURN_MS:
            return Quiet(host, last_ms, returning=True)
        return None

    def _before_start(self, tenant: str) -> dict[str, int]:
        """Host -> when its agent was up last, of those that were within the time after which agents are forgotten."""
        if tenant not in self._expected:
            up = self._history(tenant).select(
                (Matcher(NAME_LABEL, MatchOp.EQUAL, UP),),
                self._started_ms - self._forget_ms,
                self._started_ms,
                _MOST_SAMPLES,
            )
            hosts: dict[str, int] = {}
            for row, labels in enumerate(up.labels):
                times, values = _samples(up, row)
                if (values == 1).any():
                    hosts[dict(labels).get(HOST_LABEL, "")] = int(times[values == 1][-1])
            self._expected[tenant] = hosts
        return self._expected[tenant]

    def _of(self, tenant: str, selector: Selector, quiet: Quiet) -> list[Unknown]:
        matchers = (*selector.matchers, Matcher(HOST_LABEL, MatchOp.EQUAL, quiet.host))
        found = self._history(tenant).select(matchers, quiet.last_ms - LOOKBACK_MS, quiet.last_ms, _MOST_SAMPLES)
        unknown = []
        for row, labels in enumerate(found.labels):
            _, values = _samples(found, row)
            if (
                len(values)
                and values[-1:].view(np.uint64)[0] != STALE.view(np.uint64)
                and not self._is_ours(tenant, labels)
            ):
                unknown.append(Unknown(labels, float(values[-1]), quiet.returning))
        return unknown

    def _is_ours(self, tenant: str, labels: Labels) -> bool:
        return self._ours(tenant, dict(labels)[NAME_LABEL])


def _samples(selection: Selection, row: int) -> tuple[np.ndarray, np.ndarray]:
    low, high = selection.offsets[row], selection.offsets[row + 1]
    return selection.times_ms[low:high], selection.values[low:high]
