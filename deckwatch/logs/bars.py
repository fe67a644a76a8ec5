"""A histogram as bars, one a bucket, empty ones too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

import msgspec
from rich.text import Text

from deckwatch.logs.show import local_time

_SECOND = 1_000_000_000
_MOST_ROWS = 1000
_ORDER = ("fatal", "error", "warn", "notice", "info", "debug", "trace", "")
_STYLES = {"fatal": "red", "error": "red", "warn": "yellow", "debug": "dim", "trace": "dim"}


class Row(msgspec.Struct, frozen=True):
    start_ns: int
    counts: tuple[tuple[str, int], ...]  # by level, the most severe first; none is 0

    @property
    def total(self) -> int:
        return sum(count for _, count in self.counts)


def rows_of(answer: dict[str, Any]) -> list[Row]:
    """Of the API's answer; the buckets in between that hold nothing are filled in, as far as they are not too many."""
    interval = int(answer["interval_ns"])
    counts: dict[int, dict[str, int]] = {}
    for bucket in answer["buckets"]:
        counts.setdefault(bucket["start_ns"], {})[bucket.get("level", "")] = bucket["count"]
    if not counts:
        return []
    starts: Sequence[int] = range(min(counts), max(counts) + 1, interval)
    if len(starts) > _MOST_ROWS:
        starts = sorted(counts)
    return [Row(start, _ordered(counts.get(start, {}))) for start in starts]


def terminal_rows(rows: Sequence[Row], width: int) -> list[Text]:
    most = max((row.total for row in rows), default=0)
    number = len(f"{most:,}")
    room = max(10, width - 19 - number - 3)
    return [_terminal_row(row, most, number, room) for row in rows]


def plain_rows(rows: Sequence[Row], width: int = 60) -> list[str]:
    most = max((row.total for row in rows), default=0)
    number = len(str(most))
    return [
        f"{_utc(row.start_ns)} {row.total:{number}} {'#' * round(width * row.total / most)}".rstrip() for row in rows
    ]


def _terminal_row(row: Row, most: int, number: int, room: int) -> Text:
    text = Text()
    text.append(f"{local_time(_utc(row.start_ns))[:19]} ", style="dim")
    text.append(f"{row.total:{number},} ")
    cells = done = 0
    for level, count in row.counts:
        done += count
        end = ceil(room * done / most)  # rounded up: one error among thousands is seen
        text.append("█" * (end - cells), style=_STYLES.get(level, "green"))
        cells = end
    return text


def _ordered(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple((level, counts[level]) for level in _ORDER if counts.get(level))


def _utc(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // _SECOND, UTC):%Y-%m-%dT%H:%M:%S}Z"
