"""What applications say of their metrics: read from comments, told when it is new."""

from __future__ import annotations

import pytest

from agent.scrape.describing import AGAIN_S, Descriptions, read_comments
from deckwatch.wire.model import Description

D = Description


@pytest.mark.parametrize(
    ("lines", "openmetrics", "want"),
    [
        ([], False, []),
        (["# TYPE a counter"], False, [D("a", "counter")]),
        (["# HELP a Things \\\\ and\\nmore.", "# TYPE a gauge"], False, [D("a", "gauge", "Things \\ and\nmore.")]),
        (["# HELP a Only a help."], False, [D("a", "unknown", "Only a help.")]),
        (["# TYPE a untyped", "# TYPE b nonsense"], False, [D("a", "unknown"), D("b", "unknown")]),
        (["# a comment for people", "#", "# TYPE", "# HELP"], False, []),
        (["# HELP a"], False, [D("a", "unknown")]),
        (["# TYPE a histogram", "# TYPE b summary"], False, [D("a", "histogram"), D("b", "summary")]),
        (
            ["# TYPE a counter", "# UNIT a_seconds seconds", "# TYPE a_seconds counter", "# TYPE b info"],
            True,
            [D("a_total", "counter"), D("a_seconds_total", "counter", "", "seconds"), D("b_info", "info")],
        ),
        (["# TYPE a_total counter"], True, [D("a_total", "counter")]),
        (['# TYPE "a.b" gauge', "# HELP a.b Not the same\r"], False, [D("a.b", "gauge", "Not the same")]),
        (['# HELP a Said \\"so\\".'], True, [D("a", "unknown", 'Said "so".')]),
    ],
)
def test_read_comments(lines: list[str], openmetrics: bool, want: list[Description]) -> None:
    assert list(read_comments(lines, openmetrics=openmetrics)) == want


def test_only_what_is_new_is_told_and_all_of_it_again_after_an_hour() -> None:
    one = Descriptions()
    a, b = D("a", "gauge"), D("b", "histogram")

    def told(now_s: float, *comments: str) -> tuple[Description, ...]:
        one.take(list(comments), openmetrics=False)
        return one.to_tell(lambda: {"a", "b_bucket"}, now_s)

    both = ("# TYPE a gauge", "# TYPE b histogram", "# TYPE nobody counter")
    assert told(0, "# TYPE a gauge") == (a,)
    assert told(15, "# TYPE a gauge") == ()
    assert told(30, *both) == (b,)
    assert told(45, *both) == ()
    assert told(AGAIN_S, *both) == (a, b)
    assert told(AGAIN_S + 15, "# TYPE a counter") == (D("a", "counter"),)
