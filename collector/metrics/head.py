"""The newest sample of every series, as the agents' frames tell it.

Three ways for a series not to be there, and they are never mixed up: *ended* (its agent says so, or looks at its
neighbours and no longer at it): gone; *unknown* (its agent is silent or behind): not shown, and no rule decides
anything by it; *absent* (never seen).
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from collector.metrics.block import HOST_LABEL, Block, Floats, Schema
from collector.metrics.events import EventLog
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample, Vector
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Column, Event, Gap, Labels, Samples, StreamId

UP = "deckwatch_agent_up"
AGE = "deckwatch_agent_sample_age_seconds"
WRONG_CLOCK_NS = 60_000_000_000
"""Samples that are this far ahead of us were taken by a clock that was wrong; an older time after them is right."""
MAX_SCHEMAS = 1000
"""Those that nobody has any more are looked for when there are so many, and then again at twice what is left: thousands
of scraped targets have one of their own each."""


class _Feed:
    """What one source (cgroup, host) of one agent tells."""

    def __init__(self, tenant: str, host: str) -> None:
        self.tenant = tenant
        self.host = host
        self.newest_ns = 0
        self.first_ns = 0  # when it was first heard of here, by our clock
        self.blocks: dict[tuple[Labels, int], Block] = {}


class Head:
    """A SampleConsumer. Lives in the event loop's thread; `agents` and what builds on it may be asked from any."""

    def __init__(
        self,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        silent_after_s: float = 300.0,
        forget_agent_after_s: float = 86_400.0,
    ) -> None:
        self._clock = clock
        self._silent_ns = int(silent_after_s * 1e9)
        self._forget_ns = int(forget_agent_after_s * 1e9)
        self._feeds: dict[tuple[str, str, str], _Feed] = {}
        self._schemas: dict[tuple[Column, ...], Schema] = {}
        self._most_schemas = MAX_SCHEMAS
        self.events = EventLog()
        self._stale_frames = Counter(
            "deckwatch_collector_sample_frames_ignored_total",
            "Sample frames that were older than what is known already.",
            registry=registry,
        )
        self._gaps = Counter(
            "deckwatch_collector_gaps_total",
            "Stretches of a log that its agent declared lost.",
            ["host", "reason"],
            registry=registry,
        )
        self._gap_bytes = Counter(
            "deckwatch_collector_gap_bytes_total",
            "Bytes in declared gaps whose end is known.",
            ["host", "reason"],
            registry=registry,
        )
        self.gap_counts: Tally[tuple[str, str]] = Tally()

    # In ---------------------------------------------------------------------------------------------------------

    def take_samples(self, seq: int, host: str, samples: Samples) -> None:
        """Raises Reject on a frame whose arrays don't fit its schemas; what was known then stays."""
        looks = [self._look(samples, place) for place in range(len(samples.targets))]
        feed = self._feed(host, samples)
        if samples.ts_ns < feed.newest_ns and not self._clock_was_wrong(feed):
            self._stale_frames.inc()
            return
        seen: Tally[Labels] = Tally()
        for target, (schema, values) in zip(samples.targets, looks, strict=True):
            key = (target.labels, seen[target.labels])
            seen[target.labels] += 1
            self._update(feed, key, schema, samples.ts_ns, values)
        feed.newest_ns = samples.ts_ns
        ended = set(samples.ended)
        for key, block in list(feed.blocks.items()):
            left = key[0] in seen and key[1] >= seen[key[0]]
            if left or key[0] in ended or samples.ts_ns - block.ts_ns > self._silent_ns:
                del feed.blocks[key]

    def take_event(self, seq: int, host: str, event: Event) -> None:
        self.events.add(host, event)

    def take_gap(self, seq: int, host: str, stream: StreamId, gap: Gap) -> None:
        self.gap_counts[host, gap.reason.value] += 1
        self._gaps.labels(host, gap.reason.value).inc()
        if gap.end > gap.start:
            self._gap_bytes.labels(host, gap.reason.value).inc(gap.end - gap.start)

    # Out --------------------------------------------------------------------------------------------------------

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        """`series.Newest` of the agents' own series: are they up, how old is what they sent."""
        return Vector(tuple(self._agent_samples(tenant, selector, at_ns)))

    def tenants(self) -> set[str]:
        return {feed.tenant for feed in list(self._feeds.values())}

    def known_blocks(self, tenant: str, at_ns: int) -> list[Block]:
        return [block for block in self._blocks(tenant) if self._is_known(block, at_ns)]

    def agents(self, tenant: str) -> dict[str, int]:
        """Host -> time of its newest sample in Unix ns."""
        newest: dict[str, int] = {}
        for feed in list(self._feeds.values()):
            if feed.tenant == tenant:
                newest[feed.host] = max(newest.get(feed.host, 0), feed.newest_ns)
        return newest

    def is_silent(self, tenant: str, host: str, at_ns: int) -> bool:
        """False too for a host that never sent samples: nothing is known of it then."""
        newest = self.agents(tenant).get(host)
        return newest is not None and at_ns - newest > self._silent_ns

    def silent(self, tenant: str, at_ns: int) -> dict[str, int]:
        """Hosts that are silent then -> time of the newest sample in Unix ns."""
        return {
            host: newest_ns for host, newest_ns in self.agents(tenant).items() if at_ns - newest_ns > self._silent_ns
        }

    def first_heard_ns(self, tenant: str, host: str) -> int | None:
        """When its agent was first heard of here, by our clock; None: never."""
        feeds = list(self._feeds.values())
        return min((feed.first_ns for feed in feeds if (feed.tenant, feed.host) == (tenant, host)), default=None)

    def forget_old(self, now_ns: int) -> None:
        """Let go of agents that have been silent for very long."""
        for key, feed in list(self._feeds.items()):
            if now_ns - feed.newest_ns > self._forget_ns:
                del self._feeds[key]

    # Inside -----------------------------------------------------------------------------------------------------

    def _feed(self, host: str, samples: Samples) -> _Feed:
        key = (samples.tenant, host, samples.source)
        if key not in self._feeds:
            self._feeds[key] = _Feed(samples.tenant, host)
            self._feeds[key].first_ns = self._clock.now_ns()
        return self._feeds[key]

    def _clock_was_wrong(self, feed: _Feed) -> bool:
        if feed.newest_ns - self._clock.now_ns() < WRONG_CLOCK_NS:
            return False
        feed.blocks.clear()
        return True

    def _look(self, samples: Samples, place: int) -> tuple[Schema, Floats]:
        target = samples.targets[place]
        if not 0 <= target.schema < len(samples.schemas):
            raise Reject(f"samples of {samples.source}: target {place} names schema {target.schema}, which isn't there")
        schema = self._schema(samples.schemas[target.schema])
        if len(target.values) != 8 * len(schema.columns):
            raise Reject(
                f"samples of {samples.source}: target {place} has {len(target.values)} bytes"
                f" for {len(schema.columns)} columns of 8"
            )
        return schema, np.frombuffer(target.values, dtype="<f8")

    def _schema(self, columns: tuple[Column, ...]) -> Schema:
        schema = self._schemas.get(columns)
        if schema is None:
            if len(self._schemas) >= self._most_schemas:
                used = {block.schema.columns for feed in self._feeds.values() for block in feed.blocks.values()}
                self._schemas = {key: kept for key, kept in self._schemas.items() if key in used}
                self._most_schemas = max(MAX_SCHEMAS, 2 * len(self._schemas))
            schema = self._schemas[columns] = Schema(columns)
        return schema

    def _update(self, feed: _Feed, key: tuple[Labels, int], schema: Schema, ts_ns: int, values: Floats) -> None:
        block = feed.blocks.get(key)
        if block is None:
            block = feed.blocks[key] = Block(feed.host, key[0], schema, ts_ns, values)
        elif block.ts_ns >= ts_ns:
            return
        else:
            block.update(schema, ts_ns, values)

    def _blocks(self, tenant: str) -> Iterator[Block]:
        for feed in self._feeds.values():
            if feed.tenant == tenant:
                yield from feed.blocks.values()

    def _is_known(self, block: Block, at_ns: int) -> bool:
        return at_ns - block.ts_ns <= self._silent_ns

    def _agent_samples(self, tenant: str, selector: Selector, at_ns: int) -> Iterator[Sample]:
        names = [name for name in (UP, AGE) if selector.takes_name(name)]
        if not names:
            return
        for host, newest_ns in self.agents(tenant).items():
            if not selector.takes_labels({HOST_LABEL: host}):
                continue
            age_s = max(0.0, (at_ns - newest_ns) / 1e9)
            up = float(at_ns - newest_ns <= self._silent_ns)
            for name in names:
                yield Sample(((NAME_LABEL, name), (HOST_LABEL, host)), up if name == UP else age_s)
