"""Series for tests of rules: literal samples, and which of them are unknown."""

from __future__ import annotations

from alerting.rules.sources import Live, RuleSource, Unknown
from collector.metrics.promql.memory import MemorySource
from collector.metrics.selector import Selector
from deckwatch.wire.model import Labels

Points = list[tuple[float, float]]
"""(seconds, value)"""


def labels(metric: str, /, **pairs: str) -> Labels:
    return tuple(sorted({"__name__": metric, **pairs}.items()))


class Silent:
    """A LiveSource: these series are unknown, with what they were last."""

    def __init__(self, series: dict[Labels, float]) -> None:
        self.series = series

    def live(self, tenant: str, selector: Selector, start_ms: int, end_ms: int, now_ms: int) -> Live:
        return Live(
            unknown=tuple(
                Unknown(each, value)
                for each, value in self.series.items()
                if selector.takes_name(dict(each)["__name__"]) and selector.takes_labels(dict(each))
            )
        )


def memory(series: dict[Labels, Points]) -> MemorySource:
    source = MemorySource()
    for each, points in series.items():
        source.add(each, [int(second * 1000) for second, _ in points], [value for _, value in points])
    return source


def rule_source(series: dict[Labels, Points], at_s: float, unknown: dict[Labels, float] | None = None) -> RuleSource:
    return RuleSource("default", memory(series), (Silent(unknown or {}),), int(at_s * 1000))
