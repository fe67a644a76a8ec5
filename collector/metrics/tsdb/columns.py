"""Samples of many series, one array for all: what memory and blocks give, and what the query engine takes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from collector.metrics.tsdb.codec import Floats, Ints


class Points(msgspec.Struct, frozen=True):
    """Of series i: samples [offsets[i], offsets[i + 1]), ascending in time."""

    offsets: Ints
    times_ms: Ints
    values: Floats

    @property
    def counts(self) -> Ints:
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def nothing(series: int = 0) -> Points:
    return Points(np.zeros(series + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def from_runs(owners: Ints, counts: Ints, times_ms: Ints, values: Floats, series: int) -> Points:
    """Runs of samples, run r of `counts[r]` samples belonging to series `owners[r]`; a series' runs stand in the order
    of time, with whatever between them."""
    sample_owner = np.repeat(owners, counts)
    if len(owners) > 1 and not (owners[1:] >= owners[:-1]).all():
        order = np.argsort(sample_owner, kind="stable")
        sample_owner, times_ms, values = sample_owner[order], times_ms[order], values[order]
    return Points(_offsets(np.bincount(sample_owner, minlength=series)), times_ms, values)


def between(points: Points, start_ms: int, end_ms: int) -> Points:
    """Samples in [start_ms, end_ms]."""
    inside = (points.times_ms >= start_ms) & (points.times_ms <= end_ms)
    if inside.all():
        return points
    before = np.concatenate([[0], np.cumsum(inside)])
    return Points(before[points.offsets], points.times_ms[inside], points.values[inside])


def merged(parts: Sequence[tuple[Ints, Points]], series: int) -> Points:
    """Parts in the order of time: of each, (series that its rows belong to, its rows), no series twice. Where two have
    a sample of one series at one time, the first part's stays; where one goes back in time, samples are sorted."""
    full = [(owners, points) for owners, points in parts if len(points.times_ms)]
    if not full:
        return nothing(series)
    if len(full) == 1 and np.array_equal(full[0][0], np.arange(series)):
        return full[0][1]
    joined = _joined(full, series)
    return joined if _ascends(joined) else _sorted(joined)


def _joined(parts: Sequence[tuple[Ints, Points]], series: int) -> Points:
    """Each series' samples, part by part."""
    counts = np.zeros(series, np.int64)
    for owners, points in parts:
        counts[owners] += points.counts
    offsets = _offsets(counts)
    times_ms, values = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.float64)
    free = offsets[:-1].copy()
    for owners, points in parts:
        to = np.arange(len(points.times_ms)) + np.repeat(free[owners] - points.offsets[:-1], points.counts)
        times_ms[to], values[to] = points.times_ms, points.values
        free[owners] += points.counts
    return Points(offsets, times_ms, values)


def _ascends(points: Points) -> bool:
    rises = np.ones(len(points.times_ms) + 1, np.bool_)
    rises[1:-1] = points.times_ms[1:] > points.times_ms[:-1]
    rises[points.offsets] = True  # where a series begins
    return bool(rises.all())


def _sorted(points: Points) -> Points:
    owners = np.repeat(np.arange(len(points)), points.counts)
    order = np.lexsort((points.times_ms, owners))  # stable: of equal times the first part's comes first
    owners, times_ms, values = owners[order], points.times_ms[order], points.values[order]
    fresh = np.ones(len(owners), np.bool_)
    fresh[1:] = (owners[1:] != owners[:-1]) | (times_ms[1:] != times_ms[:-1])
    return Points(_offsets(np.bincount(owners[fresh], minlength=len(points))), times_ms[fresh], values[fresh])


def without_empty(points: Points) -> tuple[Ints, Points]:
    """(places of the series that have samples, those series alone)."""
    kept = np.nonzero(points.counts)[0]
    return kept, Points(np.append(points.offsets[kept], points.offsets[-1:]), points.times_ms, points.values)


def split(points: Points, most: int) -> tuple[Ints, Ints]:
    """Runs of at most `most` samples: (owner of each run, offsets of the runs)."""
    runs = -(-points.counts // most)
    owners = np.repeat(np.arange(len(points)), runs)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(runs) - runs, runs)
    starts = points.offsets[:-1][owners] + number * most
    return owners, np.append(starts, points.offsets[-1:])


def _offsets(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
