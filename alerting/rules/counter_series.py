"""One counted series and its recent past, as a step function: what it was at any time of the last while."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

import msgspec

POINTS = 600
"""At most about this many over the time that is looked back on."""
LEAST_STEP_NS = 100_000_000

Point = tuple[int, float]


class CounterSeries(msgspec.Struct):
    """`points` are (Unix ns, value from then on), oldest first; before the first point the value was `before`."""

    value: float = 0.0
    before: float = 0.0
    points: list[Point] = []

    def add(self, ts_ns: int, count: int, keep_ns: int) -> None:
        """Times never go back: a receive time older than the last one counts at that one."""
        self.value += count
        step_ns = max(LEAST_STEP_NS, keep_ns // POINTS)
        if self.points:
            ts_ns = max(ts_ns, self.points[-1][0])
        crowded = len(self.points) > 1 and self.points[-1][0] - self.points[-2][0] < step_ns
        if self.points and (crowded or self.points[-1][0] == ts_ns):
            self.points[-1] = (ts_ns, self.value)
        else:
            self.points.append((ts_ns, self.value))
        gone = bisect_right(self.points, ts_ns - keep_ns, key=itemgetter(0)) - 1
        if gone > 0:
            self.before = self.points[gone - 1][1]
            del self.points[:gone]

    def at(self, ts_ns: int) -> float:
        place = bisect_right(self.points, ts_ns, key=itemgetter(0))
        return self.points[place - 1][1] if place else self.before

    def window(self, start_ns: int, end_ns: int) -> tuple[Point, ...]:
        """Its value at both ends of the range and wherever it changed inside, so that increase() is exact: nothing is
        left to extrapolate. A series that began inside was 0 at the start."""
        inside = tuple(point for point in self.points if start_ns < point[0] < end_ns)
        return ((start_ns, self.at(start_ns)), *inside, (end_ns, self.at(end_ns)))
