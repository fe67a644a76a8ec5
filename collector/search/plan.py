"""From a query's tree to columns: one expression over rows, and what may be skipped without reading them.

What an origin tells (host, container, image, labels...) is decided once for each origin, not for each row: such a
part of the query becomes a set of origin ids. Levels likewise become a set of codes. What is left is a regex or two
over the messages; and only the rows that passed all that have a body's field read out of their text (`filter`).

Used over hot frames and Parquet blocks by the store, and over each new RecordFrame by log metrics and live tail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec
import polars as pl

from collector.records import IOSTREAMS, LEVELS, ROWS, Origin, RecordFrame
from collector.search import query as q
from collector.search.comparison import network_term
from collector.search.fields import FLAG_NAMES, NUMBERS, TIMES, Kind, kind_of, origin_fields
from collector.search.values import body_condition, text_condition, text_hint, value_condition
from collector.search.words import Needs, required_words
from deckwatch.runtime.times import absolute_span

Condition = pl.Expr | bool
_CHEAP, _TEXT, _BODY = range(3)


class Compiled(msgspec.Struct, frozen=True):
    """Where `expr` is a bool the answer is the same for every row of these origins."""

    expr: Condition
    early: tuple[pl.Expr, ...]  # stages of `expr` over columns and texts, the cheaper ones first
    late: tuple[pl.Expr, ...]  # and what reads the fields of bodies; all together are `expr`
    columns: frozenset[str]  # of ROWS (and seq, ingested) that `expr` reads
    words: Needs  # which tokens a block of messages must hold
    levels: frozenset[int]  # codes outside of it can't match
    origin_ids: frozenset[int]  # ids outside of it can't match

    @property
    def stages(self) -> tuple[pl.Expr, ...]:
        return self.early + self.late

    def filter(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The matching rows, in their order."""
        return filtered(self.filter_early(rows), self.late)

    def filter_early(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Without the late stages."""
        return rows.clear() if self.expr is False else filtered(rows, self.early)


def filtered(rows: pl.DataFrame, stages: tuple[pl.Expr, ...]) -> pl.DataFrame:
    for stage in stages:
        if rows.is_empty():
            break
        rows = rows.filter(stage)
    return rows


def compile(query: q.Query, origins: Mapping[int, Origin]) -> Compiled:
    """For rows whose `origin` is a key of `origins`."""
    planner = _Planner(origins)
    expr = planner.condition(query)
    early, late = _stages(query, planner) if isinstance(expr, pl.Expr) else ((), ())
    return Compiled(
        expr=expr,
        early=early,
        late=late,
        columns=frozenset(name for stage in early + late for name in stage.meta.root_names()),
        words=required_words(query),
        levels=planner.levels.needed(query),
        origin_ids=planner.origins.needed(query),
    )


def select(query: q.Query, frame: RecordFrame, tenant: str) -> pl.DataFrame:
    """The matching records (ROWS) of a tenant in a frame that isn't stored yet: what log metrics see."""
    origins = {place: origin for place, origin in enumerate(frame.origins) if origin.tenant == tenant}
    compiled = compile(query, origins)
    rows = frame.rows
    if len(origins) < len(frame.origins):
        rows = rows.filter(pl.col("origin").is_in(list(origins)))
    if compiled.columns - set(rows.columns):
        rows = rows.with_columns(seq=pl.lit(frame.seq, pl.Int64), ingested=pl.lit(frame.received_ns, pl.Int64))
    return compiled.filter(rows).select(list(ROWS))


class _Dimension:
    """A part of each record that takes few values: a leaf about it is decided for all of them at once."""

    def __init__(self, kind: Kind, ids: frozenset[int], matching: Callable[[q.Query], frozenset[int]]) -> None:
        self._kind = kind
        self._ids = ids
        self._matching = matching
        self._known: dict[q.Query, frozenset[int]] = {}

    def owns(self, query: q.Query) -> bool:
        """Is every leaf about this dimension?"""
        below = q.children(query)
        if below:
            return all(self.owns(child) for child in below)
        return not isinstance(query, q.All) and _kind(query) is self._kind

    def exact(self, query: q.Query) -> frozenset[int]:
        """The values for which a query that is owned holds."""
        match query:
            case q.And(parts):
                return self._ids.intersection(*(self.exact(part) for part in parts))
            case q.Or(parts):
                return frozenset().union(*(self.exact(part) for part in parts))
            case q.Not(part):
                return self._ids - self.exact(part)
        if query not in self._known:
            self._known[query] = self._matching(query)
        return self._known[query]

    def needed(self, query: q.Query) -> frozenset[int]:
        """The values for which any query can hold at all."""
        if self.owns(query):
            return self.exact(query)
        match query:
            case q.And(parts):
                return self._ids.intersection(*(self.needed(part) for part in parts))
            case q.Or(parts):
                return frozenset().union(*(self.needed(part) for part in parts))
        return self._ids

    def condition(self, column: str, query: q.Query) -> Condition:
        ids = self.exact(query)
        if not ids:
            return False
        return True if ids == self._ids else pl.col(column).is_in(sorted(ids))


class _Planner:
    def __init__(self, origins: Mapping[int, Origin]) -> None:
        self._fields = {number: origin_fields(origin) for number, origin in origins.items()}
        codes = frozenset(range(len(LEVELS)))
        streams = frozenset(range(len(IOSTREAMS)))
        self.origins = _Dimension(Kind.ORIGIN, frozenset(origins), self._matching_origins)
        self.levels = _Dimension(Kind.LEVEL, codes, _matching_levels)
        self.iostreams = _Dimension(Kind.IOSTREAM, streams, _matching_iostreams)

    def condition(self, query: q.Query) -> Condition:
        for column, dimension in (("origin", self.origins), ("level", self.levels), ("iostream", self.iostreams)):
            if dimension.owns(query):
                return dimension.condition(column, query)
        match query:
            case q.All():
                return True
            case q.And(parts):
                return _all([self.condition(part) for part in parts])
            case q.Or(parts):
                return _any([self.condition(part) for part in parts])
            case q.Not(part):
                inner = self.condition(part)
                return not inner if isinstance(inner, bool) else ~inner
        return _row_condition(query)

    def _matching_origins(self, leaf: q.Query) -> frozenset[int]:
        field = _field(leaf)
        return _matching(leaf, {number: fields.get(field) for number, fields in self._fields.items()})


def _matching_levels(leaf: q.Query) -> frozenset[int]:
    if not isinstance(leaf, q.Level):
        raise TypeError(f"{leaf} stands on log.level, where only Level may stand")
    return frozenset(leaf.codes)


def _matching_iostreams(leaf: q.Query) -> frozenset[int]:
    return _matching(leaf, {code: name or None for code, name in enumerate(IOSTREAMS)})


def _matching(leaf: q.Query, values: Mapping[int, str | None]) -> frozenset[int]:
    """Ids whose value the leaf accepts. What is compared by regex or range goes through the very expression that
    would run over rows; the others are told faster here (a frame of its own costs half a millisecond)."""
    match leaf:
        case q.Term(_, text) if network_term(leaf) is None:
            return frozenset(number for number, value in values.items() if value == text)
        case q.Exists():
            return frozenset(number for number, value in values.items() if value is not None)
        case q.Wildcard(_, pattern) if pattern.count(q.AnyRun()) <= 2:  # more: Python's engine may take for ever
            like = re.compile("".join(_python_pattern(part) for part in pattern), re.DOTALL)
            return frozenset(number for number, value in values.items() if value is not None and like.fullmatch(value))
    schema = {"id": pl.Int64, "value": pl.String}
    table = pl.DataFrame({"id": list(values), "value": list(values.values())}, schema=schema)
    return frozenset(table.filter(value_condition(leaf, pl.col("value")))["id"].to_list())


def _python_pattern(part: q.AnyRun | q.AnyOne | str) -> str:
    return re.escape(part) if isinstance(part, str) else ".*" if part == q.AnyRun() else "."


def _row_condition(leaf: q.Query) -> pl.Expr:
    field = _field(leaf)
    match kind_of(field):
        case Kind.TEXT:
            return text_condition(leaf)
        case Kind.TIME:
            return _time_condition(leaf, pl.col(TIMES[field]))
        case Kind.NUMBER:
            return _number_condition(leaf, pl.col(NUMBERS[field]))
        case Kind.FLAGS:
            flags = pl.col("flags")
            return flags & FLAG_NAMES[leaf.value] != 0 if isinstance(leaf, q.Term) else flags != 0
    return body_condition(leaf)


def _time_condition(leaf: q.Query, column: pl.Expr) -> pl.Expr:
    """A bound is the whole span that its text names: <= 2026-01-31 holds that day, > 2026-01-31 begins behind it."""
    if not isinstance(leaf, q.Range):
        raise TypeError(f"{leaf} stands on a time, where only Range may stand")
    condition = pl.lit(True)
    if leaf.low is not None:
        first, behind = absolute_span(leaf.low)
        condition = column >= (first if leaf.include_low else behind)
    if leaf.high is not None:
        first, behind = absolute_span(leaf.high)
        condition &= column < (behind if leaf.include_high else first)
    return condition


def _number_condition(leaf: q.Query, column: pl.Expr) -> pl.Expr:
    if isinstance(leaf, q.Term):
        return column == int(leaf.value)
    if not isinstance(leaf, q.Range):
        raise TypeError(f"{leaf} stands on a whole number, where only Term and Range may stand")
    condition = pl.lit(True)
    if leaf.low is not None:
        condition = column >= int(leaf.low) if leaf.include_low else column > int(leaf.low)
    if leaf.high is not None:
        condition &= column <= int(leaf.high) if leaf.include_high else column < int(leaf.high)
    return condition


def _field(leaf: q.Query) -> str:
    return "log.level" if isinstance(leaf, q.Level) else str(getattr(leaf, "field", ""))


def _kind(leaf: q.Query) -> Kind:
    return kind_of(_field(leaf))


def _cost(query: q.Query) -> int:
    kinds = {_kind(part) for part in q.walk(query) if not q.children(part) and not isinstance(part, q.All)}
    return _BODY if Kind.BODY in kinds else _TEXT if Kind.TEXT in kinds else _CHEAP


def _stages(query: q.Query, planner: _Planner) -> tuple[tuple[pl.Expr, ...], tuple[pl.Expr, ...]]:
    """The parts of a conjunction, early and late; equally cheap ones run in one pass."""
    parts = query.parts if isinstance(query, q.And) else (query,)
    by_cost: dict[int, list[Condition]] = {}
    for part in parts:
        by_cost.setdefault(_cost(part), []).append(planner.condition(part))
        if not q.children(part) and _cost(part) == _BODY:
            by_cost.setdefault(_CHEAP, []).append(pl.col("body") != 0)
        if (hint := text_hint(part)) is not None:
            by_cost.setdefault(_TEXT, []).append(hint)
    conditions = {cost: _all(by_cost[cost]) for cost in sorted(by_cost)}
    stages = {cost: condition for cost, condition in conditions.items() if isinstance(condition, pl.Expr)}
    late = (stages.pop(_BODY),) if _BODY in stages else ()
    return tuple(stages.values()), late


def _all(conditions: list[Condition]) -> Condition:
    """Conjunction with constants folded."""
    if False in [condition for condition in conditions if isinstance(condition, bool)]:
        return False
    result: Condition = True
    for condition in conditions:
        if isinstance(condition, pl.Expr):
            result = condition if isinstance(result, bool) else result & condition
    return result


def _any(conditions: list[Condition]) -> Condition:
    if True in [condition for condition in conditions if isinstance(condition, bool)]:
        return True
    result: Condition = False
    for condition in conditions:
        if isinstance(condition, pl.Expr):
            result = condition if isinstance(result, bool) else result | condition
    return result
