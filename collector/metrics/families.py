"""Metric families as the text formats write them.

Formats: Prometheus text 0.0.4 (prometheus/docs, instrumenting/exposition_formats) and OpenMetrics 1.0.0. They differ
in the name of a counter's family (OpenMetrics leaves `_total` off and demands it on the samples), in names of types,
in escapes of HELP, and in the final `# EOF`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec
from prometheus_client.metrics_core import Metric

from collector.metrics.selector import NAME_LABEL
from deckwatch.wire.metrics_catalogue import MetricInfo
from deckwatch.wire.model import Labels

CREATED = "_created"
"""When a counter began, by prometheus_client. Left out: nobody asks for these series, and they nearly double a
registry's."""


class TextFormat(StrEnum):
    """The value is the content type."""

    PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Family(msgspec.Struct, frozen=True):
    """Lines of one name and its type. `lines` are whole samples without their line ends."""

    name: str  # of the samples (counters with `_total`), less `_bucket`, `_sum`, `_count`
    kind: str  # counter | gauge | histogram | summary | untyped
    help: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, name: str, about: MetricInfo, samples: Iterable[tuple[Labels, float]]) -> Family:
        lines = tuple(f"{name}{label_text(labels)} {number(value)}" for labels, value in samples)
        return cls(name, about.type.value, about.help, lines)


def header(family: Family, form: TextFormat) -> str:
    name, kind, text = family.name, family.kind, family.help.replace("\\", "\\\\").replace("\n", "\\n")
    if form is TextFormat.OPENMETRICS:
        text = text.replace('"', '\\"')
        if kind == "counter" and name.endswith("_total"):
            name = name.removesuffix("_total")
        elif kind in ("counter", "untyped"):  # a counter without _total is none there
            kind = "unknown"
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def label_text(labels: Labels) -> str:
    """`{a="b"}` without `__name__`; nothing where there are no labels."""
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in labels if name != NAME_LABEL)
    return f"{{{inner}}}" if inner else ""


def number(value: float) -> str:
    """The shortest text that reads back as the same float; whole numbers without a fraction."""
    if value.is_integer():
        return str(int(value)) if abs(value) < 1e15 else repr(value)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def merge(families: Iterable[Family]) -> list[Family]:
    """Sorted by name; families of one name become one, under the first one's type and help."""
    merged: dict[str, Family] = {}
    for family in families:
        known = merged.get(family.name)
        merged[family.name] = (
            family if known is None else msgspec.structs.replace(known, lines=known.lines + family.lines)
        )
    return [merged[name] for name in sorted(merged)]


def registered(metrics: Iterable[Metric]) -> Iterable[Family]:
    """Families of a prometheus_client registry (`registry.collect()`), without CREATED stamps."""
    for metric in metrics:
        name, kind = metric.name, metric.type
        if kind == "counter":
            name += "_total"
        elif kind == "info":
            name, kind = name + "_info", "gauge"
        elif kind not in ("gauge", "histogram", "summary"):
            kind = "untyped"
        lines = tuple(
            f"{sample.name}{_dict_text(sample.labels)} {number(float(sample.value))}"
            for sample in metric.samples
            if not sample.name.endswith(CREATED)
        )
        if lines:
            yield Family(name, kind, metric.documentation, lines)


def _dict_text(labels: Mapping[str, str]) -> str:
    return label_text(tuple(labels.items()))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
