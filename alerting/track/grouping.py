"""Which alerts share an incident: those with the same values of the labels of `incidents.by`, or of the first merging
rule that takes them. A label that an alert lacks counts as the empty string, as everywhere in alerting."""

from __future__ import annotations

import msgspec

from alerting.notify.matchers import all_match, matchers_text, parse_matcher
from alerting.track.settings import IncidentSettings
from collector.metrics.selector import Matcher, quote
from deckwatch.runtime.faults import Reject, Unusable
from deckwatch.wire.model import Labels


class Merge(msgspec.Struct, frozen=True):
    matchers: tuple[Matcher, ...]
    by: tuple[str, ...]


class Key(msgspec.Struct, frozen=True):
    """Alerts with the same key share an incident. `scope`: the merging rule by which they do; "" for `incidents.by`."""

    scope: str
    labels: Labels

    def __str__(self) -> str:
        return self.scope + "{" + ",".join(f"{name}={quote(value)}" for name, value in self.labels) + "}"


class Grouping(msgspec.Struct, frozen=True):
    by: tuple[str, ...]
    merges: tuple[Merge, ...] = ()

    def key(self, labels: Labels) -> Key:
        named = dict(labels)
        merge = next((merge for merge in self.merges if all_match(merge.matchers, named)), None)
        by = self.by if merge is None else merge.by
        scope = "" if merge is None else matchers_text(merge.matchers)
        return Key(scope, tuple(sorted((name, named[name]) for name in set(by) if named.get(name))))


def grouping(settings: IncidentSettings) -> Grouping:
    """Raises Unusable with every fault."""
    merges: list[Merge] = []
    faults: list[str] = []
    for number, merge in enumerate(settings.merge, start=1):
        try:
            merges.append(Merge(tuple(map(parse_matcher, merge.matchers)), merge.by))
        except Reject as fault:
            faults.append(f"alerting.incidents.merge {number}: {fault}")
        if not merge.matchers:
            faults.append(f"alerting.incidents.merge {number}: give matchers; for all alerts set alerting.incidents.by")
    if faults:
        raise Unusable("\n".join(faults))
    return Grouping(settings.by, tuple(merges))
