"""Prometheus' promqltest language: scripts of loads and evals, read into values.

The scripts belong to the Prometheus project and are not part of this repository; they are read where they lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from collector.metrics.promql.ast import VectorSelector
from collector.metrics.promql.durations import parse_duration_ms
from collector.metrics.promql.parser import parse
from collector.metrics.promql.quoting import unquote
from collector.metrics.promql.source import STALE
from deckwatch.wire.model import Labels

FOLDER = Path(__file__).parents[5] / "shared" / "data" / "promqltest"

_LOAD = re.compile(r"load(_with_nhcb)?\s+(\S+)$")
_INSTANT = re.compile(r"eval(?:_(fail|warn|info|ordered))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$")
_RANGE = re.compile(r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$")
_EXPECT = re.compile(r"expect\s+(fail|warn|info|no_warn|no_info|ordered|string|range vector)\b\s*(.*)$")
_RANGE_VECTOR = re.compile(r"from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$")
_NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])"
_POINTS = re.compile(rf"({_NUMBER})(?:([+-](?:[0-9.]+)(?:[eE][+-]?[0-9]+)?)?x([0-9]+))?$")
_SERIES = re.compile(
    r"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?!\{)(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?|\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\}"
)
_HISTOGRAM = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x([0-9]+))?")


class Native(msgspec.Struct, frozen=True):
    """A point that is a native histogram."""


Point = float | Native | None
"""None: no sample there."""


class Line(msgspec.Struct, frozen=True):
    """A series and its points; `labels` is None for a bare number."""

    labels: Labels | None
    points: tuple[Point, ...]


class Load(msgspec.Struct, frozen=True):
    step_ms: int
    lines: tuple[Line, ...]
    custom_buckets: bool  # classic histograms come as native ones too


class Expect(msgspec.Struct, frozen=True):
    what: str
    detail: str = ""


class Eval(msgspec.Struct, frozen=True):
    file: str
    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int  # 0: instant
    expects: tuple[Expect, ...]
    lines: tuple[Line, ...]
    loads: tuple[Load, ...]  # since the last clear

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"

    def expected(self, what: str) -> Expect | None:
        return next((expect for expect in self.expects if expect.what == what), None)


def evals() -> list[Eval]:
    """Of all scripts; empty where they aren't there."""
    return [one for path in sorted(FOLDER.glob("*.test")) for one in read(path.name, path.read_text())]


def read(file: str, text: str) -> Iterator[Eval]:
    loads: tuple[Load, ...] = ()
    for number, head, body in _blocks(text):
        if head == "clear":
            loads = ()
        elif found := _LOAD.match(head):
            lines = tuple(_line(line) for line in body)
            loads = (*loads, Load(_ms(found[2]), lines, found[1] is not None))
        elif found := _INSTANT.match(head):
            yield _eval(file, number, found[1], found[3], (_ms(found[2] or "0"),) * 2 + (0,), body, loads)
        elif found := _RANGE.match(head):
            times = (_ms(found[2]), _ms(found[3]), _ms(found[4]))
            yield _eval(file, number, found[1], found[5], times, body, loads)
        else:
            raise ValueError(f"{file}:{number}: not a command of promqltest: {head!r}")


def _blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, command, its indented lines) without comments. An empty line ends a block."""
    head, number, body = "", 0, list[str]()
    for at, raw in enumerate([*text.splitlines(), ""], start=1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        if not line or not raw[0].isspace():
            if head:
                yield number, head, body
            head, number, body = line, at, []
        elif head:
            body.append(line)
    if head:
        yield number, head, body


def _eval(
    file: str,
    number: int,
    old: str | None,
    query: str,
    times: tuple[int, int, int],
    body: list[str],
    loads: tuple[Load, ...],
) -> Eval:
    expects = [Expect(old)] if old else []
    lines = []
    for text in body:
        if found := _EXPECT.match(text):
            expects.append(Expect(found[1], found[2]))
        else:
            lines.append(_line(text))
    return Eval(file, number, query, *times, tuple(expects), tuple(lines), loads)


def range_vector(detail: str) -> tuple[int, int, int]:
    found = _RANGE_VECTOR.match(detail)
    assert found is not None, detail
    return _ms(found[1]), _ms(found[2]), _ms(found[3])


def string(detail: str) -> str:
    return unquote(detail)


def _line(text: str) -> Line:
    if _POINTS.match(text):
        return Line(None, tuple(_points(text)))
    found = _SERIES.match(text)
    assert found is not None, text
    return Line(_labels(found[0]), tuple(_points(text[found.end() :])))


def _labels(text: str) -> Labels:
    if text.strip() == "{}":
        return ()
    expr = parse(text.replace("{}", "")).expr
    assert isinstance(expr, VectorSelector)
    return tuple(sorted((matcher.label, matcher.value) for matcher in expr.matchers))


def _points(text: str) -> Iterator[Point]:
    text = _HISTOGRAM.sub(lambda found: " " + "H " * (int(found[1] or 0) + 1), text)
    for word in text.split():
        if word == "H":
            yield Native()
        elif word == "stale":
            yield float(STALE)
        elif found := re.fullmatch(r"_(?:x([0-9]+))?", word):
            yield from [None] * int(found[1] or 1)
        elif found := _POINTS.match(word):
            first, growth = float(found[1]), float(found[2] or 0)
            yield from (first + growth * place if growth else first for place in range(int(found[3] or 0) + 1))
        else:
            raise ValueError(f"not a point: {word!r}")


def _ms(text: str) -> int:
    if text.isdigit():
        return int(text) * 1000
    value = parse_duration_ms(text)
    assert value is not None, text
    return value
