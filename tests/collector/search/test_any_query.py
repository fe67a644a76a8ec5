"""Whatever somebody types is a query that runs, or a fault that says where: never another exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.search.faults import QueryError
from collector.search.language import parse
from collector.search.plan import select
from collector.search.query import Query
from tests.fixtures.records import T0, Line, frame, origin

FIELDS = ["a", "level", "status", "took", "host", "client.ip", "@timestamp", "log.flags", "log.offset", "x:/a/"]
SIGNS = [":", ":>", ">=", "<", "=", '"', "/", "\\", "(", ")", "[", "]", "{", "}", "!", "-", "+", "*", "?", "~", "^"]
WORDS = ["TO", "to", "AND", "OR", "NOT", "and", "Foo.java:4", "错", "\x00", "\ud800"]
VALUES = ["5", "10s", "1kb", "50%", "2026-01-31", "now", "now-1h", "now-", "10.0.0.0/8", "::1", "1.2.3", "v1"]
TEXTS = st.lists(st.sampled_from([*FIELDS, *SIGNS, *WORDS, *VALUES, " ", " ", " "]), max_size=14).map("".join)
ROWS = frame(0, (origin("web"),), [Line('{"took":"13ms","status":5,"host":"::1"}', body="json"), Line("a b 5")])


def parsed(text: str) -> Query | QueryError:
    try:
        return parse(text, T0)
    except QueryError as fault:
        return fault


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_any_text_is_a_query_that_runs_or_a_fault_with_its_place(text: str) -> None:
    found = parsed(text)
    if isinstance(found, QueryError):
        assert 0 <= found.position <= len(text)
        assert found.problem
    else:
        assert select(found, ROWS, "default").height <= 2
