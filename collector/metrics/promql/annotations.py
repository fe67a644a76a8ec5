"""What an answer has to say besides its numbers. Texts are Prometheus' (util/annotations)."""

from __future__ import annotations

import datetime

import msgspec

from collector.metrics.promql.ast import Span
from collector.metrics.promql.faults import place
from collector.metrics.promql.numbers import format_short
from collector.metrics.promql.quoting import quote

_DOCUMENTATION = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"


class Annotations:
    """Warnings and infos of one query, each text at each place once, in the order in which they came up."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warnings: dict[str, None] = {}
        self._infos: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    @property
    def infos(self) -> tuple[str, ...]:
        return tuple(self._infos)

    def _warn(self, text: str, span: Span) -> None:
        self._warnings[f"PromQL warning: {text} ({place(self._text, span.start)})"] = None

    def _inform(self, text: str, span: Span) -> None:
        self._infos[f"PromQL info: {text} ({place(self._text, span.start)})"] = None

    def invalid_quantile(self, q: float, span: Span) -> None:
        self._warn(f"quantile value should be between 0 and 1, got {format_short(q)}", span)

    def invalid_ratio(self, ratio: float, capped: float, span: Span) -> None:
        got = f"got {format_short(ratio)}, capping to {format_short(capped)}"
        self._warn(f"ratio value should be between -1 and 1, {got}", span)

    def bad_bucket_label(self, name: str, le: str, span: Span) -> None:
        of = f" for metric name {quote(name)}" if name else ""
        self._warn(f'bucket label "le" is missing or has a malformed value of {quote(le)}{of}', span)

    def sort_in_range_query(self, span: Span) -> None:
        self._warn("sort is ineffective for range queries since results are always ordered by labels", span)

    def possible_non_counter(self, name: str, span: Span) -> None:
        reason = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket"
        self._inform(f"{reason}: {quote(name)}", span)

    def forced_monotonicity(self, fix: Fix, span: Span) -> None:
        of = f" for metric name {quote(fix.name)}" if fix.name else ""
        buckets = f"from buckets {format_short(fix.lowest)} to {format_short(fix.highest)}"
        how = f"with a max diff of {fix.largest:.2g}, over {fix.samples} samples"
        when = f"from {_time(fix.first_ms)} to {_time(fix.last_ms)}"
        what = f"input to histogram_quantile needed to be fixed for monotonicity (see {_DOCUMENTATION}){of}"
        self._inform(f"{what}, {buckets}, {how} {when}", span)


class Fix(msgspec.Struct, frozen=True):
    """Buckets of one metric whose counts had to be lifted: how many samples, when, which bounds, by how much."""

    name: str
    samples: int
    first_ms: int
    last_ms: int
    lowest: float
    highest: float
    largest: float

    def joined(self, other: Fix) -> Fix:
        return Fix(
            self.name,
            self.samples + other.samples,
            min(self.first_ms, other.first_ms),
            max(self.last_ms, other.last_ms),
            min(self.lowest, other.lowest),
            max(self.highest, other.highest),
            max(self.largest, other.largest),
        )


def _time(ms: int) -> str:
    """RFC 3339 with as many digits as it needs; ms where no calendar reaches."""
    try:
        moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.UTC)
    except (OverflowError, ValueError):
        return f"{ms} ms"
    text = moment.replace(microsecond=ms % 1000 * 1000).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text.rstrip('0').rstrip('.')}Z"
