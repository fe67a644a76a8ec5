from __future__ import annotations

import pytest

from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import MAX_NS, MIN_NS, SECOND, absolute_span, duration_ns, rfc3339, time_ns

NOW = 1_700_000_000 * SECOND
DAY = 86400 * SECOND


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14 22:13:20", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14T17:43:20-0430", NOW),
        ("2023-11-14T22:13:20.5Z", NOW + SECOND // 2),
        ("2023-11-14T22:13:20,123456789z", NOW + 123456789),
        ("2023-11-14T22:13:20.1234567891Z", NOW + 123456789),
        ("2023-11-14T22:13Z", NOW - 20 * SECOND),
        ("2023-11-14", NOW // DAY * DAY),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * SECOND),
        ("1700000000", NOW),
        ("1700000000.25", NOW + SECOND // 4),
        ("1.7e9", NOW),
        ("1700000000123", NOW + 123_000_000),
        ("1700000000123456", NOW + 123_456_000),
        ("1700000000123456789", NOW + 123_456_789),
        ("15", 15 * SECOND),
        ("-1", -SECOND),
        ("1e30", MAX_NS),
        ("now", NOW),
        ("now-15m", NOW - 900 * SECOND),
        ("now - 1h30m", NOW - 5400 * SECOND),
        ("now+1d", NOW + DAY),
        ("15m", NOW - 900 * SECOND),
        ("1.5h", NOW - 5400 * SECOND),
        ("99999w", MIN_NS),
    ],
)
def test_time(text: str, ns: int) -> None:
    assert time_ns(text, NOW) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2023-13-01", "2023-02-30", "nowish", "now*2", "12:30", "15 m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(Reject, match=r"not a (time|duration)"):
        time_ns(text, NOW)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2023-11-14", DAY),
        ("2023-11-14T22:13", 60 * SECOND),
        ("2023-11-14T22:13:20", SECOND),
        ("2023-11-14T22:13:20.5", 1),
        ("1700000000", 1),
    ],
)
def test_a_span_is_as_long_as_its_text_is_vague(text: str, length: int) -> None:
    start, end = absolute_span(text)
    assert end - start == length


@pytest.mark.parametrize(
    ("text", "ns"), [("250ms", 250_000_000), ("1h30m", 5400 * SECOND), ("2w", 14 * DAY), ("7ns", 7)]
)
def test_duration(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize("ns", [0, NOW + 1, -1, MIN_NS, MAX_NS])
def test_rfc3339_loses_no_bit(ns: int) -> None:
    assert time_ns(rfc3339(ns), 0) == ns
