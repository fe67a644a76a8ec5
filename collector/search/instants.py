"""Times in the fields of bodies, in columns: RFC 3339 and ISO 8601 as `times` reads them, and Unix time by its size."""

from __future__ import annotations

import polars as pl

from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import SECOND, absolute_span

_WHOLE = r"^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s?(?:[Zz]|([+-]\d\d):?(\d\d))?$"
_BEGINS = r"^\d{4}-\d\d-\d\d"  # a date, a time without seconds, a leap second
_OLDEST_UNIX = 10**8
"""A smaller number (March 1973, in seconds) is a count of something, no time."""
_MOST_US = (2**63 - 1) // 1000


def instants(values: pl.Series) -> pl.Series:
    """Unix ns (Int64), null where a text is no time."""
    found = _iso(values)
    if found.null_count() == values.null_count():
        return found
    unix = _unix(values)
    found = found.zip_with(found.is_not_null(), unix)
    left = found.is_null() & values.str.contains(_BEGINS).fill_null(False)
    return found.scatter(left.arg_true(), [_first(text) for text in values.filter(left)]) if left.any() else found


def _iso(values: pl.Series) -> pl.Series:
    groups = values.str.extract_groups(_WHOLE).struct
    whole = (groups.field("1") + "T" + groups.field("2")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False
    )
    ns = whole.to_physical().clip(-_MOST_US, _MOST_US) * 1000
    fraction = groups.field("3").fill_null("0").str.pad_end(9, "0").cast(pl.Int64)
    hours, minutes = (groups.field(name).fill_null("0").cast(pl.Int64) for name in ("4", "5"))
    behind = groups.field("4").str.starts_with("-").fill_null(False)
    minutes = minutes.zip_with(~behind, -minutes)
    return ns + fraction - (hours * 3600 + minutes * 60) * SECOND


def _unix(values: pl.Series) -> pl.Series:
    """Seconds, ms, us or ns: each a thousand times as large as the one before."""
    number = pl.col("n")
    whole = values.cast(pl.Int64, strict=False)
    seconds = values.cast(pl.Float64, strict=False)
    table = pl.DataFrame({"n": whole, "s": seconds})
    size = number.abs()
    scaled = (
        pl.when(size < _OLDEST_UNIX)
        .then(None)
        .when(size < 10**11)
        .then(number * SECOND)
        .when(size < 10**14)
        .then(number * 1_000_000)
        .when(size < 10**17)
        .then(number * 1000)
        .otherwise(number)
    )
    broken = pl.when(pl.col("s").is_between(_OLDEST_UNIX, 10**10 - 1)).then((pl.col("s") * 1e6).cast(pl.Int64) * 1000)
    return table.select(pl.coalesce(scaled, pl.when(number.is_null()).then(broken))).to_series()


def _first(text: str) -> int | None:
    try:
        return absolute_span(text)[0]
    except Reject:
        return None
