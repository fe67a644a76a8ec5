"""Looking at blocks: which can be skipped, and what one of them holds for a query. Pure functions over whole columns;
search.py runs them in threads and puts their answers together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
import numpy as np
import polars as pl

from collector.parse.fields import field_expr, field_values
from collector.records import IOSTREAMS, LEVELS, Origin
from collector.search.fields import FLAG_NAMES, NUMBERS, TIMES, Kind, body_name, kind_of, origin_fields
from collector.search.plan import Compiled, compile, filtered
from collector.search.query import Query
from collector.search.words import may_match
from collector.store.embedded.snapshot import Block, Snapshot
from collector.store.protocol import STORED_ROWS

RANK = "_rank"  # of the row's stream key among all keys of the tenant, in their order
INDEX = "_index"  # place of the row in its block
_FIRST_STEP = 1024  # bodies that are read at first, where only the first matches are wanted


class By(StrEnum):
    """Columns that order results, before (stream key, start)."""

    TIME = "ts"
    ARRIVAL = "seq"


class Place(msgspec.Struct, frozen=True):
    """A place in an order, between two rows or at one: rows strictly behind it are wanted. Where the tenant knows the
    key no more, `rank` is that of the first key above it and `exact` is false."""

    value: int
    rank: int
    start: int
    exact: bool


class Plan(msgspec.Struct, frozen=True):
    """A query over one snapshot of a tenant's records."""

    compiled: Compiled
    origins: Mapping[int, Origin]
    ranks: Mapping[int, int]  # by origin id
    keys: Sequence[str]  # by rank
    start_ns: int
    end_ns: int
    blocks: tuple[Block, ...]  # those that may hold a match
    total_rows: int  # of the blocks in the time range, skipped ones included
    skipped_rows: int

    def place(self, value: int, key: str, start: int) -> Place:
        rank = bisect_left(self.keys, key)
        return Place(value, rank, start, exact=rank < len(self.keys) and self.keys[rank] == key)


def tenant_origins(origins: Mapping[int, Origin], tenant: str) -> dict[int, Origin]:
    return {id_: origin for id_, origin in origins.items() if origin.tenant == tenant}


def plan(snapshot: Snapshot, tenant: str, query: Query, start_ns: int, end_ns: int, min_seq: int = -1) -> Plan:
    """`min_seq`: rows of older entries are not wanted; blocks that hold only such are skipped."""
    touched = [
        block
        for block in snapshot.of(tenant).all
        if block.stats.min_ts < end_ns and block.stats.max_ts >= start_ns and block.stats.max_seq >= min_seq
    ]
    origins = _origins_of(snapshot, tenant, touched)
    compiled = compile(query, origins)
    keys = sorted({origin.key for origin in origins.values()})
    rank_of = {key: rank for rank, key in enumerate(keys)}
    wanted = [block for block in touched if _may_match(block, compiled)]
    total = sum(block.stats.rows for block in touched)
    return Plan(
        compiled=compiled,
        origins=origins,
        ranks={id_: rank_of[origin.key] for id_, origin in origins.items()},
        keys=keys,
        start_ns=start_ns,
        end_ns=end_ns,
        blocks=tuple(wanted),
        total_rows=total,
        skipped_rows=total - sum(block.stats.rows for block in wanted),
    )


def _origins_of(snapshot: Snapshot, tenant: str, blocks: Sequence[Block]) -> dict[int, Origin]:
    """Of a few blocks theirs alone: so a live tail, which looks at the newest rows, costs as much as those do. Of many
    blocks it is cheaper to take all of the tenant's than to ask each block."""
    if sum(len(block.stats.origins) for block in blocks) >= len(snapshot.origins):
        return tenant_origins(snapshot.origins, tenant)
    ids = set().union(*(block.stats.origins for block in blocks))
    return {id_: snapshot.origins[id_] for id_ in ids}


def _may_match(block: Block, compiled: Compiled) -> bool:
    if compiled.expr is False:
        return False
    stats = block.stats
    return (
        any(stats.levels >> code & 1 for code in compiled.levels)
        and not compiled.origin_ids.isdisjoint(stats.origins)
        and may_match(compiled.words, block.may_contain)
    )


def _in_range(rows: pl.DataFrame, block: Block, start_ns: int, end_ns: int) -> pl.DataFrame:
    if start_ns <= block.stats.min_ts and block.stats.max_ts < end_ns:
        return rows
    return rows.filter((pl.col("ts") >= start_ns) & (pl.col("ts") < end_ns))


