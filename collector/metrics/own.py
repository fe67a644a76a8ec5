"""The collector's own metrics as series, so that rules can look at them as at any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from collector.metrics.block import HOST_LABEL
from collector.metrics.families import CREATED
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample, Vector
from deckwatch.wire.model import DEFAULT_TENANT

JOB = "deckwatch-collector"
PREFIXES = ("deckwatch_", "process_", "python_")


class OwnSeries:
    """The newest values of a registry, for the default tenant: own metrics count over all tenants. They have a `job`,
    and the collector's `host` where they aren't about another host: as if it were scraped."""

    def __init__(self, registry: CollectorRegistry, *, host: str, prefixes: tuple[str, ...] = PREFIXES) -> None:
        self._registry = registry
        self._labels = {"job": JOB, HOST_LABEL: host}
        self._prefixes = prefixes

    def instant(self, tenant: str, selector: Selector, at_ns: int) -> Vector:
        if tenant != DEFAULT_TENANT:
            return Vector()
        return Vector(tuple(self._samples(selector)))

    def _samples(self, selector: Selector) -> Iterator[Sample]:
        for metric in self._collected(selector):
            for sample in metric.samples:
                labels = {**self._labels, NAME_LABEL: sample.name, **sample.labels}
                if not sample.name.startswith(self._prefixes) or sample.name.endswith(CREATED):
                    continue
                if selector.takes_name(sample.name) and selector.takes_labels(labels):
                    yield Sample(tuple(sorted(pair for pair in labels.items() if pair[1])), float(sample.value))

    def _collected(self, selector: Selector) -> Iterable[Metric]:
        """Only the metric that is named, where one is: looking at all of them reads /proc and more."""
        if selector.name:
            return self._registry.restricted_registry([selector.name]).collect()
        return self._registry.collect()
