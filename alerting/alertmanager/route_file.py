"""`route:` and `inhibit_rules:` of a configuration file."""

from __future__ import annotations

import yaml
from msgspec.structs import replace

from alerting.alertmanager.matcher_file import read_matchers
from alerting.notify.inhibition import InhibitRule
from alerting.notify.matchers import sorted_matchers
from alerting.notify.routes import Route, child_id, child_key
from alerting.rules.document import Document, Fields

ROOT = "{}"
_ROUTE = (
    *("receiver", "group_by", "match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"),
    *("continue", "routes", "group_wait", "group_interval", "repeat_interval"),
)
_INHIBIT = (
    *("name", "source_match", "source_match_re", "source_matchers"),
    *("target_match", "target_match_re", "target_matchers", "equal"),
)
ALL_LABELS = "..."


def read_root(doc: Document, node: yaml.Node) -> Route:
    """Its faults are noted in the document; what is right of it is there, so that its names can be looked up."""
    fields = doc.mapping(node, "route", _ROUTE)
    if not doc.text(fields.get("receiver"), "route.receiver"):
        doc.fault(node, "route: the root route must name a receiver")
    for field in ("match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"):
        if field in fields and fields[field].value:
            doc.fault(fields[field], f"route.{field}: the root route takes every alert; put it on a route below it")
    if _flag(doc, fields.get("continue"), "route.continue"):
        doc.fault(fields["continue"], "route.continue: nothing comes behind the root route; leave it out")
    return _filled(doc, fields, Route(ROOT, ROOT, ""), "route")


def read_inhibit_rule(doc: Document, node: yaml.Node, path: str) -> InhibitRule:
    fields = doc.mapping(node, path, _INHIBIT)
    return InhibitRule(
        read_matchers(doc, fields, path, "source_"),
        read_matchers(doc, fields, path, "target_"),
        tuple(doc.text(item, f"{path}.equal") for item in doc.items(fields.get("equal"), f"{path}.equal")),
        doc.text(fields.get("name"), f"{path}.name"),
    )


def _child(doc: Document, node: yaml.Node, parent: Route, place: int, path: str) -> Route:
    """It inherits all but matchers, time intervals and `continue`."""
    fields = doc.mapping(node, path, _ROUTE)
    matchers = sorted_matchers(read_matchers(doc, fields, path))
    base = Route(
        child_id(parent.id, matchers, place),
        child_key(parent.key, matchers),
        parent.receiver,
        matchers,
        parent.group_by,
        parent.group_by_all,
        parent.group_wait_ns,
        parent.group_interval_ns,
        parent.repeat_interval_ns,
        goes_on=_flag(doc, fields.get("continue"), f"{path}.continue"),
    )
    return _filled(doc, fields, base, path)


def _filled(doc: Document, fields: Fields, base: Route, path: str) -> Route:
    by, by_all = _group_by(doc, fields.get("group_by"), base, f"{path}.group_by")
    own = replace(
        base,
        receiver=doc.text(fields.get("receiver"), f"{path}.receiver") or base.receiver,
        group_by=by,
        group_by_all=by_all,
        group_wait_ns=doc.duration_ns(fields.get("group_wait"), f"{path}.group_wait", base.group_wait_ns),
        group_interval_ns=_interval_ns(doc, fields, "group_interval", base.group_interval_ns, path),
        repeat_interval_ns=_interval_ns(doc, fields, "repeat_interval", base.repeat_interval_ns, path),
        mute=_texts(doc, fields, "mute_time_intervals", path),
        active=_texts(doc, fields, "active_time_intervals", path),
    )
    nodes = doc.items(fields.get("routes"), f"{path}.routes")
    children = [_child(doc, node, own, place, f"{path}.routes[{place}]") for place, node in enumerate(nodes)]
    return replace(own, routes=tuple(children))


def _group_by(doc: Document, node: yaml.Node | None, base: Route, path: str) -> tuple[tuple[str, ...], bool]:
    names = [doc.text(item, path) for item in doc.items(node, path)]
    if not names:
        return base.group_by, base.group_by_all
    for name in names:
        if not name:
            doc.fault(node, f"{path}: a label name is empty")
    for name in sorted({name for name in names if names.count(name) > 1}):
        doc.fault(node, f'{path}: the label "{name}" stands twice')
    if ALL_LABELS in names:
        if len(names) > 1:
            doc.fault(node, f"{path}: '...' is all labels; name either it or single labels")
        return (), True
    return tuple(names), False


def _interval_ns(doc: Document, fields: Fields, field: str, default_ns: int, path: str) -> int:
    read_ns = doc.duration_ns(fields.get(field), f"{path}.{field}", default_ns)
    if read_ns == 0 and field in fields:
        doc.fault(fields[field], f"{path}.{field} can't be zero; give a duration such as 5m")
    return read_ns


def _texts(doc: Document, fields: Fields, field: str, path: str) -> tuple[str, ...]:
    at = f"{path}.{field}"
    return tuple(doc.text(item, at) for item in doc.items(fields.get(field), at))


def _flag(doc: Document, node: yaml.Node | None, path: str) -> bool:
    text = doc.text(node, path).lower()
    if text not in ("", "true", "yes", "on", "false", "no", "off"):
        doc.fault(node, f"{path} must be true or false")
    return text in ("true", "yes", "on")
