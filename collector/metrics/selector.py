"""Which series: a metric name and matchers, with Prometheus' meaning.

Regular expressions are anchored at both ends and `.` matches a newline, as in Prometheus; the engine is Rust's regex
(through Polars), which like RE2 takes linear time and has neither back references nor look-around.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

import msgspec
import polars as pl
from polars.exceptions import ComputeError

from deckwatch.runtime.faults import Reject

NAME_LABEL = "__name__"


class MatchOp(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Matcher(msgspec.Struct, frozen=True):
    """A label that a series lacks counts as the empty string."""

    label: str
    op: MatchOp
    value: str

    def matches(self, text: str) -> bool:
        match self.op:
            case MatchOp.EQUAL:
                return text == self.value
            case MatchOp.NOT_EQUAL:
                return text != self.value
            case MatchOp.REGEX:
                return regex_matches(self.value, text)
            case MatchOp.NOT_REGEX:
                return not regex_matches(self.value, text)

    def __str__(self) -> str:
        return f"{self.label}{self.op.value}{quote(self.value)}"


class Selector(msgspec.Struct, frozen=True):
    """`name` is empty where only matchers were given; a matcher on `__name__` is then among them."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    def takes_name(self, name: str) -> bool:
        if self.name and name != self.name:
            return False
        return all(matcher.matches(name) for matcher in self.matchers if matcher.label == NAME_LABEL)

    def takes_labels(self, labels: Mapping[str, str]) -> bool:
        """Of a series whose name was taken."""
        return all(
            matcher.matches(labels.get(matcher.label, "")) for matcher in self.matchers if matcher.label != NAME_LABEL
        )

    def __str__(self) -> str:
        inner = ",".join(map(str, self.matchers))
        return f"{self.name}{{{inner}}}" if inner else self.name


def quote(text: str) -> str:
    """As PromQL writes a string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


@lru_cache(maxsize=65_536)
def regex_matches(pattern: str, text: str) -> bool:
    """Does the whole of `text` match? Remembered: the same few label values come at every evaluation."""
    return bool(pl.Series([text]).str.contains(_anchored(pattern), strict=True).item())


def check_regex(pattern: str) -> None:
    """Raises Reject with the engine's own words, less its name for the whole expression."""
    try:
        pl.Series([""]).str.contains(_anchored(pattern), strict=True)
        pl.Series([""]).str.contains(pattern, strict=True)  # "a)(b" would be balanced by the anchors
    except ComputeError as error:
        reason = str(error).split("\n\nThis error occurred", maxsplit=1)[0].strip().splitlines()[-1]
        raise Reject(f"the regular expression {quote(pattern)} is not valid: {reason}") from None


def _anchored(pattern: str) -> str:
    return rf"\A(?s:{pattern})\z"
