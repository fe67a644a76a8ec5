"""Parameters of Prometheus' HTTP API as its clients write them: numbers, times, durations, selectors. Messages are
Prometheus' own (web/api/v1), which clients show as they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime

from multidict import MultiDict, MultiDictProxy

from collector.metrics.promql.durations import parse_duration_ms
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.parser import parse_selector
from collector.metrics.selector import Matcher
from deckwatch.wire.model import DEFAULT_TENANT

MIN_TIME_MS = -(1 << 53)
MAX_TIME_MS = 1 << 53
"""What `start` and `end` mean where a client leaves them out: all there is."""

_LARGEST_LIMIT = 1 << 53
_UTF8_CODE = re.compile(r"_([0-9a-fA-F]{1,8})_")


class BadParameter(QueryError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f'invalid parameter "{name}": {problem}', ErrorType.BAD_DATA)


class Parameters:
    """Of a request: its URL's and, with POST, its form's. Reading raises QueryError (bad_data)."""

    def __init__(self, query: Iterable[tuple[str, str]], form: Iterable[tuple[str, str]] = ()) -> None:
        both = MultiDict(query)
        both.extend(form)
        self._values = MultiDictProxy(both)

    @property
    def tenant(self) -> str:
        return self._values.get("tenant", "") or DEFAULT_TENANT

    def others(self) -> list[tuple[str, str]]:
        """All but the tenant, as they were given."""
        return [pair for pair in self._values.items() if pair[0] != "tenant"]

    def text(self, name: str) -> str:
        return self._values.get(name, "")

    def time_ms(self, name: str, default_ms: int | None) -> int:
        """Unix seconds with a fraction, or RFC 3339. Without a default it has to be there."""
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        found = parse_time_ms(text)
        if found is None:
            raise BadParameter(name, f'cannot parse "{text}" to a valid timestamp')
        return found

    def duration_ms(self, name: str, default_ms: int | None = None) -> int:
        """Seconds with a fraction, or `1h30m`. Without a default it has to be there."""
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        seconds = _number(text)
        found = parse_duration_ms(text) if seconds is None else round(seconds * 1000)
        if found is None or abs(found) >= MAX_TIME_MS:
            raise BadParameter(name, f'cannot parse "{text}" to a valid duration')
        return found

    def limit(self) -> int | None:
        """None: all."""
        text = self.text("limit")
        if not text:
            return None
        if not text.isascii() or not text.isdecimal() or int(text[:17]) > _LARGEST_LIMIT:
            raise BadParameter("limit", "limit must be a non-negative number")
        return int(text) or None

    def selectors(self) -> list[tuple[Matcher, ...]]:
        """Of `match[]`; each is one way for a series to be taken."""
        return [parse_selector(text) for text in self._values.getall("match[]", [])]

    def needed_selectors(self) -> list[tuple[Matcher, ...]]:
        selectors = self.selectors()
        if not selectors:
            raise QueryError("no match[] parameter provided", ErrorType.BAD_DATA)
        return selectors


def parse_time_ms(text: str) -> int | None:
    """None: no time that there could be."""
    seconds = _number(text)
    if seconds is None:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        if at.tzinfo is None or "T" not in text.upper():
            return None
        seconds = at.timestamp()
    time_ms = round(seconds * 1000)
    return time_ms if MIN_TIME_MS <= time_ms <= MAX_TIME_MS else None


def label_name(text: str) -> str:
    """`U__http_2e_status` is `http.status`: the escaping of label names in paths (prometheus/proposals 28)."""
    if not text.startswith("U__"):
        return text
    unescaped = text[3:].replace("__", "\0")
    return _UTF8_CODE.sub(lambda code: _letter(code), unescaped).replace("\0", "_")


def _letter(code: re.Match[str]) -> str:
    try:
        return chr(int(code[1], 16))
    except (ValueError, OverflowError):
        return code[0]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and text.strip() == text and "_" not in text else None
