from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deckwatch.logs.choice import Choice
from deckwatch.logs.nothing import Nearest, lines_of

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def before(**ago: float) -> str:
    return f"{NOW - timedelta(**ago):%Y-%m-%dT%H:%M:%S}.123456789Z"


@pytest.mark.parametrize(
    ("choice", "near", "expected"),
    [
        (Choice("x", since="15m"), Nearest(before(hours=3)), ["since 15m; 7 records", "3 h ago", "--since 4h"]),
        (Choice("x", since="15m"), Nearest(before(seconds=80)), ["80 s ago", "--since 81s"]),
        (Choice("x", until="1h"), Nearest(before(days=10)), ["nothing matched until 1h", "10 days ago", "--since 11d"]),
        (Choice("x", since="2h", until="1h"), Nearest(before(minutes=30)), ["since 2h and until 1h", "30 min ago"]),
        (Choice("x", since="1m"), Nearest(before(seconds=-600)), ["10 min ahead", "--since 1s"]),
        (Choice("x", containers=("web",)), Nearest("", before(hours=5)), ["nothing matched; ", "newest line of web"]),
        (Choice("x"), Nearest("", before(hours=5)), ["the newest line is of 5 h ago"]),
        (Choice("x", containers=("a", "b")), Nearest(), ["there is no line of a, b at any time"]),
        (Choice("x"), Nearest(), ["the collector has no records at all"]),
    ],
)  # fmt: skip
def test_what_is_told_where_nothing_matched(choice: Choice, near: Nearest, expected: list[str]) -> None:
    text = "\n".join(lines_of(choice, 7, near, NOW))
    for part in expected:
        assert part in text
