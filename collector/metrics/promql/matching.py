"""Matchers over many values at once: a regex is asked once about each distinct value, whole columns at a time."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from collector.metrics.selector import Matcher, MatchOp


def matching_values(matcher: Matcher, values: Sequence[str]) -> list[bool]:
    """Which of the values satisfy the matcher. `""` stands for series that lack the label."""
    match matcher.op:
        case MatchOp.EQUAL:
            return [value == matcher.value for value in values]
        case MatchOp.NOT_EQUAL:
            return [value != matcher.value for value in values]
        case MatchOp.REGEX:
            return full_matches(matcher.value, values).to_list()
        case MatchOp.NOT_REGEX:
            return (~full_matches(matcher.value, values)).to_list()


def anchored(pattern: str) -> str:
    """As Prometheus anchors a regex; `.` matches a newline too."""
    return rf"\A(?s:{pattern})\z"


def full_matches(pattern: str, values: Sequence[str]) -> pl.Series:
    return pl.Series(values, dtype=pl.String).str.contains(anchored(pattern), strict=True)
