"""What a rule's expression is: a pure function of time that returns a vector.

The expressions of this version are few (selector, rate() or increase() of a range, a comparison with a number); the
PromQL engine will stand behind the same protocol. All of them hand on which series are unknown, so that a rule can
leave alone what nobody can judge at the moment.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Protocol

import msgspec

from alerting.rules.durations import format_duration
from alerting.rules.rate import extrapolated_increase
from collector.metrics.families import number
from collector.metrics.selector import Selector
from collector.metrics.series import Sample, SeriesSource, Vector, without_name


class Query:
    """The series of one tenant. What an expression may ask."""

    def __init__(self, source: SeriesSource, tenant: str) -> None:
        self.source = source
        self.tenant = tenant


class Expression(Protocol):
    def evaluate(self, at_ns: int, query: Query) -> Vector:
        """Without side effects, the same for the same time and series."""
        ...

    def ranges(self) -> Iterator[tuple[Selector, int]]:
        """The selectors and how far back each looks in ns (0: the newest sample)."""
        ...


class Literal(msgspec.Struct, frozen=True):
    """A number. As a rule's whole expression it is one sample without labels."""

    value: float

    def evaluate(self, at_ns: int, query: Query) -> Vector:
        return Vector((Sample((), self.value),))

    def ranges(self) -> Iterator[tuple[Selector, int]]:
        return iter(())

    def __str__(self) -> str:
        return number(self.value)


class Instant(msgspec.Struct, frozen=True):
    """`up{job="a"}`"""

    selector: Selector

    def evaluate(self, at_ns: int, query: Query) -> Vector:
        return query.source.instant(query.tenant, self.selector, at_ns)

    def ranges(self) -> Iterator[tuple[Selector, int]]:
        yield self.selector, 0

    def __str__(self) -> str:
        return str(self.selector)


class RangeFunction(StrEnum):
    RATE = "rate"  # per second
    INCREASE = "increase"


class OverRange(msgspec.Struct, frozen=True):
    """`rate(requests_total[5m])`"""

    function: RangeFunction
    selector: Selector
    range_ns: int

    def evaluate(self, at_ns: int, query: Query) -> Vector:
        start_ns = at_ns - self.range_ns
        windows = query.source.window(query.tenant, self.selector, start_ns, at_ns)
        divisor = self.range_ns / 1e9 if self.function is RangeFunction.RATE else 1.0
        samples = []
        for window in windows.series:
            increase = extrapolated_increase(window.points, start_ns, at_ns)
            if increase is not None:
                samples.append(Sample(without_name(window.labels), increase / divisor))
        return Vector(tuple(samples), tuple(map(without_name, windows.unknown)))

    def ranges(self) -> Iterator[tuple[Selector, int]]:
        yield self.selector, self.range_ns

    def __str__(self) -> str:
        return f"{self.function.value}({self.selector}[{format_duration(self.range_ns)}])"


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


class Comparison(msgspec.Struct, frozen=True):
    """Keeps the samples for which it holds, with their own values; with `bool` all, as 1 or 0 and without name."""

    operator: str
    vector: Instant | OverRange | Comparison
    number: float
    number_is_left: bool = False
    as_bool: bool = False

    def evaluate(self, at_ns: int, query: Query) -> Vector:
        vector = self.vector.evaluate(at_ns, query)
        if self.as_bool:
            samples = tuple(Sample(without_name(s.labels), float(self._holds(s.value))) for s in vector.samples)
            return Vector(samples, tuple(map(without_name, vector.unknown)))
        return Vector(tuple(s for s in vector.samples if self._holds(s.value)), vector.unknown)

    def _holds(self, value: float) -> bool:
        compare = COMPARISONS[self.operator]
        return compare(self.number, value) if self.number_is_left else compare(value, self.number)

    def ranges(self) -> Iterator[tuple[Selector, int]]:
        return self.vector.ranges()

    def __str__(self) -> str:
        sign = f"{self.operator} bool" if self.as_bool else self.operator
        sides = [str(self.vector), number(self.number)]
        left, right = reversed(sides) if self.number_is_left else sides
        return f"{left} {sign} {right}"
