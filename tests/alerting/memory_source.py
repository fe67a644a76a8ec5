"""A SeriesSource of literal series, for tests of what asks one."""

from __future__ import annotations

from collector.metrics.selector import Selector
from collector.metrics.series import Sample, Vector, Window, Windows
from deckwatch.wire.model import Labels

Points = list[tuple[float, float]]
"""(seconds, value)"""


def labels(metric: str, /, **pairs: str) -> Labels:
    return tuple(sorted({"__name__": metric, **pairs}.items()))


class MemorySource:
    def __init__(self, series: dict[Labels, Points], unknown: tuple[Labels, ...] = ()) -> None:
        self.series = series
        self.unknown = unknown

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        found = []
        for name, points in self.series.items():
            past = [value for second, value in points if second * 1e9 <= at_ns]
            if past and self._takes(selector, name):
                found.append(Sample(name, past[-1]))
        return Vector(tuple(found), self._unknown(selector))

    def window(self, tenant: str, selector: Selector, start_ns: int, end_ns: int) -> Windows:
        windows = []
        for name, points in self.series.items():
            inside = tuple((int(second * 1e9), value) for second, value in points if start_ns < second * 1e9 <= end_ns)
            if inside and self._takes(selector, name):
                windows.append(Window(name, inside))
        return Windows(tuple(windows), self._unknown(selector))

    def _takes(self, selector: Selector, name: Labels) -> bool:
        found = dict(name)
        return selector.takes_name(found["__name__"]) and selector.takes_labels(found)

    def _unknown(self, selector: Selector) -> tuple[Labels, ...]:
        return tuple(name for name in self.unknown if self._takes(selector, name))
