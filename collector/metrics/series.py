"""Series and vectors, and whoever can answer for them. The seam that the PromQL engine will stand on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from collector.metrics.selector import NAME_LABEL, Selector
from deckwatch.wire.model import Labels


class Sample(msgspec.Struct, frozen=True):
    labels: Labels  # sorted, `__name__` among them unless an operation dropped it
    value: float


class Vector(msgspec.Struct, frozen=True):
    """Values at one time. `unknown` are the labels of series that would be here if their agent weren't silent:
    they are neither present nor absent, and whoever decides something by them leaves it as it was."""

    samples: tuple[Sample, ...] = ()
    unknown: tuple[Labels, ...] = ()


class Window(msgspec.Struct, frozen=True):
    """The samples of one series in a range: (Unix ns, value), oldest first."""

    labels: Labels
    points: tuple[tuple[int, float], ...]


class Windows(msgspec.Struct, frozen=True):
    series: tuple[Window, ...] = ()
    unknown: tuple[Labels, ...] = ()


class SeriesSource(Protocol):
    """Answers for the series of one or more tenants. Both calls are cheap, don't block and change nothing."""

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        """The newest sample of each matching series that is neither ended nor unknown at `at_ns`."""
        ...

    def window(self, tenant: str, selector: Selector, start_ns: int, end_ns: int) -> Windows:
        """The samples in (start_ns, end_ns] of each matching series of which some are kept."""
        ...


class Sources:
    """Several sources as one. Names don't overlap between them in practice; where they do, both answer."""

    def __init__(self, sources: Iterable[SeriesSource]) -> None:
        self._sources = tuple(sources)

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        vectors = [source.instant(tenant, selector, at_ns) for source in self._sources]
        return Vector(
            samples=tuple(sample for vector in vectors for sample in vector.samples),
            unknown=tuple(labels for vector in vectors for labels in vector.unknown),
        )

    def window(self, tenant: str, selector: Selector, start_ns: int, end_ns: int) -> Windows:
        parts = [source.window(tenant, selector, start_ns, end_ns) for source in self._sources]
        return Windows(
            series=tuple(window for part in parts for window in part.series),
            unknown=tuple(labels for part in parts for labels in part.unknown),
        )


def without_name(labels: Labels) -> Labels:
    """What arithmetic, rate() and alerts keep of a series' labels."""
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)
