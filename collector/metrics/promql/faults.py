"""Why a query got no answer. The kinds are the error types of Prometheus' HTTP API."""

from __future__ import annotations

from enum import StrEnum

from collector.metrics.promql.ast import Span
from deckwatch.runtime.faults import Reject


class ErrorType(StrEnum):
    BAD_DATA = "bad_data"
    EXECUTION = "execution"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"  # whoever has the samples


class QueryError(Reject):
    """What was asked for can't be answered; the message is for whoever asked."""

    def __init__(self, message: str, kind: ErrorType = ErrorType.EXECUTION) -> None:
        super().__init__(message)
        self.kind = kind


class ParseError(QueryError):
    """The text is not PromQL: `1:8: parse error: ...`, line and column from 1."""

    def __init__(self, text: str, span: Span, reason: str) -> None:
        self.span = span
        self.reason = reason
        super().__init__(f"{place(text, span.start)}: parse error: {reason}", ErrorType.BAD_DATA)


def place(text: str, at: int) -> str:
    """`line:column` of a character. Columns count bytes of UTF-8, as Prometheus' do."""
    line_start = text.rfind("\n", 0, at) + 1
    column = len(text[line_start:at].encode("utf-8", "surrogatepass")) + 1
    return f"{text.count(chr(10), 0, at) + 1}:{column}"


class TooManySamples(QueryError):
    """A query would load more samples, or make more points, than it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "query processing would load too many samples into memory in query execution"
            f" (limit {limit:,}): ask for fewer series, a shorter range or a longer step"
        )


def too_many_samples(limit: int) -> TooManySamples:
    return TooManySamples(limit)
