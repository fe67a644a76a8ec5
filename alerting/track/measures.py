"""How well incidents are dealt with: times to acknowledge and to resolve, and noise. Pure, from incidents as their
timelines tell them: anybody can compute the same figures from the exported timelines again.

MTTA and MTTR are taken over *periods*, from opening or reopening to the end: a repair that didn't hold counts as two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from alerting.track.model import Measured, Period


class Times(msgspec.Struct, frozen=True):
    count: int
    mean_s: float
    p50_s: float
    p90_s: float


class Grouped(StrEnum):
    RULE = "rule"
    TEAM = "team"


class Statistics(msgspec.Struct, frozen=True):
    """Of the periods of one rule or team that began in a window. `unattended`: they ended without anybody, person or
    response, having done anything. `noise` is their share of those that ended; None while none has."""

    name: str
    periods: int
    reopened: int
    acknowledged: int
    ended: int
    unattended: int
    flaps: int
    noise: float | None
    to_acknowledge: Times | None
    to_resolve: Times | None


def statistics(
    incidents: Iterable[Measured], start_ns: int, end_ns: int, by: Grouped = Grouped.RULE
) -> list[Statistics]:
    """The noisiest first: by how many ended unattended."""
    found: dict[str, list[Measured]] = {}
    for incident in incidents:
        name = incident.rule if by is Grouped.RULE else incident.team
        found.setdefault(name, []).append(incident)
    rows = [_row(name, some, start_ns, end_ns) for name, some in found.items()]
    return sorted((row for row in rows if row.periods), key=lambda row: (-row.unattended, -row.periods, row.name))


def acknowledge_s(period: Period) -> float | None:
    return (period.acknowledged_ns - period.since_ns) / 1e9 if period.acknowledged_ns else None


def resolve_s(period: Period) -> float | None:
    return (period.resolved_ns - period.since_ns) / 1e9 if period.ended else None


def times(seconds: Iterable[float | None]) -> Times | None:
    known = sorted(one for one in seconds if one is not None)
    if not known:
        return None
    return Times(len(known), sum(known) / len(known), quantile(known, 0.5), quantile(known, 0.9))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest, as PromQL's quantile does."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _row(name: str, incidents: Sequence[Measured], start_ns: int, end_ns: int) -> Statistics:
    within = [(each, list(_within(each, start_ns, end_ns))) for each in incidents]
    periods = [period for _, some in within for _, period in some]
    ended = [period for period in periods if period.ended]
    unattended = sum(not period.touched for period in ended)
    return Statistics(
        name,
        periods=len(periods),
        reopened=sum(place > 0 for _, some in within for place, _ in some),
        acknowledged=sum(period.acknowledged_ns > 0 for period in periods),
        ended=len(ended),
        unattended=unattended,
        flaps=sum(each.flaps for each, some in within if some),
        noise=unattended / len(ended) if ended else None,
        to_acknowledge=times(map(acknowledge_s, periods)),
        to_resolve=times(map(resolve_s, periods)),
    )


def _within(incident: Measured, start_ns: int, end_ns: int) -> Iterator[tuple[int, Period]]:
    for place, period in enumerate(incident.periods):
        if start_ns <= period.since_ns < end_ns:
            yield place, period
