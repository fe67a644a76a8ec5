"""Alertmanager's configuration file -> Configuration, or every fault of it, each with its place and how to mend it
(https://prometheus.io/docs/alerting/latest/configuration/)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from alerting.alertmanager.interval_file import read_interval
from alerting.alertmanager.model import BadConfiguration, Configuration
from alerting.alertmanager.plain import node_at, plain
from alerting.alertmanager.route_file import read_inhibit_rule, read_root
from alerting.alertmanager.shown import shown
from alerting.notify.channels.fields import ConfigFault
from alerting.notify.channels.model import Integration
from alerting.notify.intervals import TimeInterval
from alerting.notify.routes import IntegrationInfo, Route, Routing
from alerting.rules.document import Document, Fields
from alerting.rules.files import BadRules, read_rule_text
from alerting.rules.model import RuleFault

_TOP = ("global", "templates", "route", "inhibit_rules", "receivers", "mute_time_intervals", "time_intervals")
_RESOLVE_TIMEOUT_NS = 300_000_000_000

Receivers = Mapping[str, tuple[Integration, ...]]
MakeReceivers = Callable[
    [Sequence[Mapping[str, Any]], Mapping[str, Any], Sequence[Path], Path], tuple[Receivers, Sequence[ConfigFault]]
]
"""(receivers, global, templates, folder of relative paths) -> (the integrations of each, what is wrong)."""


def load_configuration(path: Path, make: MakeReceivers, *, scope: str = "") -> Configuration:
    """Raises BadConfiguration with all faults."""
    try:
        text = read_rule_text(path)
    except BadRules as bad:
        raise BadConfiguration(bad.faults) from None
    reader = _Reader(path, Document(str(path), text))
    made = reader.read(make, scope)
    if made is None:
        raise BadConfiguration(reader.faults)
    return made


class _Reader:
    def __init__(self, path: Path, doc: Document) -> None:
        self._path = path
        self._doc = doc
        self._fields: Fields = {}

    @property
    def faults(self) -> list[RuleFault]:
        return sorted(self._doc.faults, key=lambda fault: (fault.line, fault.column))

    def read(self, make: MakeReceivers, scope: str) -> Configuration | None:
        doc = self._doc
        if doc.root is None:
            if not doc.faults:
                doc.fault(None, "the file is empty; a `route` with a receiver and `receivers` are the least it needs")
            return None
        file = plain(doc, doc.root, "")
        self._fields = doc.mapping(doc.root, "the configuration", _TOP)
        root = self._root()
        intervals = self._intervals()
        integrations, templates = self._receivers(make, file if isinstance(file, dict) else {})
        inhibit = [
            read_inhibit_rule(doc, node, f"inhibit_rules[{place}]")
            for place, node in enumerate(doc.items(self._fields.get("inhibit_rules"), "inhibit_rules"))
        ]
        if root is not None:
            self._check_names(root, integrations, intervals)
        if doc.faults or root is None or not isinstance(file, dict):
            return None
        info = {
            name: tuple(IntegrationInfo(one.name, one.send_resolved) for one in ones)
            for name, ones in integrations.items()
        }
        routing = Routing(root, info, tuple(inhibit), intervals, self._resolve_timeout_ns(), scope)
        files = (str(self._path), *map(str, templates))
        return Configuration(routing, integrations, shown(file), files)

    def _root(self) -> Route | None:
        node = self._fields.get("route")
        if node is None:
            self._doc.fault(self._doc.root, "there is no `route`; the least is route: {receiver: NAME}")
            return None
        return read_root(self._doc, node)

    def _resolve_timeout_ns(self) -> int:
        node = node_at(self._fields.get("global"), "resolve_timeout")
        if not isinstance(node, yaml.ScalarNode):
            return _RESOLVE_TIMEOUT_NS
        return self._doc.duration_ns(node, "global.resolve_timeout", _RESOLVE_TIMEOUT_NS)

    def _receivers(self, make: MakeReceivers, file: Mapping[str, Any]) -> tuple[Receivers, list[Path]]:
        doc, folder = self._doc, self._path.absolute().parent
        patterns = [
            doc.text(node, f"templates[{place}]")
            for place, node in enumerate(doc.items(self._fields.get("templates"), "templates"))
        ]
        templates = [folder / pattern for pattern in patterns if pattern]
        given = [one if isinstance(one, dict) else {} for one in file.get("receivers") or ()]
        for place, one in enumerate(given):
            if not one.get("name"):
                doc.fault(node_at(doc.root, f"receivers[{place}]"), f"receivers[{place}]: a receiver needs a name")
        for name, times in Counter(str(one.get("name", "")) for one in given).items():
            if times > 1 and name:
                doc.fault(self._fields["receivers"], f'receivers: the name "{name}" stands {times} times')
        glob = file.get("global")
        made, faults = make(given, glob if isinstance(glob, dict) else {}, templates, folder)
        for fault in faults:
            doc.fault(node_at(doc.root, fault.path), str(fault))
        return made, templates

    def _intervals(self) -> dict[str, tuple[TimeInterval, ...]]:
        found: dict[str, tuple[TimeInterval, ...]] = {}
        for field in ("mute_time_intervals", "time_intervals"):
            for place, node in enumerate(self._doc.items(self._fields.get(field), field)):
                path = f"{field}[{place}]"
                fields = self._doc.mapping(node, path, ("name", "time_intervals"))
                name = self._doc.text(fields.get("name"), f"{path}.name")
                if not name or name in found:
                    self._doc.fault(node, f"{path}: " + (f'the name "{name}" stands twice' if name else "has no name"))
                inner = self._doc.items(fields.get("time_intervals"), f"{path}.time_intervals")
                found[name] = tuple(
                    read_interval(self._doc, each, f"{path}.time_intervals[{number}]")
                    for number, each in enumerate(inner)
                )
        return found

    def _check_names(self, root: Route, receivers: Mapping[str, object], intervals: Mapping[str, object]) -> None:
        named = {str(one.value) for one in self._names("receivers")} | set(receivers)
        node = self._fields["route"]
        for route in root.walk():
            if route.receiver and route.receiver not in named:
                self._doc.fault(node, f'route {route.key}: there is no receiver "{route.receiver}" in `receivers`')
            for name in (*route.mute, *route.active):
                if name not in intervals:
                    self._doc.fault(node, f'route {route.key}: there is no time interval "{name}" in `time_intervals`')

    def _names(self, field: str) -> list[yaml.ScalarNode]:
        nodes = self._doc.items(self._fields.get(field), field)
        named = [node_at(node, "name") for node in nodes]
        return [node for node in named if isinstance(node, yaml.ScalarNode)]
