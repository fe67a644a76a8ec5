"""`/api/v1/targets` in Prometheus' shape: agents, and the targets that they scrape.

Nobody scrapes here. That a target is there and whether it is up stands in its `up` series; where it is, what it was
discovered as, why it is down, and what was dropped, its agent tells every few minutes and on every change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from collector.metrics.block import series_labels
from collector.metrics.head import UP
from collector.metrics.promql.source import STALE, Selection
from collector.metrics.scrapes import Heard
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.tenant import Tenant
from deckwatch.wire.model import Column, Labels, ScrapeTarget

AGENT_POOL = "deckwatch-agent"
_SCRAPED, _TOOK = "up", "scrape_duration_seconds"
_ALL = (Matcher(NAME_LABEL, MatchOp.REGEX, f"{UP}|{_SCRAPED}|{_TOOK}"),)
_NEVER = "0001-01-01T00:00:00Z"


class Scrape(msgspec.Struct, frozen=True):
    """The newest one of a target."""

    at_ms: int
    up: bool
    took_s: float = 0.0


def active_targets(
    tenant: Tenant, heard: Iterable[Heard], now_ms: int, lookback_ms: int, max_samples: int
) -> list[dict[str, Any]]:
    """Those that were looked at within the lookback and have not ended, and those that are about to be."""
    newest = list(_newest(tenant, now_ms, lookback_ms, max_samples))
    took = {_unnamed(labels): value for labels, _, value in newest if dict(labels)[NAME_LABEL] == _TOOK}
    known = _known(heard)
    targets, scraped = [], set()
    for labels, at_ms, value in sorted(newest):
        name, about = dict(labels)[NAME_LABEL], _unnamed(labels)
        if name == UP:
            host = dict(labels).get("host", "")
            targets.append(_agent(host, Scrape(at_ms, value == 1)))
        elif name == _SCRAPED:
            scraped.add(about)
            targets.append(_target(about, Scrape(at_ms, value == 1, took.get(about, 0.0)), known.get(about)))
    targets += [_target(about, None, told) for about, told in known.items() if about not in scraped]
    return sorted(
        targets, key=lambda target: (target["scrapePool"], target["scrapeUrl"], sorted(target["labels"].items()))
    )


def dropped_targets(heard: Iterable[Heard], pool: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(those that are told, how many there are by pool)"""
    listed, counts = [], dict[str, int]()
    for one in heard:
        if one.pool.part == 0 and (not pool or one.pool.name == pool):
            counts[one.pool.name] = counts.get(one.pool.name, 0) + one.pool.dropped_count
            listed += [{"discoveredLabels": dict(labels), "scrapePool": one.pool.name} for labels in one.pool.dropped]
    return listed, counts


def pools(targets: Iterable[dict[str, Any]], heard: Iterable[Heard]) -> list[str]:
    return sorted({str(target["scrapePool"]) for target in targets} | {one.pool.name for one in heard})


def _known(heard: Iterable[Heard]) -> Mapping[Labels, tuple[str, ScrapeTarget]]:
    """(pool, target) by the labels of its series here."""
    return {
        _unnamed(series_labels(one.host, target.labels, Column(_SCRAPED))): (one.pool.name, target)
        for one in heard
        for target in one.pool.active
    }


def _newest(tenant: Tenant, now_ms: int, lookback_ms: int, max_samples: int) -> Iterator[tuple[Labels, int, float]]:
    found: Selection = tenant.select(_ALL, now_ms - lookback_ms + 1, now_ms, max_samples)
    last = found.offsets[1:] - 1
    values = found.values[last]
    alive = np.nonzero(values.view(np.uint64) != STALE.view(np.uint64))[0]
    for place in alive.tolist():
        yield found.labels[place], int(found.times_ms[last[place]]), float(values[place])


def _agent(host: str, scrape: Scrape) -> dict[str, Any]:
    labels: Labels = (("host", host), ("instance", host), ("job", AGENT_POOL))
    told = "" if scrape.up else "the agent is silent"
    return _shown(labels, labels, AGENT_POOL, scrape, told)


def _target(labels: Labels, scrape: Scrape | None, known: tuple[str, ScrapeTarget] | None) -> dict[str, Any]:
    down = scrape is not None and not scrape.up
    if known is None:  # its agent hasn't told of it since we started
        return _shown(labels, labels, dict(labels).get("job", ""), scrape, "the agent's scrape failed" if down else "")
    pool, target = known
    trouble = target.trouble or ("the agent's scrape failed" if down else "")
    return _shown(labels, target.discovered, pool, scrape, trouble if down else "", target)


def _shown(
    labels: Labels,
    discovered: Labels,
    pool: str,
    scrape: Scrape | None,
    trouble: str,
    target: ScrapeTarget | None = None,
) -> dict[str, Any]:
    url = target.url if target else ""
    return {
        "discoveredLabels": dict(discovered),
        "labels": dict(labels),
        "scrapePool": pool,
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": trouble,
        "lastScrape": _rfc3339(scrape.at_ms) if scrape else _NEVER,
        "lastScrapeDuration": scrape.took_s if scrape else 0.0,
        "health": "unknown" if scrape is None else "up" if scrape.up else "down",
        "scrapeInterval": f"{target.interval_s:g}s" if target else "",
        "scrapeTimeout": f"{target.timeout_s:g}s" if target else "",
    }


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def _unnamed(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)
