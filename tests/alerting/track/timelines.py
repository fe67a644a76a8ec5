"""Timelines for tests: events as words, times in seconds."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from alerting.database import Database
from alerting.notify.message import GroupAlert, fingerprint
from alerting.track.events import RULES, AlertRef, AlertsJoined, AlertsResolved, AnyEvent, Opened, Resolved
from alerting.track.grouping import Grouping
from alerting.track.metrics import TrackMetrics
from alerting.track.model import Incident
from alerting.track.store import IncidentStore
from alerting.track.tracker import Tracker
from deckwatch.wire.model import Labels

S = 1_000_000_000
T = 1_700_000_000 * S
KEY: Labels = (("alertname", "Slow"),)


def alert(ends_s: float | None = None, name: str = "Slow", **labels: str) -> GroupAlert:
    """`ends_s`: it has ended, that many seconds after T."""
    named = tuple(sorted({"alertname": name, **labels}.items()))
    return GroupAlert(named, (("summary", f"{name} it is"),), T, 0 if ends_s is None else T + round(ends_s * S))


def ref(name: str) -> AlertRef:
    labels = (*KEY, ("instance", name))
    return AlertRef(fingerprint(labels), labels)


def opened(at_s: float = 0) -> AnyEvent:
    return Opened(at_ns=at(at_s), by=RULES, key=KEY, rule="Slow", team="web")


def joined(at_s: float, *names: str) -> AnyEvent:
    return AlertsJoined(at_ns=at(at_s), by=RULES, alerts=tuple(map(ref, names)))


def ended(at_s: float, *names: str) -> AnyEvent:
    return AlertsResolved(at_ns=at(at_s), by=RULES, alerts=tuple(map(ref, names)))


def resolved(at_s: float) -> AnyEvent:
    return Resolved(at_ns=at(at_s), by=RULES)


def at(seconds: float) -> int:
    return T + round(seconds * S)


class Desk:
    """A tracker over a database of its own."""

    def __init__(self, folder: Path, by: tuple[str, ...] = ("alertname",), grouping: Grouping | None = None) -> None:
        self.registry = CollectorRegistry()
        self.database = Database(folder / "alerts.sqlite", ("CREATE TABLE one (a INTEGER)",))
        self.store = IncidentStore(self.database)
        self.tracker = Tracker(
            self.store, grouping or Grouping(by), TrackMetrics(self.registry), reopen_within_ns=600 * S
        )

    def observe(self, at_s: float, *alerts: GroupAlert, tenant: str = "default") -> list[Incident]:
        ids = self.tracker.observe(tenant, alerts, at(at_s))
        return [self.tracker.get(tenant, id_) for id_ in ids]

    def kinds(self, id_: str) -> list[str]:
        return [str(event.__struct_config__.tag) for event in self.store.timeline(id_)]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)
