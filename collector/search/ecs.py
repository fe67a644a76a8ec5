"""Records as documents: ECS names, flat with dots. ALWAYS stand in every document, null where they are absent; other
absent fields are left out.

The JSON text is put together in columns: what an origin tells is rendered once for each origin, levels and flags once
for each code, and a row adds its times, offset and message. Only bodies (JSON, logfmt) are taken apart one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
import polars as pl

from collector.parse.fields import body_fields
from collector.records import IOSTREAMS, LEVELS, Origin
from collector.search.fields import FLAG_NAMES, origin_fields, public_name

_SLICE_ROWS = 8192
"""Rendered at a time: 870,000 records a CPU second; a million at once took five times as long, in page faults."""

ALWAYS = (
    "@timestamp",
    "message",
    "log.level",
    "log.iostream",
    "log.offset",
    "host.name",
    "container.id",
    "container.name",
    "deckwatch.seq",
)
"""What scripts rely on, so that they need not ask whether it is there."""

_RFC3339 = "%Y-%m-%dT%H:%M:%S%.9fZ"


def to_documents(rows: pl.DataFrame, origins: Mapping[int, Origin]) -> list[dict[str, Any]]:
    """STORED_ROWS (or ROWS alone: then without deckwatch.seq and event.ingested), in their order."""
    return [orjson.loads(line) for line in to_lines(rows, origins)]


def to_ndjson(rows: pl.DataFrame, origins: Mapping[int, Origin]) -> bytes:
    """One document a line, each with its newline."""
    pieces = (rows.slice(at, _SLICE_ROWS) for at in range(0, len(rows), _SLICE_ROWS))
    return b"".join("\n".join([*to_lines(piece, origins), ""]).encode() for piece in pieces)


def to_lines(rows: pl.DataFrame, origins: Mapping[int, Origin]) -> list[str]:
    if rows.is_empty():
        return []
    lines: list[str] = rows.select(_line(rows, origins)).to_series().to_list()
    bodies = rows.with_row_index("at").filter(pl.col("body") != 0).select("at", "message", "body")
    for at, message, body in bodies.iter_rows():
        if extra := body_members(message, body):
            lines[at] = lines[at][:-1] + extra + "}"
    return lines


def body_members(message: str, body: int) -> str:
    """`,"name":value...` of a body's fields under their public names."""
    fields = {public_name(name): value for name, value in body_fields(message, body).items()}
    return "," + orjson.dumps(fields).decode()[1:-1] if fields else ""


def _line(rows: pl.DataFrame, origins: Mapping[int, Origin]) -> pl.Expr:
    members = [
        pl.lit('{"@timestamp":"') + _rfc3339("ts") + pl.lit('"'),
        _by_code("level", [_members({"log.level": name or None}) for name in LEVELS]),
        _by_code("iostream", [_members({"log.iostream": name or None}) for name in IOSTREAMS]),
        _by_code("flags", list(_flag_members())),
        _origin_members(rows, origins),
    ]
    if "ingested" in rows.columns:
        members.append(pl.lit(',"event.ingested":"') + _rfc3339("ingested") + pl.lit('"'))
    numbers = {"start": "log.offset", "seq": "deckwatch.seq"}
    last = [pl.col(column).alias(name) for column, name in numbers.items() if column in rows.columns]
    tail = pl.struct(*last, pl.col("message")).struct.json_encode().str.strip_prefix("{")
    return pl.concat_str(*members, pl.lit(","), tail)


def _rfc3339(column: str) -> pl.Expr:
    return pl.from_epoch(pl.col(column), "ns").dt.to_string(_RFC3339)


def _by_code(column: str, texts: list[str]) -> pl.Expr:
    codes = pl.Series(list(range(len(texts))), dtype=pl.UInt8)
    return pl.col(column).replace_strict(codes, pl.Series(texts), return_dtype=pl.String)


def _origin_members(rows: pl.DataFrame, origins: Mapping[int, Origin]) -> pl.Expr:
    numbers = rows["origin"].unique().to_list()
    always = dict.fromkeys(("host.name", "container.id", "container.name"))
    texts = [_members(always | origin_fields(origins[number])) for number in numbers]
    return pl.col("origin").replace_strict(
        pl.Series(numbers, dtype=pl.UInt32), pl.Series(texts, dtype=pl.String), return_dtype=pl.String
    )


@lru_cache(maxsize=1)
def _flag_members() -> tuple[str, ...]:
    """For every value of the byte."""
    named = [[name for name, bit in FLAG_NAMES.items() if value & bit] for value in range(256)]
    return tuple(_members({"log.flags": names}) if names else "" for names in named)


def _members(fields: Mapping[str, object]) -> str:
    return "," + orjson.dumps(dict(fields)).decode()[1:-1] if fields else ""
