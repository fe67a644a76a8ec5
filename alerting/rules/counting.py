"""Which records a log metric counts, and under which label values. Columns all the way: Python sees groups only."""

from __future__ import annotations

import polars as pl

from alerting.rules.model import LogMetric
from collector.parse.fields import field_expr
from collector.records import IOSTREAMS, LEVELS, RecordFrame
from collector.search import plan
from collector.search.fields import Kind, body_name, kind_of, origin_fields
from collector.search.language import parse

LabelValues = tuple[str, ...]
"""In the order of the metric's `by`; "" where a record lacks the field."""


class Counting:
    """A metric's query, ready to be run over frames."""

    def __init__(self, metric: LogMetric) -> None:
        self.metric = metric
        self._query = parse(metric.query)
        self._fields = [field for _, field in metric.by]
        self._keys = {field: _key(place, field) for place, field in enumerate(self._fields)}

    def count(self, frame: RecordFrame) -> dict[LabelValues, int]:
        rows = plan.select(self._query, frame, self.metric.tenant)
        if rows.is_empty():
            return {}
        if not self._keys:
            return {(): rows.height}
        by = {expression.meta.output_name(): expression for expression in self._keys.values()}
        counts: dict[LabelValues, int] = {}
        for group in rows.group_by(list(by.values())).len("n").iter_rows(named=True):
            values = tuple(self._value(field, group, frame) for field in self._fields)
            counts[values] = counts.get(values, 0) + group["n"]
        return counts

    def _value(self, field: str, group: dict[str, object], frame: RecordFrame) -> str:
        value = group[self._keys[field].meta.output_name()]
        match kind_of(field):
            case Kind.ORIGIN:
                return origin_fields(frame.origins[_code(value)]).get(field, "")
            case Kind.LEVEL:
                return LEVELS[_code(value)]
            case Kind.IOSTREAM:
                return IOSTREAMS[_code(value)]
        return "" if value is None else str(value)


def _key(place: int, field: str) -> pl.Expr:
    match kind_of(field):
        case Kind.ORIGIN:
            return pl.col("origin")
        case Kind.LEVEL:
            return pl.col("level")
        case Kind.IOSTREAM:
            return pl.col("iostream")
        case Kind.BODY:
            return field_expr(body_name(field)).alias(f"by_{place}")
    raise ValueError(f"{field} has a value of its own in each record: nothing can be counted by it")


def _code(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no code")
    return value
