"""Answers of Prometheus' HTTP API, as far as the command shows them.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/ (numbers are strings, times are seconds).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from deckwatch.logs.show import one_word

NAME_LABEL = "__name__"

Point = tuple[float, str]


class Series(msgspec.Struct, frozen=True):
    metric: dict[str, str] = {}
    value: Point | None = None  # of a vector
    values: tuple[Point, ...] = ()  # of a matrix

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """(Unix s, value)"""
        return tuple((at_s, float(text)) for at_s, text in self.values)

    @property
    def finite(self) -> tuple[float, ...]:
        return tuple(value for _, value in self.points if math.isfinite(value))


class Data(msgspec.Struct, frozen=True, rename={"kind": "resultType"}):
    kind: str  # vector | matrix | scalar | string
    result: msgspec.Raw

    def series(self) -> tuple[Series, ...]:
        return msgspec.json.decode(self.result, type=tuple[Series, ...])

    def point(self) -> Point:
        """Of a scalar or a string."""
        at_s, text = msgspec.json.decode(self.result, type=tuple[float, str])
        return at_s, text


class Answer(msgspec.Struct, frozen=True):
    data: Data
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


def shared_labels(series: Sequence[Series]) -> dict[str, str]:
    """What all have alike, where there are several: it is told once, not on each line."""
    if len(series) < 2:
        return {}
    shared = series[0].metric
    for one in series[1:]:
        shared = {name: value for name, value in shared.items() if one.metric.get(name) == value}
    return shared


def series_text(metric: dict[str, str], without: dict[str, str] | None = None) -> str:
    """As PromQL writes it. Labels come from whoever named a container: they must not steer the terminal."""
    left = {name: value for name, value in metric.items() if name not in (without or {})}
    name = left.pop(NAME_LABEL, "")
    labels = ", ".join(f'{label}="{_quoted(value)}"' for label, value in sorted(left.items()))
    return one_word(name + (f"{{{labels}}}" if labels or not name else ""))


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
