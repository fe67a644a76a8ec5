"""Where an expression is evaluated: the query with its limits, and the times of the steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from collector.metrics.promql.annotations import Annotations
from collector.metrics.promql.ast import At, Edge, Expr, String, unwrapped
from collector.metrics.promql.faults import ErrorType, QueryError, TooManySamples, too_many_samples
from collector.metrics.promql.matrix import Floats, Ints, Matrix, Scalar, Value, Windows
from collector.metrics.promql.quoting import is_utf8, quote
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import Selection, SeriesSource
from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels


class Run:
    """One query under way."""

    def __init__(
        self,
        source: SeriesSource,
        settings: PromqlSettings,
        annotations: Annotations,
        times: tuple[int, int, int],
        cancelled: Callable[[], bool],
    ) -> None:
        """`times`: start, end and step of the whole query in ms; step 0: an instant query."""
        self.settings = settings
        self.annotations = annotations
        self.start_ms, self.end_ms, self.step_ms = times
        self.unknown: dict[Labels, None] = {}
        self._source = source
        self._cancelled = cancelled
        self._deadline = time.monotonic() + settings.timeout_s
        self._loaded = 0

    @property
    def in_range(self) -> bool:
        return self.step_ms > 0

    def check(self) -> None:
        """Raises QueryError once the query's time is up or nobody waits for it any more."""
        if self._cancelled():
            raise QueryError("query was canceled in expression evaluation", ErrorType.CANCELED)
        if time.monotonic() > self._deadline:
            reason = f"query timed out in expression evaluation (limit {self.settings.timeout_s:g} s)"
            raise QueryError(reason, ErrorType.TIMEOUT)

    def make_room(self, series: int, steps: int) -> None:
        """Raises QueryError where so many points are too many."""
        if series * steps > self.settings.max_samples:
            raise too_many_samples(self.settings.max_samples)

    def select(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> Selection:
        self.check()
        try:
            found = self._source.select(matchers, start_ms, end_ms, self.settings.max_samples - self._loaded)
        except TooManySamples:  # for this selector; whoever asked knows the limit of the query
            raise too_many_samples(self.settings.max_samples) from None
        self._loaded += found.samples
        if len(found.labels) > self.settings.max_series:
            raise QueryError(
                f"a selector takes {len(found.labels):,} series, more than {self.settings.max_series:,}:"
                " narrow it with another matcher"
            )
        self.unknown.update(dict.fromkeys(found.unknown))
        return found


class Frame:
    """The steps at which an expression is evaluated: those of the query, or those of a subquery."""

    def __init__(self, run: Run, times_ms: Ints, evaluate: Callable[[Expr, Frame], Value]) -> None:
        self.run = run
        self.times_ms = times_ms
        self._evaluate = evaluate

    @property
    def steps(self) -> int:
        return len(self.times_ms)

    @property
    def times_s(self) -> Floats:
        return self.times_ms / 1000.0

    def at(self, times_ms: Ints) -> Frame:
        return Frame(self.run, times_ms, self._evaluate)

    def refs_ms(self, at: At, offset_ms: int) -> Ints:
        """What `@` and `offset` make of the steps' times."""
        match at:
            case None:
                return self.times_ms - offset_ms
            case Edge.START:
                moment_ms = self.run.start_ms
            case Edge.END:
                moment_ms = self.run.end_ms
            case _:
                moment_ms = at
        return np.full(self.steps, moment_ms - offset_ms, np.int64)

    def value(self, expr: Expr) -> Value:
        return self._evaluate(expr, self)

    def matrix(self, expr: Expr) -> Matrix:
        value = self.value(expr)
        assert isinstance(value, Matrix)  # noqa: S101 - the types were checked when it was parsed
        return value

    def scalar(self, expr: Expr) -> Floats:
        value = self.value(expr)
        assert isinstance(value, Scalar)  # noqa: S101
        return value.values

    def windows(self, expr: Expr) -> Windows:
        value = self.value(expr)
        assert isinstance(value, Windows)  # noqa: S101
        return value


def utf8_of(expr: Expr) -> str:
    """Of a string argument that becomes part of a label. Raises QueryError where its bytes are no UTF-8."""
    text = text_of(expr)
    if not is_utf8(text):
        raise QueryError(f"the string {quote(text)} is not UTF-8")
    return text


def text_of(expr: Expr) -> str:
    """Of a string argument: nothing but a literal has that type."""
    inner = unwrapped(expr)
    assert isinstance(inner, String)  # noqa: S101
    return inner.value
