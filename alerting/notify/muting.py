"""Why an alert is not told of though it fires. Pure: handed the alert, the route and the time.

The order is Alertmanager's: inhibited, outside an active interval, inside a mute interval, silenced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from alerting.notify.alerts import AlertRecord
from alerting.notify.inhibition import Inhibitor
from alerting.notify.intervals import TimeInterval, holds
from alerting.notify.routes import Route
from alerting.silences.book import SilenceBook


class Muted(StrEnum):
    """Alertmanager's values of `reason` in alertmanager_notifications_suppressed_total."""

    INHIBITED = "inhibition"
    NOT_ACTIVE = "active_time_interval"
    MUTE_TIME = "mute_time_interval"
    SILENCED = "silence"


class Verdict(msgspec.Struct, frozen=True):
    """What holds an alert back by itself, whatever its route."""

    inhibited_by: str = ""  # fingerprint
    silenced_by: tuple[str, ...] = ()

    @property
    def suppressed(self) -> bool:
        return bool(self.inhibited_by or self.silenced_by)


class RouteVerdict(msgspec.Struct, frozen=True):
    muted: Muted | None = None
    intervals: tuple[str, ...] = ()  # by name: that mute it, or of which none is now


class Muting:
    """Looks up what is known at the moment."""

    def __init__(
        self, inhibitor: Inhibitor, silences: SilenceBook, intervals: Mapping[str, tuple[TimeInterval, ...]]
    ) -> None:
        self._inhibitor = inhibitor
        self._silences = silences
        self._intervals = intervals

    def verdict(self, alert: AlertRecord, now_ns: int) -> Verdict:
        labels = dict(alert.labels)
        return Verdict(
            self._inhibitor.inhibited_by(labels, now_ns),
            tuple(self._silences.muting(labels, now_ns)),
        )

    def route_verdict(self, route: Route, now_ns: int) -> RouteVerdict:
        if route.active and not any(holds(self._intervals[name], now_ns) for name in route.active):
            return RouteVerdict(Muted.NOT_ACTIVE, route.active)
        inside = tuple(name for name in route.mute if holds(self._intervals[name], now_ns))
        return RouteVerdict(Muted.MUTE_TIME, inside) if inside else RouteVerdict()

    def sorted_out(
        self, route: Route, alerts: Iterable[AlertRecord], now_ns: int
    ) -> tuple[list[AlertRecord], list[tuple[AlertRecord, Muted]]]:
        """(what is to be told, what isn't and why)"""
        of_route = self.route_verdict(route, now_ns).muted
        told: list[AlertRecord] = []
        held: list[tuple[AlertRecord, Muted]] = []
        for alert in alerts:
            verdict = self.verdict(alert, now_ns)
            if verdict.inhibited_by:
                held.append((alert, Muted.INHIBITED))
            elif of_route is not None:
                held.append((alert, of_route))
            elif verdict.silenced_by:
                held.append((alert, Muted.SILENCED))
            else:
                told.append(alert)
        return told, held
