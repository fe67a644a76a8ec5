"""What a Nagios plugin printed: text and performance data. Pure.

Format: Monitoring Plugins Development Guidelines, "Performance data" and "Threshold and Ranges"; Nagios Core "Plugin
API" (several lines). Units become base units: seconds, bytes, ratio. KB, MB ... are 1024-fold, as monitoring-plugins
mean them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Column, Labels

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ITEM = re.compile(r"\s*(?:'(?P<quoted>(?:[^']|'')+)'|(?P<label>[^\s=']+))=(?P<data>\S*)")
_VALUE = re.compile(rf"(?P<value>{_NUMBER})(?P<unit>[^\d.;,+-][^\d;]*)?")
_UNITS: dict[str, tuple[str, float]] = {
    "": ("value", 1),
    "s": ("seconds", 1),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "µs": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "%": ("ratio", 0.01),
    "c": ("total", 1),
    **{f"{prefix}B": ("bytes", 1024.0**power) for power, prefix in enumerate(["", "K", "M", "G", "T", "P"])},
    **{f"{prefix}iB": ("bytes", 1024.0**power) for power, prefix in enumerate("KMGTP", 1)},
    "kB": ("bytes", 1024.0),
}
_LEVELS = ("warning", "critical")


class Range(msgspec.Struct, frozen=True):
    """Alert outside of low..high; with `inside`, alert within it."""

    low: float
    high: float
    inside: bool = False


class Perfdatum(msgspec.Struct, frozen=True):
    """In base units."""

    label: str
    quantity: str  # seconds | bytes | ratio | total | value
    unit: str  # of `value`: as the plugin wrote it
    value: float | None  # None: U, it could not be measured
    thresholds: tuple[Range | None, Range | None] = (None, None)  # warning, critical
    low: float | None = None
    high: float | None = None


def split_output(output: str) -> tuple[str, str]:
    """The first line's text, and all performance data: behind `|` of the first line, and behind the first `|` of those
    that follow up to the end."""
    first, _, rest = output.partition("\n")
    text, _, perfdata = first.partition("|")
    return text.strip(), f"{perfdata} {rest.partition('|')[2]}".replace("\n", " ").strip()


def read_perfdata(text: str) -> tuple[list[Perfdatum], list[str]]:
    """What can be read, and what can't, in words."""
    found, bad, at = [], [], 0
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            rest = text[at:].split(None, 1)
            bad += rest[:1]
            at = len(text) - len(rest[1]) if len(rest) > 1 else len(text)
            continue
        at = item.end()
        label = (item["quoted"] or item["label"]).replace("''", "'")
        try:
            found.append(_datum(label, item["data"].rstrip(",")))
        except Reject as fault:
            bad.append(str(fault))
    return found, bad


def _datum(label: str, data: str) -> Perfdatum:
    value_text, *more = data.split(";")
    warning, critical, low, high = (more + [""] * 4)[:4]
    if value_text == "U":
        return Perfdatum(label, "value", "", None)
    match = _VALUE.fullmatch(value_text)
    if match is None:
        raise Reject(f"{label}={data}")
    unit = match["unit"] or ""
    quantity, factor = _UNITS.get(unit, ("value", 1.0))
    try:
        return Perfdatum(
            label,
            quantity,
            unit if quantity == "value" else "",
            float(match["value"]) * factor,
            (read_range(warning, factor), read_range(critical, factor)),
            float(low) * factor if low else None,
            float(high) * factor if high else None,
        )
    except ValueError:
        raise Reject(f"{label}={data}") from None


def read_range(text: str, factor: float = 1.0) -> Range | None:
    """`10`, `10:`, `~:10`, `10:20`, `@10:20`. Raises ValueError."""
    if not text:
        return None
    inside, text = text.startswith("@"), text.removeprefix("@")
    low, colon, high = text.partition(":")
    if not colon:
        low, high = "0", low
    return Range(
        -math.inf if low == "~" else float(low or 0) * factor,
        float(high) * factor if high else math.inf,
        inside,
    )


def perfdata_series(datum: Perfdatum) -> Iterator[tuple[Column, float]]:
    """`nagios_perfdata_<quantity>` with its bounds."""
    name = f"nagios_perfdata_{datum.quantity}"
    labels: Labels = (("label", datum.label),)
    if datum.unit:
        labels = (*labels, ("unit", datum.unit))
    if datum.value is None:
        return
    yield Column(name, labels), datum.value
    for bound, value in (("min", datum.low), ("max", datum.high)):
        if value is not None:
            yield Column(f"{name}_{bound}", labels), value
    for level, threshold in zip(_LEVELS, datum.thresholds, strict=True):
        if threshold is None:
            continue
        for bound, value in (("lower", threshold.low), ("upper", threshold.high)):
            if math.isfinite(value):
                about = {**dict(labels), "level": level, "bound": bound, "inside": "true" if threshold.inside else ""}
                yield Column(f"{name}_threshold", tuple(sorted((k, v) for k, v in about.items() if v))), value
