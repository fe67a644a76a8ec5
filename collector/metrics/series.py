"""Values of series at one time, and whoever has the newest ones."""

from __future__ import annotations

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


class Newest(Protocol):
    """Answers for the newest values of some series. Cheap, from any thread; changes nothing."""

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        """The newest sample of each matching series that is neither ended nor unknown at `at_ns`."""
        ...


def without_name(labels: Labels) -> Labels:
    """What arithmetic, rate() and alerts keep of a series' labels."""
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)