def _needs_time(plan: Plan, block: Block) -> bool:
    return not (plan.start_ns <= block.stats.min_ts and block.stats.max_ts < plan.end_ns)


def matching(plan: Plan, block: Block, columns: frozenset[str]) -> pl.DataFrame:
    """The named columns of the matching rows, with INDEX."""
    return plan.compiled.filter(_rows(plan, block, columns))


def _rows(plan: Plan, block: Block, columns: frozenset[str]) -> pl.DataFrame:
    """The named columns and those that the query reads, with INDEX, of the rows in the time range."""
    needed = set(columns) | plan.compiled.columns
    if _needs_time(plan, block):
        needed.add("ts")
    # A block without any wanted column still has its number of rows.
    rows = block.read(sorted(needed or {"level"})).with_row_index(INDEX)
    return _in_range(rows, block, plan.start_ns, plan.end_ns)


def count(plan: Plan, block: Block) -> int:
    if plan.compiled.expr is True and not _needs_time(plan, block):
        return block.stats.rows
    return matching(plan, block, frozenset()).height


# Ordered results -----------------------------------------------------------------------------------------------


def best(
    plan: Plan, block: Block, by: By, descending: bool, limit: int | None, behind: Place | None, bound: int | None
) -> pl.DataFrame:
    """The block's matching rows (STORED_ROWS and RANK) in order, behind `behind`, at most `limit`. `bound`: rows whose
    value lies beyond it (below where descending) can't be among the first any more."""
    rows = _rows(plan, block, frozenset({by.value, "origin", "start"}))
    if bound is not None:
        rows = rows.filter(pl.col(by.value) >= bound if descending else pl.col(by.value) <= bound)
    rows = _ranked(plan.compiled.filter_early(rows), plan)
    if behind is not None:
        rows = rows.filter(is_behind(by, behind, descending))
    found = _first(rows, plan.compiled.late, by, descending, limit)
    if found.is_empty():
        return pl.DataFrame(schema={**STORED_ROWS, RANK: pl.Int64()})
    missing = [name for name in STORED_ROWS if name not in found.columns]
    if missing:
        rest = block.read(missing)
        found = pl.concat([found, rest[found[INDEX]]], how="horizontal")
    return found.select(*STORED_ROWS, RANK)


def _first(rows: pl.DataFrame, late: tuple[pl.Expr, ...], by: By, descending: bool, limit: int | None) -> pl.DataFrame:
    """The first `limit` rows for which the late stages hold, in order. Bodies are read in that order too, more of them
    each time: where matches are frequent, few have to be."""
    if not late or limit is None:
        found = ordered(filtered(rows, late), by, descending)
        return found if limit is None else first_rows(found, limit)
    places = rows.select(by.value, RANK, "start").with_row_index("_at")
    order = ordered(places, by, descending)["_at"]
    parts, found_rows, at, step = [rows.clear()], 0, 0, max(_FIRST_STEP, limit)
    while at < len(order) and found_rows < limit:
        part = filtered(rows[order.slice(at, step)], late)
        parts.append(part)
        found_rows += part.height
        at, step = at + step, 4 * step
    return first_rows(pl.concat(parts), limit)


