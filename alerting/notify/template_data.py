"""What a notification's template sees: Alertmanager's template.Data (alertmanager/template/template.go), and what we
know besides, as `.Evidence` of an alert."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from alerting.notify.channels.model import Notification, Undelivered
from alerting.notify.message import GroupAlert, common, ordered_alerts
from alerting.rules.gofloat import general
from alerting.templates.moments import ZERO_NS, Moment
from alerting.templates.values import Datum, Method, TemplateObject, as_texts


class LogLine(msgspec.Struct, frozen=True):
    at_ns: int
    text: str  # redacted


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for an alert. Each part may be missing: evidence is no condition of a notice."""

    value: float | None = None
    threshold: str = ""  # `> 5e+08`
    expression: str = ""
    lines: tuple[LogLine, ...] = ()  # the last that matched, oldest first
    links: tuple[tuple[str, str], ...] = ()  # (what it shows, URL)


NOTHING = Evidence()


class Pair(TemplateObject):
    go_type = "template.Pair"

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def fields(self) -> Mapping[str, Datum]:
        return {"Name": self.name, "Value": self.value}


class Pairs(list[Datum], TemplateObject):
    go_type = "template.Pairs"

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = list(pairs)
        super().__init__(self._pairs)

    def methods(self) -> Mapping[str, Method]:
        return {
            "Names": lambda: [pair.name for pair in self._pairs],
            "Values": lambda: [pair.value for pair in self._pairs],
            "String": lambda: self.printed(),
        }

    def printed(self) -> str:
        return ", ".join(f"{pair.name}={pair.value}" for pair in self._pairs)


class KV(dict[str, Datum], TemplateObject):
    """Labels or annotations."""

    go_type = "template.KV"

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._texts = dict(pairs)
        super().__init__(pairs)

    def sorted_pairs(self) -> Pairs:
        """`alertname` first."""
        names = sorted(self._texts, key=lambda name: (name != "alertname", name))
        return Pairs(Pair(name, self._texts[name]) for name in names)

    def methods(self) -> Mapping[str, Method]:
        return {
            "SortedPairs": self.sorted_pairs,
            "Remove": self.remove,
            "Names": lambda: self.sorted_pairs().methods()["Names"](),
            "Values": lambda: self.sorted_pairs().methods()["Values"](),
            "String": lambda: self.printed(),
        }

    def remove(self, names: Datum) -> KV:
        gone = set(as_texts(names))
        return KV({name: text for name, text in self._texts.items() if name not in gone})

    def printed(self) -> str:
        return self.sorted_pairs().printed()


class EvidenceView(TemplateObject):
    go_type = "template.Evidence"

    def __init__(self, evidence: Evidence, tame: Callable[[str], str]) -> None:
        self._evidence = evidence
        self._tame = tame

    def fields(self) -> Mapping[str, Datum]:
        evidence = self._evidence
        return {
            "Value": "" if evidence.value is None else general(evidence.value),
            "Threshold": evidence.threshold,
            "Expression": evidence.expression,
            "Lines": [LineView(line.at_ns, self._tame(line.text)) for line in evidence.lines],
            "Links": [Pair(name, url) for name, url in evidence.links],
        }


class LineView(TemplateObject):
    go_type = "template.LogLine"

    def __init__(self, at_ns: int, text: str) -> None:
        self._at_ns = at_ns
        self._text = text

    def fields(self) -> Mapping[str, Datum]:
        return {"Time": Moment(self._at_ns), "Text": self._text}

    def printed(self) -> str:
        return self._text


class AlertView(TemplateObject):
    go_type = "template.Alert"

    def __init__(self, alert: GroupAlert, evidence: Mapping[str, Evidence], tame: Callable[[str], str]) -> None:
        fingerprint = alert.fingerprint
        self.is_firing = alert.is_firing
        self._fields: dict[str, Datum] = {
            "Status": "firing" if alert.is_firing else "resolved",
            "Labels": _tamed(alert.labels, tame),
            "Annotations": _tamed(alert.annotations, tame),
            "StartsAt": Moment(alert.starts_ns),
            "EndsAt": Moment(alert.ends_ns or ZERO_NS),
            "GeneratorURL": alert.generator_url,
            "Fingerprint": fingerprint,
            "Evidence": EvidenceView(evidence.get(fingerprint, NOTHING), tame),
        }

    def fields(self) -> Mapping[str, Datum]:
        return self._fields


class Alerts(list[Datum], TemplateObject):
    go_type = "template.Alerts"

    def __init__(self, alerts: Iterable[AlertView]) -> None:
        self._alerts = list(alerts)
        super().__init__(self._alerts)

    def methods(self) -> Mapping[str, Method]:
        return {
            "Firing": lambda: Alerts(alert for alert in self._alerts if alert.is_firing),
            "Resolved": lambda: Alerts(alert for alert in self._alerts if not alert.is_firing),
        }

    def printed(self) -> str:
        return "[" + " ".join(alert.printed() for alert in self._alerts) + "]"


class UndeliveredView(TemplateObject):
    go_type = "template.Undelivered"

    def __init__(self, undelivered: Undelivered) -> None:
        self._undelivered = undelivered

    def fields(self) -> Mapping[str, Datum]:
        return {
            "Receiver": self._undelivered.receiver,
            "Integration": self._undelivered.integration,
            "Targets": list(self._undelivered.targets),
            "Error": self._undelivered.error,
        }


class Data(TemplateObject):
    go_type = "*template.Data"

    def __init__(
        self, notification: Notification, evidence: Mapping[str, Evidence], tame: Callable[[str], str] = str
    ) -> None:
        """`evidence` by fingerprint. `tame` goes over each value that comes from alerts and log lines."""
        alerts = ordered_alerts(notification.alerts)
        undelivered = notification.undelivered
        self._fields: dict[str, Datum] = {
            "Receiver": quote_meta(notification.receiver),
            "Status": notification.status,
            "Alerts": Alerts(AlertView(alert, evidence, tame) for alert in alerts),
            "GroupLabels": _tamed(notification.group_labels, tame),
            "CommonLabels": _tamed(common([alert.labels for alert in alerts]).items(), tame),
            "CommonAnnotations": _tamed(common([alert.annotations for alert in alerts]).items(), tame),
            "ExternalURL": notification.external_url,
            "GroupKey": notification.group_key,
            "Reason": notification.reason,
            "Undelivered": None if undelivered is None else UndeliveredView(undelivered),
        }

    def fields(self) -> Mapping[str, Datum]:
        return self._fields


def quote_meta(text: str) -> str:
    """Go's regexp.QuoteMeta: Alertmanager's templates see the receiver's name so."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _tamed(labels: Iterable[tuple[str, str]], tame: Callable[[str], str]) -> KV:
    return KV({name: tame(text) for name, text in labels})
