"""Log metrics: records are counted as they pass, and the counts are series that rules use by name.

A RecordConsumer: counts and position are committed in one transaction, so that a restart, which replays the journal
from there, counts nothing twice and nothing never. Between commits the counts are in memory only; the journal holds
what they were made of. The times of counts are the journal's receive times, so a replay gives the same series.

Every few seconds (`checkpoint`) they go into the history of samples, after a commit that says so: what is counted
later gets a later time than what the history has, also in a replay, so that it never sees a counter go back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge

from alerting.rules.counter_series import CounterSeries
from alerting.rules.counting import Counting, LabelValues
from alerting.rules.keeping import Frames
from alerting.rules.log_metric_files import OVERFLOW_LABEL
from alerting.rules.logmetric_store import LogMetricStore
from alerting.rules.model import LogMetric
from alerting.rules.sources import Live, LivePoints, Unknown
from collector.metrics.block import HOST_LABEL
from collector.metrics.families import Family
from collector.metrics.selector import NAME_LABEL, Selector
from collector.metrics.series import Sample
from collector.records import RecordFrame
from deckwatch.wire.metrics_catalogue import MetricInfo, MetricType
from deckwatch.wire.model import Labels, Samples

MAX_SERIES = 1000
"""Of one metric; what comes beyond is counted in its series with overflow="true"."""
LEAST_KEPT_NS = 300_000_000_000
MOST_KEPT_NS = 3_600_000_000_000
"""Longer ranges are looked up in the history."""
_STEP_NS = 1_000_000_000  # of the history, between two checkpoints

log = logging.getLogger(__name__)

IsSilent = Callable[[str, str, int], bool]
"""(tenant, host, at in Unix ns)"""
Changed = Callable[[str, frozenset[str]], None]
"""(tenant, names of the metrics that counted something); called from the consumer's thread."""

_OVERFLOW: LabelValues = ("\0overflow",)


class _Metric:
    def __init__(self, metric: LogMetric, series: dict[LabelValues, CounterSeries]) -> None:
        self.metric = metric
        self.counting = Counting(metric)
        self.series = series
        self.keep_ns = LEAST_KEPT_NS
        self.failing = False
        if not metric.by:
            series.setdefault((), CounterSeries())

    def labels(self, values: LabelValues) -> Labels:
        pairs = {NAME_LABEL: self.metric.name}
        if values == _OVERFLOW:
            pairs[OVERFLOW_LABEL] = "true"
        else:
            pairs |= {label: value for (label, _), value in zip(self.metric.by, values, strict=True) if value}
        return tuple(sorted(pairs.items()))