def first_rows(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Like `head`, which would keep the texts of all the others in memory."""
    return rows[np.arange(count)] if rows.height > count else rows


def _ranked(rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    ids = pl.Series(list(plan.ranks), dtype=pl.UInt32)
    ranks = pl.Series(list(plan.ranks.values()), dtype=pl.Int64)
    return rows.with_columns(pl.col("origin").replace_strict(ids, ranks, return_dtype=pl.Int64).alias(RANK))


def is_behind(by: By, place: Place, descending: bool) -> pl.Expr:
    value, rank, start = pl.col(by.value), pl.col(RANK), pl.col("start")
    if descending:
        tie = (rank < place.rank) | ((rank == place.rank) & (start < place.start) & place.exact)
        return (value < place.value) | ((value == place.value) & tie)
    above = rank > place.rank if place.exact else rank >= place.rank
    tie = above | ((rank == place.rank) & (start > place.start) & place.exact)
    return (value > place.value) | ((value == place.value) & tie)


def ordered(rows: pl.DataFrame, by: By, descending: bool) -> pl.DataFrame:
    return rows.sort(by.value, RANK, "start", descending=descending)


# Summaries -----------------------------------------------------------------------------------------------------


def histogram(plan: Plan, block: Block, interval_ns: int, by_level: bool) -> pl.DataFrame:
    """Columns: bucket (its start, ns), level (code; 0 everywhere unless `by_level`), count."""
    rows = matching(plan, block, frozenset({"ts", "level"} if by_level else {"ts"}))
    level = pl.col("level") if by_level else pl.lit(0, pl.UInt8).alias("level")
    bucket = (pl.col("ts").floordiv(interval_ns) * interval_ns).alias("bucket")
    return rows.select(bucket, level).group_by("bucket", "level").agg(count=pl.len().cast(pl.Int64))


def merge_counts(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Sum up what several blocks counted; the columns besides `count` are the key."""
    table = pl.concat(parts)
    key = [name for name in table.columns if name != "count"]
    return table.group_by(key).agg(pl.col("count").sum())


def values(plan: Plan, block: Block, field: str) -> pl.DataFrame:
    """Columns: value (String), count. Records without the field are left out."""
    columns, expression = _value_of(field, plan.origins)
    found = matching(plan, block, columns)
    if kind_of(field) is Kind.BODY:
        rows = field_values(body_name(field), found).to_frame("value")
    else:
        rows = found.select(expression.alias("value")).drop_nulls()
    return rows.group_by("value").agg(count=pl.len().cast(pl.Int64))


def _value_of(field: str, origins: Mapping[int, Origin]) -> tuple[frozenset[str], pl.Expr]:
    """The columns that a field is made from, and its text (null: absent)."""
    match kind_of(field):
        case Kind.TEXT:
            return frozenset({"message"}), pl.col("message")
        case Kind.LEVEL:
            return frozenset({"level"}), _decoded("level", LEVELS)
        case Kind.IOSTREAM:
            return frozenset({"iostream"}), _decoded("iostream", IOSTREAMS)
        case Kind.FLAGS:
            names = [
                pl.when(pl.col("flags") & bit != 0).then(pl.lit(name, pl.String)) for name, bit in FLAG_NAMES.items()
            ]
            joined = pl.concat_str(names, separator=",", ignore_nulls=True)
            return frozenset({"flags"}), pl.when(pl.col("flags") != 0).then(joined)
        case Kind.TIME | Kind.NUMBER:
            column = (TIMES | NUMBERS)[field]
            return frozenset({column}), pl.col(column).cast(pl.String)
        case Kind.ORIGIN:
            known = {id_: origin_fields(origin).get(field) for id_, origin in origins.items()}
            ids = pl.Series(list(known), dtype=pl.UInt32)
            texts = pl.Series(list(known.values()), dtype=pl.String)
            return frozenset({"origin"}), pl.col("origin").replace_strict(ids, texts, return_dtype=pl.String)
    return frozenset({"message", "body"}), field_expr(body_name(field))


def _decoded(column: str, names: tuple[str, ...]) -> pl.Expr:
    codes = pl.Series(range(1, len(names)), dtype=pl.UInt8)
    return pl.col(column).replace_strict(
        codes, pl.Series(names[1:], dtype=pl.String), default=None, return_dtype=pl.String
    )


def row_fields(plan: Plan, block: Block) -> pl.DataFrame:
    """Counts of what decides which of our own fields a record has. Columns: origin, level, iostream, flags, count."""
    rows = matching(plan, block, frozenset({"origin", "level", "iostream", "flags"}))
    return rows.group_by("origin", "level", "iostream", "flags").agg(count=pl.len().cast(pl.Int64))


def some_bodies(plan: Plan, block: Block, most: int) -> pl.DataFrame:
    """Columns message and body of at most `most` matching records that have a JSON or logfmt body, spread evenly."""
    rows = matching(plan, block, frozenset({"message", "body"})).filter(pl.col("body") != 0)
    return rows.gather_every(max(1, rows.height // most)).head(most).select("message", "body")


# One stream ----------------------------------------------------------------------------------------------------


def stream_rows(block: Block, ids: Sequence[int]) -> pl.DataFrame:
    """Columns start, end and INDEX of the rows of these origins."""
    rows = block.read(["origin", "start", "end"]).with_row_index(INDEX)
    return rows.filter(pl.col("origin").is_in(ids)).select("start", "end", INDEX)


def neighbours(rows: pl.DataFrame, start: int, before: int, after: int) -> pl.DataFrame:
    """Of a stream's rows (columns start, end and others) the one that holds byte `start` and those around it, by
    ascending start; empty where no row holds it."""
    rows = rows.sort("start")
    hit = rows.with_row_index("_n").filter((pl.col("start") <= start) & (pl.col("end") > start))
    if hit.is_empty():
        return rows.clear()
    at = int(hit["_n"][0])
    first = max(0, at - before)
    return rows.slice(first, at - first + 1 + after)
