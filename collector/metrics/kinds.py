"""Type and help of a metric: from our catalogue, or as its application says."""

from __future__ import annotations

from collections.abc import Mapping

from collector.metrics.remote.metadata import About
from deckwatch.wire.metrics_catalogue import CATALOGUE, MetricInfo, MetricType

_PARTS = {
    "_bucket": ("histogram",),
    "_sum": ("histogram", "summary"),
    "_count": ("histogram", "summary"),
}
"""Names of series that belong to a family of another name, by what they add to it."""
_WRITTEN = {"counter": "counter", "gauge": "gauge", "info": "gauge", "stateset": "gauge", "histogram": "histogram",
            "summary": "summary"}  # fmt: skip
"""Types as the text format 0.0.4 has them; all others are untyped there."""
_NO_HELP = "Nothing is said of it."
_OURS = {
    name: About("unknown" if info.type is MetricType.UNTYPED else info.type.value, info.help, info.unit)
    for name, info in CATALOGUE.items()
}


def all_abouts(told: Mapping[str, About]) -> dict[str, About]:
    """Ours and what was told of others."""
    return {**_OURS, **{name: about for name, about in told.items() if name not in _OURS}}


class Kinds:
    def __init__(self, catalogue: Mapping[str, MetricInfo], told: Mapping[str, About]) -> None:
        self._catalogue = catalogue
        self._told = told

    def family(self, name: str) -> str:
        """Of a series of that name."""
        if name not in self._catalogue and name not in self._told:
            for part, kinds in _PARTS.items():
                base = name.removesuffix(part)
                if base != name and base in self._told and self._told[base].type in kinds:
                    return base
        return name

    def of(self, family: str) -> tuple[str, str]:
        """(type as the text format has it, help)"""
        info = self._catalogue.get(family)
        if info is not None:
            return info.type.value, info.help
        about = self._told.get(family)
        if about is None:
            return "untyped", _NO_HELP
        return _WRITTEN.get(about.type, "untyped"), about.help or _NO_HELP
