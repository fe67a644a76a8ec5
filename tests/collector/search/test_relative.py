from __future__ import annotations

import pytest

from collector.search.faults import QueryError
from collector.search.language import parse
from collector.search.query import And, Not, Or, Query, Range, Word

NOW = 1_769_860_800_000_000_000
NOON, QUARTER = "2026-01-31T12:00:00.000000000Z", "2026-01-31T11:45:00.000000000Z"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("at:>now-15m", Range("at", QUARTER, None, include_low=False)),
        ("@timestamp:[now-15m TO now]", Range("@timestamp", QUARTER, NOON)),
        ("@timestamp:now", Range("@timestamp", NOON, NOON)),
        ("NOT (a at:<now)", Not(And((Word("message", "a"), Range("at", None, NOON, include_high=False))))),
        ("a OR at:<=now", Or((Word("message", "a"), Range("at", None, NOON)))),
        ("at:>nowhere", Range("at", "nowhere", None, include_low=False)),
    ],
)
def test_now_is_the_moment_of_asking(text: str, query: Query) -> None:
    assert parse(text, NOW) == query


def test_the_same_text_asked_later_means_later() -> None:
    assert parse("at:>now", NOW) != parse("at:>now", NOW + 1)


def test_what_runs_for_ever_has_no_now() -> None:
    with pytest.raises(QueryError, match="'now-15m' needs somebody who asks now") as caught:
        parse("now at:>now-15m")
    assert caught.value.position == 8
