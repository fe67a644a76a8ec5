"""Ranges over the texts of a column, each row: a field's name, a range as it is written, what is in it, what is not."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import polars as pl
import pytest

from collector.search.comparison import comparison, in_range
from collector.search.instants import instants
from collector.search.language import parse
from collector.search.query import Range
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import absolute_span

NOW = 1_769_860_800_000_000_000  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("field", "bounds", "inside", "outside"),
    [
        # numbers
        ("status", ">=500", "500 503.5 +500 1e3", "499 abc nan 13ms true"),
        ("status", "[400 TO 499}", "400 498.9", "499 399"),
        ("delta", "<0", "-1 -0.5", "0 1 a"),
        ("version", ">1.9", "1.91 2 1.10.0 v2.1", "1.9 1.8.7 v1.8.0"),
        # durations
        ("took", ">10s", "10.5s 1m30s 10001ms 1h 0.2h 11|sec", "13ms 10s 9999ms 12 abc 20kb -1h"),
        ("took", "<=1m30s", "90s 1m30s 1m29.9s 13ms 0 -5s", "91s 1m31s 5 2m"),
        ("took", "[1ms TO 2ms]", "1ms 1500us 1.5ms 2000000ns 1500µs 1500μs", "0.9ms 2001us 1"),
        ("took_ms", ">10s", "10001 11s", "10000 9s"),
        ("took_ms", ">10", "11 12ms 1s", "10 9ms 9999us"),
        ("durationSeconds", ">=1m", "60 1m 61s", "59 59s"),
        ("event.duration", ">1ms", "1000001 2ms", "1000000"),
        ("took", "[0 TO 1s]", "0 13ms 1s", "1.1s 1"),
        # sizes
        ("size", ">10kb", "10001B 11kB 10KiB 1MB 1M 1Mi", "10kB 10000b 9999 10s"),
        ("size", "[1KiB TO 1MiB]", "1024B 1.5KB 1kib 1024KiB", "1000B 1kB 1.1MiB"),
        ("response.bytes", ">1kb", "1001 2kB", "1000 1kB"),
        # shares
        ("cpu", ">50%", "50.1% 70|%", "50% 70 7%"),
        ("cpu_percent", ">50%", "51 51%", "50"),
        ("system.cpu.pct", ">50%", "0.51 51%", "0.5"),
        # addresses
        ("ip", "[10.0.0.1 TO 10.0.0.20]", "10.0.0.1 10.0.0.7 10.0.0.20", "10.0.0.21 10.0.0.0 ::1 10.0.0.300 x 5"),
        ("ip", ">=2001:db8::1", "2001:db8::1 2001:db8::ff 2001:DB8:1::", "2001:db8:: 10.0.0.1"),
        # versions
        ("version", ">=1.9.0", "1.9.0 v1.10.0 2 1.9.1-rc.1", "1.8.99 1.9.0-rc.1 latest"),
        ("version", "{1.9.0 TO 2}", "1.10.0", "1.9 2 2.0.0 2.1.0"),
        # times
        ("at", ">=2026-01-31", "2026-01-31T00:00:00Z 2026-01-31 2026-01-31|12:00:00,5 1769860800 1769860800.5", "2026-01-30T23:59:59.9Z 2026-01-31T00:30:00+01:00 2026-01-30T12:00 5 x"),
        ("at", "<=2026-01-31", "2026-01-31T23:59:59.9Z 2026-01-01T00:00:00-0500", "2026-02-01T00:00:00Z"),
        ("at", ">2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z 1769860801 1769860801000 1769860801000000 1769860801000000000", "2026-01-31T12:00:00.9Z 1769860800500"),
        ("at", ">=now-15m", "2026-01-31T11:45:00Z 1769859901", "2026-01-31T11:44:59.9Z"),
        ("at", "[now-1h TO now]", "2026-01-31T11:00:00Z 2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"),
        ("at", ">2026-01-01", "9999-12-31T23:59:59Z 2026-06-30T23:59:60Z", "0001-01-01T00:00:00Z"),
        # texts
        ("name", "[b TO d}", "b cz", "a d"),
        ("name", "[a TO 5]", "", "3 b"),
    ],
)  # fmt: skip
def test_what_is_in_a_range(field: str, bounds: str, inside: str, outside: str) -> None:
    """`|` stands for a space inside of a value."""
    leaf = parse(f"{field}:{bounds}", NOW)
    assert isinstance(leaf, Range)
    values = [value.replace("|", " ") for value in (*inside.split(), *outside.split())]
    table = pl.DataFrame({"value": [*values, None]}, schema={"value": pl.String})
    found = table.select(in_range(leaf, pl.col("value")).fill_null(False)).to_series().to_list()
    assert dict(zip(values, found, strict=False)) == dict.fromkeys(values[: len(inside.split())], True) | dict.fromkeys(
        values[len(inside.split()) :], False
    )
    assert found[-1] is False


@pytest.mark.parametrize(
    ("low", "high", "problem"),
    [
        ("10s", "10kb", "one bound is a duration and the other a size"),
        ("1", "10s", "the bound 1 of took has no unit"),
        ("2026-01-31", "10s", "time"),
        ("10.0.0.1", "1.2.3.4.5", "address"),
    ],
)
def test_bounds_that_do_not_belong_together(low: str, high: str, problem: str) -> None:
    with pytest.raises(Reject, match=problem):
        comparison(Range("took", low, high))


def test_times_in_columns_are_read_as_one_by_one() -> None:
    texts = [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31 12:00:00",
        "2026-01-31T12:00:00.123456789+05:30",
        "2026-01-31T12:00:00,5-0430",
        "2026-01-31",
        "2026-01-31T12:00",
        "1960-01-31T12:00:00.5Z",
        "1769860800",
        "1769860800123",
        "1769860800123456",
        "1769860800123456789",
        "2016-12-31T23:59:60Z",
    ]
    assert instants(pl.Series(texts)).to_list() == [absolute_span(text)[0] for text in texts]
    assert instants(pl.Series(["", "x", "2026-13-01T00:00:00Z", "12", None])).to_list() == [None] * 5
    assert instants(pl.Series([], dtype=pl.String)).to_list() == []
