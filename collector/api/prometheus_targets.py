"""`/api/v1/targets` in Prometheus' shape: agents and the targets that they scrape, as their `up` series tell it.

Nobody scrapes here: what is known of a target is its labels, whether it was up at the last look, and when that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from collector.metrics.head import UP
from collector.metrics.promql.source import STALE, Selection
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.tenant import Tenant
from deckwatch.wire.model import Labels

AGENT_POOL = "deckwatch-agent"
_SCRAPED, _TOOK = "up", "scrape_duration_seconds"
_ALL = (Matcher(NAME_LABEL, MatchOp.REGEX, f"{UP}|{_SCRAPED}|{_TOOK}"),)


def active_targets(tenant: Tenant, now_ms: int, lookback_ms: int, max_samples: int) -> list[dict[str, Any]]:
    """Those that were looked at within the lookback and have not ended."""
    found = {labels: (at_ms, value) for labels, at_ms, value in _newest(tenant, now_ms, lookback_ms, max_samples)}
    took = {_unnamed(labels): value for labels, (_, value) in found.items() if dict(labels)[NAME_LABEL] == _TOOK}
    targets = []
    for labels, (at_ms, value) in sorted(found.items()):
        name = dict(labels)[NAME_LABEL]
        if name == UP:
            host = dict(labels).get("host", "")
            about: Labels = (("host", host), ("instance", host), ("job", AGENT_POOL))
            targets.append(_target(about, at_ms, value, 0.0))
        elif name == _SCRAPED:
            about = _unnamed(labels)
            targets.append(_target(about, at_ms, value, took.get(about, 0.0)))
    return targets


def pools(targets: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({str(target["scrapePool"]) for target in targets})


def _newest(tenant: Tenant, now_ms: int, lookback_ms: int, max_samples: int) -> Iterator[tuple[Labels, int, float]]:
    found: Selection = tenant.select(_ALL, now_ms - lookback_ms + 1, now_ms, max_samples)
    last = found.offsets[1:] - 1
    values = found.values[last]
    alive = np.nonzero(values.view(np.uint64) != STALE.view(np.uint64))[0]
    for place in alive.tolist():
        yield found.labels[place], int(found.times_ms[last[place]]), float(values[place])


def _target(labels: Labels, at_ms: int, value: float, took_s: float) -> dict[str, Any]:
    pool = dict(labels).get("job", "")
    up = value == 1
    return {
        "discoveredLabels": dict(labels),
        "labels": dict(labels),
        "scrapePool": pool,
        "scrapeUrl": "",
        "globalUrl": "",
        "lastError": "" if up else ("the agent is silent" if pool == AGENT_POOL else "the agent's scrape failed"),
        "lastScrape": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z"),
        "lastScrapeDuration": took_s,
        "health": "up" if up else "down",
        "scrapeInterval": "",
        "scrapeTimeout": "",
    }


def _unnamed(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)
