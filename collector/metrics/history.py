"""The recent past of a few series: those that a loaded rule looks back on. Full history comes with blocks on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from collector.metrics.selector import Selector
from collector.metrics.series import Window
from deckwatch.wire.model import Labels

MAX_POINTS = 4096
"""Of one series; the oldest go first."""

_Key = tuple[str, Labels]  # tenant, labels


class History:
    """Points of the series whose names were asked for, as long as the largest range over them."""

    def __init__(self) -> None:
        self._range_ns: dict[str, int] = {}
        self._points: dict[str, dict[_Key, deque[tuple[int, float]]]] = {}

    def keep(self, ranges_ns: Iterable[tuple[str, int]]) -> None:
        """From now on keep (metric name, range in ns), and nothing else."""
        wanted: dict[str, int] = {}
        for name, range_ns in ranges_ns:
            wanted[name] = max(wanted.get(name, 0), range_ns)
        self._range_ns = wanted
        self._points = {name: self._points.get(name, {}) for name in wanted}

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._range_ns)

    def add(self, tenant: str, name: str, labels: Labels, ts_ns: int, value: float) -> None:
        """`labels` with `__name__`. A point that isn't newer than the last one is ignored."""
        points = self._points[name].setdefault((tenant, labels), deque(maxlen=MAX_POINTS))
        if points and points[-1][0] >= ts_ns:
            return
        points.append((ts_ns, value))
        horizon_ns = ts_ns - self._range_ns[name]
        while points[0][0] < horizon_ns:
            points.popleft()

    def forget_before(self, now_ns: int) -> None:
        """Drop series that ended so long ago that no range reaches them."""
        for name, series in self._points.items():
            horizon_ns = now_ns - self._range_ns[name]
            for key in [key for key, points in series.items() if points[-1][0] < horizon_ns]:
                del series[key]

    def windows(self, tenant: str, selector: Selector, start_ns: int, end_ns: int) -> Iterator[Window]:
        for name, series in self._points.items():
            if not selector.takes_name(name):
                continue
            for (owner, labels), points in series.items():
                if owner != tenant or not selector.takes_labels(dict(labels)):
                    continue
                inside = tuple(point for point in points if start_ns < point[0] <= end_ns)
                if inside:
                    yield Window(labels, inside)
