"""Numbers, durations and strings as Go reads and writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.metrics.promql.durations import MAX_MS, format_duration_ms, parse_duration_ms
from collector.metrics.promql.numbers import (
    format_api,
    format_open_metrics,
    format_plain,
    format_short,
    parse_float,
)
from collector.metrics.promql.quoting import BadEscape, is_label, quote, unquote


@pytest.mark.parametrize(
    ("value", "plain", "api", "short", "open_metrics"),
    [
        (0.0, "0", "0", "0", "0.0"),
        (-0.0, "-0", "-0", "-0", "-0.0"),
        (1.0, "1", "1", "1", "1.0"),
        (-2.5, "-2.5", "-2.5", "-2.5", "-2.5"),
        (100000.0, "100000", "100000", "100000", "100000.0"),
        (1e6, "1000000", "1000000", "1e+06", "1e+06"),
        (1234567.5, "1234567.5", "1234567.5", "1.2345675e+06", "1.2345675e+06"),
        (1e20, "1" + "0" * 20, "1" + "0" * 20, "1e+20", "1e+20"),
        (1e21, "1" + "0" * 21, "1e+21", "1e+21", "1e+21"),
        (1.5e22, "15" + "0" * 21, "1.5e+22", "1.5e+22", "1.5e+22"),
        (1e100, "1" + "0" * 100, "1e+100", "1e+100", "1e+100"),
        (0.0001, "0.0001", "0.0001", "0.0001", "0.0001"),
        (0.00001, "0.00001", "0.00001", "1e-05", "1e-05"),
        (1e-6, "0.000001", "0.000001", "1e-06", "1e-06"),
        (1.25e-7, "0.000000125", "1.25e-07", "1.25e-07", "1.25e-07"),
        (1 / 3, "0.3333333333333333", "0.3333333333333333", "0.3333333333333333", "0.3333333333333333"),
        (math.inf, "+Inf", "+Inf", "+Inf", "+Inf"),
        (-math.inf, "-Inf", "-Inf", "-Inf", "-Inf"),
        (math.nan, "NaN", "NaN", "NaN", "NaN"),
    ],
)
def test_formats(value: float, plain: str, api: str, short: str, open_metrics: str) -> None:
    assert format_plain(value) == plain
    assert format_api(value) == api
    assert format_short(value) == short
    assert format_open_metrics(value) == open_metrics


@given(st.floats(allow_nan=False))
def test_every_format_reads_back(value: float) -> None:
    for text in (format_plain(value), format_api(value), format_short(value), format_open_metrics(value)):
        assert parse_float(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("+1.5e3", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("Inf", math.inf),
        ("+inf", math.inf),
        ("-Infinity", -math.inf),
        ("0x1p-2", 0.25),
        ("0x1p99999", math.inf),
        ("1e999", math.inf),
        ("", None),
        ("1_000", None),  # Python would take these
        (" 1", None),
        ("1 ", None),
        ("٣", None),
        ("0x10", None),
        ("one", None),
        ("1e", None),
    ],
)
def test_parse_float(text: str, value: float | None) -> None:
    assert parse_float(text) == value


@pytest.mark.parametrize(
    ("text", "ms", "back"),
    [
        ("1ms", 1, "1ms"),
        ("90s", 90_000, "1m30s"),
        ("1h30m", 5_400_000, "1h30m"),
        ("7d", 604_800_000, "1w"),
        ("8d", 691_200_000, "8d"),
        ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
        ("0s", 0, "0s"),
        ("5", None, ""),
        ("1m1m", None, ""),
        ("1s1m", None, ""),
        ("1.5h", None, ""),
        ("-5m", None, ""),
        ("", None, ""),
        ("300y", None, ""),
    ],
)
def test_durations(text: str, ms: int | None, back: str) -> None:
    assert parse_duration_ms(text) == ms
    if ms is not None:
        assert format_duration_ms(ms) == back


@given(st.integers(0, MAX_MS))
def test_durations_read_back(ms: int) -> None:
    assert parse_duration_ms(format_duration_ms(ms)) == ms


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ('"plain"', "plain"),
        ("'it\\'s \"x\"'", 'it\'s "x"'),
        ("`raw \\n`", "raw \\n"),
        ('"\\a\\b\\f\\n\\r\\t\\v\\\\\\""', '\a\b\f\n\r\t\v\\"'),
        ('"\\x41\\101\\u00e4\\U0001F600"', "AAä😀"),
        ('"\\xc3\\xa4"', "ä"),  # two bytes that are UTF-8 together
        ('"\\xff"', "\udcff"),
    ],
)
def test_unquote(literal: str, text: str) -> None:
    assert unquote(literal) == text
    assert unquote(quote(text)) == text


@pytest.mark.parametrize(
    ("literal", "reason"),
    [
        ('"\\q"', "unknown escape sequence U+0071 'q'"),
        ('"\\\'"', "unknown escape sequence U+0027 '''"),
        ('"\\xg1"', "illegal character U+0067 'g' in escape sequence"),
        ('"\\u12"', "escape sequence not terminated"),
        ('"\\400"', "octal escape value > 255"),
        ('"\\ud800"', "escape sequence is an invalid Unicode code point"),
        ('"\\U00110000"', "escape sequence is an invalid Unicode code point"),
    ],
)
def test_bad_escapes(literal: str, reason: str) -> None:
    with pytest.raises(BadEscape) as caught:
        unquote(literal)
    assert str(caught.value) == reason


@given(st.binary())
def test_any_bytes_can_be_quoted(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    assert unquote(quote(text)) == text
    assert quote(text).isprintable()


@pytest.mark.parametrize(
    ("name", "ok"), [("a", True), ("http.status", True), ("ü", True), ("", False), ("\udcff", False)]
)
def test_label_names(name: str, ok: bool) -> None:
    assert is_label(name) is ok
