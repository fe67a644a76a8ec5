"""Samples of another storage, and of the embedded history those series that are made here.

Log metrics, ALERTS, recorded series and Deckwatch's own get into the other storage as well, later, and perhaps with
other labels (external_labels): rules see them as they were made, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from collector.metrics.promql.source import Selection, SeriesSource
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.columns import Points, merged
from deckwatch.wire.model import Labels

Ours = Callable[[str], bool]
"""Name of a metric -> is it made here?"""


class Joined:
    """A SeriesSource."""

    def __init__(self, far: SeriesSource, near: SeriesSource, ours: Ours) -> None:
        self._far = far
        self._near = near
        self._ours = ours

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        names = [each.value for each in matchers if each.label == NAME_LABEL and each.op is MatchOp.EQUAL]
        if names:
            source = self._near if self._ours(names[0]) else self._far
            return source.select(matchers, start_ms, end_ms, max_samples)
        far = self._of(self._far.select(matchers, start_ms, end_ms, max_samples), ours=False)
        left = max_samples - far.samples
        return _both(far, self._of(self._near.select(matchers, start_ms, end_ms, left), ours=True))

    def _of(self, found: Selection, *, ours: bool) -> Selection:
        known = {name: self._ours(name) for name in {_name(labels) for labels in found.labels}}
        kept = np.array([known[_name(labels)] is ours for labels in found.labels], np.bool_)
        if kept.all():
            return found
        counts = np.diff(found.offsets)
        samples = np.repeat(kept, counts)
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts[kept])))
        labels = tuple(labels for labels, keeps in zip(found.labels, kept.tolist(), strict=True) if keeps)
        return Selection(labels, offsets, found.times_ms[samples], found.values[samples])


def _both(first: Selection, second: Selection) -> Selection:
    """They have no series in common."""
    count = len(first.labels)
    parts = [
        (np.arange(count), Points(first.offsets, first.times_ms, first.values)),
        (np.arange(count, count + len(second.labels)), Points(second.offsets, second.times_ms, second.values)),
    ]
    points = merged(parts, count + len(second.labels))
    return Selection((*first.labels, *second.labels), points.offsets, points.times_ms, points.values)


def _name(labels: Labels) -> str:
    return dict(labels).get(NAME_LABEL, "")
