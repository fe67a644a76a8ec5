"""Series and values as rule unit tests write them (prometheus/promql/parser: series descriptions).

up{job="a"}      labels            1 _ 3  _x2  5x3  1+2x4  10-1x3  stale      values, one for each interval
"""

from __future__ import annotations

import re

from collector.metrics.promql.quoting import BadEscape, unquote
from collector.metrics.promql.source import STALE
from collector.metrics.selector import NAME_LABEL
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

MOST_VALUES = 1_000_000
"""Of one series."""

_NAME = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*")
_STRING = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`"
_PAIR = re.compile(
    rf"\s*(?:(?P<label>[a-zA-Z_][a-zA-Z0-9_]*|{_STRING})\s*=\s*)?(?P<value>{_STRING})\s*(?P<mark>[,}}])?"
)
_NUMBER = r"(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN])"
"""Not hexadecimal: 0x4 is five zeros."""
_ITEM = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>[0-9]+))?|(?P<stale>stale)"
    rf"|(?P<start>[-+]?{_NUMBER})(?:(?P<step>[-+]{_NUMBER})?x(?P<times>[0-9]+))?"
)


def parse_series(text: str) -> Labels:
    """`name{label="value"}`, `{}`; sorted, with the name. Raises Reject."""
    head = _NAME.match(text)
    assert head is not None  # noqa: S101 - it matches nothing, too
    name, at = head[1] or "", head.end()
    pairs = {NAME_LABEL: name} if name else {}
    if at < len(text):
        if text[at] != "{":
            raise Reject(f'"{text}" is no series: unexpected {text[at]!r} at character {at + 1}')
        at = _labels(text, at + 1, pairs)
        if text[at:].strip():
            raise Reject(f'"{text}" is no series: unexpected "{text[at:].strip()}" behind it')
    elif not name:
        raise Reject("a series needs a name or labels in braces")
    return tuple(sorted((label, value) for label, value in pairs.items() if value))


def _labels(text: str, at: int, pairs: dict[str, str]) -> int:
    """Adds them; where the closing brace ends."""
    while True:
        closing = re.compile(r"\s*}").match(text, at)
        if closing is not None:
            return closing.end()
        pair = _PAIR.match(text, at)
        if pair is None or pair["mark"] is None:
            raise Reject(f'"{text}" is no series: expected label="value" and a comma or }} at character {at + 1}')
        label = NAME_LABEL if pair["label"] is None else _plain(pair["label"])
        if label in pairs:
            raise Reject(f'"{text}" is no series: the label {label} stands twice')
        pairs[label] = _plain(pair["value"])
        if pair["mark"] == "}":
            return pair.end()
        at = pair.end()


def _plain(text: str) -> str:
    if text[0] not in "\"'`":
        return text
    try:
        return unquote(text)
    except BadEscape as error:
        raise Reject(f"{text}: {error}") from None


def parse_values(text: str) -> list[float | None]:
    """None: there is no sample. Raises Reject."""
    values: list[float | None] = []
    for word in text.split():
        item = _ITEM.fullmatch(word)
        if item is None:
            hint = ": native histograms are not supported" if "{{" in word else ""
            raise Reject(f'"{word}" is no value{hint}; expected a number, a+bxn, a-bxn, axn, _, _xn or stale')
        if max(int(item["blanks"] or 0), int(item["times"] or 0)) + len(values) > MOST_VALUES:
            raise Reject(f'"{word}" makes more than {MOST_VALUES:,} values')
        values += _expanded(item)
    return values


def _expanded(item: re.Match[str]) -> list[float | None]:
    if item["blank"]:
        return [None] * int(item["blanks"] or 1)
    if item["stale"]:
        return [float(STALE)]
    start = _number(item["start"])
    if item["times"] is None:
        return [start]
    step = _number(item["step"]) if item["step"] else 0.0
    expanded: list[float | None] = []
    for _ in range(int(item["times"]) + 1):  # a+bxn is a, and n more
        expanded.append(start)
        start += step  # added up, not multiplied: Prometheus' rounding
    return expanded


def _number(text: str) -> float:
    sign = -1.0 if text[0] == "-" else 1.0
    return sign * float(text.lstrip("+-"))
