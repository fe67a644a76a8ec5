"""The routing tree: who is told of an alert, grouped by what, and how often. Pure (alertmanager/dispatch/route.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from alerting.notify.inhibition import InhibitRule
from alerting.notify.intervals import TimeInterval
from alerting.notify.matchers import all_match, matchers_text
from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels

S = 1_000_000_000


class Route(msgspec.Struct, frozen=True):
    """A node with what it inherited already filled in. `key` is its path of matchers, as it stands in group keys; `id`
    tells it from siblings with the same matchers. A route that tells `at_once` is flushed with every change, not only
    each group_interval: webhooks without a configuration file."""

    id: str
    key: str
    receiver: str
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    group_wait_ns: int = 30 * S
    group_interval_ns: int = 300 * S
    repeat_interval_ns: int = 14_400 * S
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    goes_on: bool = False  # `continue`
    routes: tuple[Route, ...] = ()
    at_once: bool = False

    def matching(self, labels: Mapping[str, str]) -> list[Route]:
        """Depth first; the first child that matches ends it unless it says `continue`; what no child takes stays
        here."""
        if not all_match(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            taken = child.matching(labels)
            found += taken
            if taken and not child.goes_on:
                break
        return found or [self]

    def walk(self) -> Iterator[Route]:
        yield self
        for child in self.routes:
            yield from child.walk()

    def group_labels(self, labels: Labels, always: str = "") -> Labels:
        """Of an alert with these labels; those that it lacks are left out. `always`: one that is never left out."""
        return tuple(pair for pair in labels if self.group_by_all or pair[0] in self.group_by or pair[0] == always)


class IntegrationInfo(msgspec.Struct, frozen=True):
    """What dispatching needs to know of one way to a receiver."""

    name: str  # `webhook[0]`
    send_resolved: bool


class Routing(msgspec.Struct, frozen=True):
    """All that decides who is told when: a configuration file, less how messages look and travel."""

    root: Route
    receivers: Mapping[str, tuple[IntegrationInfo, ...]]
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, tuple[TimeInterval, ...]] = {}
    resolve_timeout_ns: int = 300 * S
    scope: str = ""  # whose outbox: "" the configuration of all tenants, else the tenant that it belongs to


def child_key(parent: str, matchers: tuple[Matcher, ...]) -> str:
    return f"{parent}/{matchers_text(matchers)}"


def child_id(parent: str, matchers: tuple[Matcher, ...], place: int) -> str:
    return f"{parent}/{matchers_text(matchers)}/{place}"