class LogMetrics:
    """Also a LiveSource."""

    name = "log-metrics"

    def __init__(
        self,
        store: LogMetricStore,
        registry: CollectorRegistry,
        *,
        is_silent: IsSilent,
        changed: Changed,
        replayed: Callable[[], bool] = lambda: True,
        max_series: int = MAX_SERIES,
    ) -> None:
        """`replayed`: has the journal's rest been consumed again after a restart? Until then counts are not known."""
        self._store = store
        self._is_silent = is_silent
        self._changed = changed
        self._replayed = replayed
        self._max_series = max_series
        self._lock = threading.Lock()
        self._metrics: dict[str, _Metric] = {}
        self._dirty: set[tuple[str, LabelValues]] = set()
        self._gone: set[str] = set()
        self._committed = store.position()
        self._consumed = self._committed
        self._shown_ns = store.shown_ns()
        self._frames: dict[tuple[str, str], Frames] = {}  # of each metric: (tenant, name)
        self._series = Gauge(
            "deckwatch_alerting_log_metric_series", "Series of each log metric.", ["metric"], registry=registry
        )
        self._overflow = Counter(
            "deckwatch_alerting_log_metric_overflow_total",
            "Lines counted in the overflow series, since the metric has too many label sets.",
            ["metric"],
            registry=registry,
        )
        self._failures = Counter(
            "deckwatch_alerting_log_metric_failures_total",
            "Frames of records that a log metric could not be counted over.",
            ["metric"],
            registry=registry,
        )

    def set_metrics(self, metrics: Iterable[LogMetric], ranges_ns: dict[str, int]) -> None:
        """Metrics that stayed the same go on counting where they are; new ones start from 0 at this record.
        `ranges_ns`: how far back rules look, by metric name."""
        with self._lock:
            wanted = {metric.identity: metric for metric in metrics}
            stored = self._store.identities()
            self._gone |= (stored | set(self._metrics)) - set(wanted)
            self._gone -= set(wanted)
            kept: dict[str, _Metric] = {}
            for identity, metric in wanted.items():
                known = self._metrics.get(identity)
                kept[identity] = known or _Metric(metric, self._store.series(identity))
                kept[identity].metric = metric  # the help text may be another
                kept[identity].keep_ns = min(MOST_KEPT_NS, max(LEAST_KEPT_NS, ranges_ns.get(metric.name, 0)))
            self._metrics = kept
            self._dirty = {key for key in self._dirty if key[0] in kept}

    # RecordConsumer ---------------------------------------------------------------------------------------------

    def position(self) -> int:
        return self._committed

    def consume(self, frame: RecordFrame) -> None:
        """Counting goes on beside the readers; they wait only while the counts are added."""
        if frame.seq <= self._consumed:
            return
        with self._lock:
            metrics = list(self._metrics.items())
        counted = [(identity, metric, self._counts(metric, frame)) for identity, metric in metrics]
        changed: dict[str, set[str]] = {}
        with self._lock:
            for identity, metric, counts in counted:
                if counts and identity in self._metrics:
                    self._add(identity, metric, counts, frame.received_ns)
                    changed.setdefault(metric.metric.tenant, set()).add(metric.metric.name)
            self._consumed = frame.seq
        for tenant, names in changed.items():
            self._changed(tenant, frozenset(names))

    def commit(self, seq: int) -> None:
        """What was consumed beyond `seq` is made durable too: counts and position belong together. Raises Retry where
        the database can't be written; then nothing of it was."""
        with self._lock:
            self._commit(max(seq, self._consumed), self._shown_ns)

    def _commit(self, position: int, shown_ns: int) -> None:
        series = [(identity, values, self._metrics[identity].series[values]) for identity, values in self._dirty]
        self._store.commit(position, series, self._gone, shown_ns)
        self._dirty, self._gone = set(), set()
        self._committed = self._consumed = position
        self._shown_ns = shown_ns

    def rewind(self, seq: int) -> None:
        with self._lock:
            self._committed = self._consumed = seq

    def checkpoint(self, now_ns: int) -> list[Samples]:
        """What the history has to be told: changes since the last time, by the second, and the counts now. Raises
        Retry."""
        if not self._replayed():
            return []
        with self._lock:
            before_ns = self._shown_ns
            if now_ns <= before_ns:
                return []
            self._commit(self._consumed, now_ns)
            series = {
                (each.metric.tenant, each.metric.name): [
                    (each.labels(values), one) for values, one in each.series.items()
                ]
                for each in self._metrics.values()
            }
            return [
                frame
                for key in {**self._frames, **series}
                for frame in self._shown(key, series.get(key, []), before_ns, now_ns)
            ]

    def _shown(
        self, key: tuple[str, str], series: list[tuple[Labels, CounterSeries]], before_ns: int, now_ns: int
    ) -> Iterator[Samples]:
        tenant, name = key
        frames = self._frames.setdefault(key, Frames(f"log metric {name}", tenant))
        steps: dict[int, list[Sample]] = {}
        for labels, one in series:
            for at_ns, value in one.changes(before_ns, now_ns - 1, _STEP_NS):
                steps.setdefault(at_ns, []).append(Sample(labels, value))
        everything = [labels for labels, _ in series]
        for at_ns, samples in sorted(steps.items()):
            frame = frames.frame(at_ns, samples, everything)
            if frame is not None:
                yield frame
        newest = frames.frame(now_ns, [Sample(labels, one.value) for labels, one in series])
        if newest is not None:
            yield newest

    def _counts(self, metric: _Metric, frame: RecordFrame) -> dict[LabelValues, int]:
        name = metric.metric.name
        try:
            counts = metric.counting.count(frame)
        except Exception:  # a fault in counting must not keep anybody's records from being stored
            self._failures.labels(name).inc()
            if not metric.failing:
                log.exception("log metric %s can't be counted; lines are missing from it", name)
            metric.failing = True
            return {}
        if metric.failing:
            log.info("log metric %s is counted again", name)
            metric.failing = False
        return counts

    def _add(self, identity: str, metric: _Metric, counts: dict[LabelValues, int], at_ns: int) -> None:
        at_ns = max(at_ns, self._shown_ns + 1_000_000)
        for values, count in counts.items():
            key = self._place(metric, values, count)
            metric.series.setdefault(key, CounterSeries()).add(at_ns, count, metric.keep_ns)
            self._dirty.add((identity, key))
        self._series.labels(metric.metric.name).set(len(metric.series))

    def _place(self, metric: _Metric, values: LabelValues, count: int) -> LabelValues:
        if values in metric.series or len(metric.series) < self._max_series:
            return values
        self._overflow.labels(metric.metric.name).inc(count)
        return _OVERFLOW

    # LiveSource -------------------------------------------------------------------------------------------------

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        until_ns = min(end_ms, now_ms) * 1_000_000
        points: list[LivePoints] = []
        unknown: list[Unknown] = []
        with self._lock:
            known = self._replayed()
            for metric, labels, series in self._matching(tenant, selector):
                if not known or self._is_unknown(tenant, labels, now_ms * 1_000_000):
                    unknown.append(Unknown(labels, series.value))
                elif until_ns >= start_ms * 1_000_000:
                    points.append(_points(labels, series.window(start_ms * 1_000_000, until_ns, metric.keep_ns)))
        return Live(tuple(points), tuple(unknown))

    def makes(self, tenant: str, name: str) -> bool:
        with self._lock:
            metrics = [metric.metric for metric in self._metrics.values()]
        return any(metric.tenant == tenant and metric.name == name for metric in metrics)

    def families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        """For /metrics. Counts stay there while an agent is silent: they are ours."""
        with self._lock:
            for metric in self._metrics.values():
                if metric.metric.tenant == tenant:
                    text = metric.metric.help or f"Lines that match: {metric.metric.query}"
                    about = MetricInfo(MetricType.COUNTER, "", text)
                    samples = [(metric.labels(values), series.value) for values, series in metric.series.items()]
                    yield Family.of(metric.metric.name, about, samples)

    def _matching(self, tenant: str, selector: Selector) -> Iterator[tuple[_Metric, Labels, CounterSeries]]:
        for metric in self._metrics.values():
            if metric.metric.tenant == tenant and selector.takes_name(metric.metric.name):
                for values, series in metric.series.items():
                    labels = metric.labels(values)
                    if selector.takes_labels(dict(labels)):
                        yield metric, labels, series

    def _is_unknown(self, tenant: str, labels: Labels, at_ns: int) -> bool:
        host = dict(labels).get(HOST_LABEL)
        return host is not None and self._is_silent(tenant, host, at_ns)


def _points(labels: Labels, window: Iterable[tuple[int, float]]) -> LivePoints:
    """Of several changes in one millisecond the last."""
    by_ms = {ts_ns // 1_000_000: value for ts_ns, value in window}
    return LivePoints(labels, tuple(by_ms), tuple(by_ms.values()))
