"""The `log_metrics:` of a rule file.

log_metrics:
  - name: log_errors_total          # a counter: ends in _total
    query: level:>=error            # a query string, as in a search
    by: [host, container]           # fields, or {label: field}; one series for each set of values
    help: Error lines.
"""

from __future__ import annotations

import re

import yaml

from alerting.rules.document import Document
from alerting.rules.model import LogMetric
from collector.search.fields import SHORT_NAMES, Kind, full_name, kind_of
from collector.search.language import parse
from deckwatch.wire.metrics_catalogue import CATALOGUE

LOG_METRIC_FIELDS = ("name", "query", "by", "help", "kind")
MAX_LABELS = 8
COUNTABLE = (Kind.ORIGIN, Kind.LEVEL, Kind.IOSTREAM, Kind.BODY)

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LABEL_OF_FIELD = {field: short for short, field in SHORT_NAMES.items()}
OVERFLOW_LABEL = "overflow"


def label_of(field: str) -> str:
    """The label that a field gets where the file names none: its short name, else its own with _ for what can't stand
    in a label."""
    return _LABEL_OF_FIELD.get(field) or re.sub(r"[^a-zA-Z0-9_]", "_", field)


def read_log_metric(doc: Document, node: yaml.Node, tenant: str) -> LogMetric | None:
    """None after a fault."""
    before = len(doc.faults)
    fields = doc.mapping(node, "a log metric", LOG_METRIC_FIELDS)
    name = doc.text(fields.get("name"), "name")
    with doc.rule(f'log metric "{name}"'):
        _check_name(doc, fields.get("name") or node, name)
        if doc.text(fields.get("kind"), "kind") not in ("", "counter"):
            doc.fault(fields["kind"], 'kind must be "counter": other kinds are not supported in this version yet')
        query = doc.text(fields.get("query"), "query")
        if "query" not in fields:
            doc.fault(node, 'query is missing ("" counts every line)')
        else:
            doc.checked(fields["query"], parse, query, "could not parse query: ")
        by = _by(doc, fields.get("by"))
    if len(doc.faults) > before:
        return None
    return LogMetric(name, query, by, doc.text(fields.get("help"), "help"), tenant)


def _check_name(doc: Document, node: yaml.Node, name: str) -> None:
    if not _NAME.fullmatch(name):
        doc.fault(node, f'invalid metric name "{name}"')
    elif not name.endswith("_total"):
        doc.fault(node, f'"{name}" is a counter: its name must end in _total')
    elif name in CATALOGUE or name.startswith("deckwatch_"):
        doc.fault(node, f'"{name}" is the name of another metric already')


def _by(doc: Document, node: yaml.Node | None) -> tuple[tuple[str, str], ...]:
    if isinstance(node, yaml.MappingNode):
        pairs = [(where, label, full_name(field)) for where, label, field in doc.texts(node, "by")]
    else:
        items = [(item, full_name(doc.text(item, "a field of by"))) for item in doc.items(node, "by")]
        pairs = [(where, label_of(field), field) for where, field in items]
    seen: set[str] = set()
    for where, label, field in pairs:
        if not field:
            doc.fault(where, "a field of by is empty")
        elif kind_of(field) not in COUNTABLE:
            doc.fault(where, f"{field} has a value of its own in each record: nothing can be counted by it")
        elif not _LABEL.fullmatch(label) or label in (OVERFLOW_LABEL, "__name__"):
            doc.fault(where, f'"{label}" can\'t be the label of {field}; name another one: by: {{label: {field}}}')
        elif label in seen:
            doc.fault(where, f'the label "{label}" stands twice in by')
        seen.add(label)
    if len(pairs) > MAX_LABELS and node is not None:
        doc.fault(node, f"by has {len(pairs)} fields; at most {MAX_LABELS} are taken")
    return tuple((label, field) for _, label, field in pairs)
