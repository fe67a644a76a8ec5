"""One counted series and its recent past, as a step function: what it was at any time of the last while."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

import msgspec

POINTS = 600
"""About this many over the time that is looked back on; up to twice as many where counts come in pairs."""
LEAST_STEP_NS = 100_000_000

Point = tuple[int, float]


class CounterSeries(msgspec.Struct):
    """`points` are (Unix ns, value from then on), oldest first; before the first point the value was `before`."""

    value: float = 0.0
    before: float = 0.0
    points: list[Point] = []

    def add(self, ts_ns: int, count: int, keep_ns: int) -> None:
        """Times never go back: a receive time older than the last one counts at that one. Counts closer than a step are
        put together at the time of the last, so lines seem to be later than they were by less than two steps; never
        as late as a next count that is further away, which would be taken for all of them."""
        self.value += count
        step_ns = max(LEAST_STEP_NS, keep_ns // POINTS)
        if self.points:
            ts_ns = max(ts_ns, self.points[-1][0])
        crowded = (
            len(self.points) > 1
            and self.points[-1][0] - self.points[-2][0] < step_ns
            and ts_ns - self.points[-1][0] < step_ns
        )
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

    def window(self, start_ns: int, end_ns: int, keep_ns: int) -> tuple[Point, ...]:
        """Its value at both ends of [start_ns, end_ns] and wherever it changed inside, so that increase() has little to
        extrapolate. A series that began inside was 0 at the start. Less where the past is no longer known here."""
        inside = tuple(point for point in self.points if start_ns < point[0] < end_ns)
        if self.points and start_ns < self.points[0][0] and (self.before or end_ns - start_ns > keep_ns):
            return (*inside, (end_ns, self.at(end_ns)))
        return ((start_ns, self.at(start_ns)), *inside, (end_ns, self.at(end_ns)))

    def changes(self, after_ns: int, until_ns: int, step_ns: int) -> list[Point]:
        """Its value at the multiples of the step in (after, until] behind which it was another one; of a series that
        began there, 0 at the one before that."""
        found: list[Point] = []
        for ts_ns, _ in self.points:
            at_ns = -(-ts_ns // step_ns) * step_ns
            if after_ns < at_ns <= until_ns and (not found or found[-1][0] < at_ns):
                if not found and not self.at(at_ns - step_ns) and at_ns - step_ns > after_ns:
                    found.append((at_ns - step_ns, 0.0))
                found.append((at_ns, self.at(at_ns)))
        return found
