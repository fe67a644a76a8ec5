"""Rule files -> RuleSet, or every fault of every file.

`groups:` is Prometheus' format, unchanged (prometheus/model/rulefmt). Two top-level keys are ours: `log_metrics:`, and
`tenant:` for a file that speaks about another tenant than `default`.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from alerting.rules.document import Document, Fields
from alerting.rules.log_metric_files import LOG_METRIC_FIELDS, read_log_metric
from alerting.rules.model import AlertRule, LogMetric, RecordingRule, Rule, RuleFault, RuleGroup, RuleSet, Templates
from alerting.rules.template import Template
from collector.metrics.promql.parser import Query, parse
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import DEFAULT_TENANT

MAX_FILE_BYTES = 8 << 20
_TOP = ("groups", "log_metrics", "tenant")
_GROUP = ("name", "interval", "query_offset", "limit", "labels", "rules")
_RULE = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")

Texts = list[tuple[yaml.Node, str, str]]
"""(where, name, text)"""

_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

__all__ = ["LOG_METRIC_FIELDS", "BadRules", "load_rules", "rule_paths"]


class BadRules(Reject):
    """Nothing of the files is used. Its text has one fault a line."""

    def __init__(self, faults: Iterable[RuleFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def rule_paths(globs: Iterable[str]) -> list[Path]:
    """Files that the globs name, sorted. A name without wildcards is listed whether it is there or not."""
    found: set[Path] = set()
    for pattern in globs:
        names = glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207 - absolute and ** patterns alike
        found.update(path for path in map(Path, names) if not path.is_dir())
    return sorted(found)


def load_rules(globs: Iterable[str], *, default_interval_ns: int, experimental: bool = False) -> RuleSet:
    """Raises BadRules with all faults of all files. `experimental`: allow PromQL's experimental functions."""
    groups: list[RuleGroup] = []
    metrics: list[LogMetric] = []
    faults: list[RuleFault] = []
    for path in rule_paths(globs):
        reader = _FileReader(path, default_interval_ns, experimental)
        groups.extend(reader.groups)
        metrics.extend(reader.metrics)
        faults.extend(reader.faults)
    for (tenant, name), times in Counter((metric.tenant, metric.name) for metric in metrics).items():
        if times > 1:
            faults.append(RuleFault("log_metrics", f'"{name}" is defined {times} times (tenant {tenant})'))
    if faults:
        raise BadRules(faults)
    return RuleSet(tuple(groups), tuple(metrics))


def read_rule_text(path: Path) -> str:
    """Raises BadRules."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRules([RuleFault(str(path), f"can't be read: {reason}")]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise BadRules([RuleFault(str(path), f"larger than {MAX_FILE_BYTES} bytes")])
    return text


class _FileReader:
    def __init__(self, path: Path, default_interval_ns: int, experimental: bool) -> None:
        self._path = path
        self._experimental = experimental
        self._default_interval_ns = default_interval_ns
        self.groups: list[RuleGroup] = []
        self.metrics: list[LogMetric] = []
        self.faults: list[RuleFault] = []
        try:
            self._doc = Document(str(path), read_rule_text(path))
        except BadRules as bad:
            self.faults.extend(bad.faults)
            return
        if self._doc.root is not None:
            self._file(self._doc.root)
        self.faults.extend(self._doc.faults)

    def _file(self, root: yaml.Node) -> None:
        fields = self._doc.mapping(root, "a rule file", _TOP)
        tenant = self._doc.text(fields.get("tenant"), "tenant") or DEFAULT_TENANT
        names: set[str] = set()
        for node in self._doc.items(fields.get("groups"), "groups"):
            self._read_group(node, names, tenant)
        for node in self._doc.items(fields.get("log_metrics"), "log_metrics"):
            metric = read_log_metric(self._doc, node, tenant)
            if metric is not None:
                self.metrics.append(metric)

    def _read_group(self, node: yaml.Node, names: set[str], tenant: str) -> None:
        doc = self._doc
        fields = doc.mapping(node, "a group", _GROUP)
        name = doc.text(fields.get("name"), "name")
        if not name:
            doc.fault(node, "a group needs a name")
        elif name in names:
            doc.fault(node, f'the group name "{name}" is repeated in the same file')
        names.add(name)
        with doc.group(name):
            labels = self._labels(fields, "labels of the group")
            rules = [
                self._rule(rule, number, labels)
                for number, rule in enumerate(doc.items(fields.get("rules"), "rules"), start=1)
            ]
            interval_ns = doc.duration_ns(fields.get("interval"), "interval") or self._default_interval_ns
            limit = doc.integer(fields.get("limit"), "limit")
            offset_ns = doc.duration_ns(fields.get("query_offset"), "query_offset")
        known = tuple(rule for rule in rules if rule is not None)
        self.groups.append(RuleGroup(str(self._path), name, interval_ns, known, tenant, offset_ns, limit))

    def _rule(self, node: yaml.Node, number: int, group_labels: Texts) -> Rule | None:
        doc = self._doc
        fields = doc.mapping(node, "a rule", _RULE)
        alert = doc.text(fields.get("alert"), "alert")
        record = doc.text(fields.get("record"), "record")
        with doc.rule(f'rule {number} "{alert or record}"'):
            if bool(alert) == bool(record):
                doc.fault(node, "a rule needs either alert or record" + (", not both" if alert else ""))
                return None
            text = doc.text(fields.get("expr"), "expr")
            expression = None
            if not text:
                doc.fault(node, "expr is missing")
            else:
                expression = doc.checked(fields["expr"], self._parse, text, "could not parse expression: ")
            labels = _merged(group_labels, self._labels(fields, "labels"))
            if record:
                self._check_record(fields, node, record)
                static = tuple((name, value) for _, name, value in labels)
                return None if expression is None else RecordingRule(record, text, expression, static)
            for_ns = doc.duration_ns(fields.get("for"), "for")
            keep_ns = doc.duration_ns(fields.get("keep_firing_for"), "keep_firing_for")
            annotations = self._templates(self._texts(fields, "annotations", "annotations"), "annotations")
            templates = self._templates(labels, "labels")
            if expression is None:
                return None
            return AlertRule(alert, text, expression, for_ns, keep_ns, templates, annotations)

    def _parse(self, text: str) -> Query:
        return parse(text, experimental=self._experimental)

    def _check_record(self, fields: Fields, node: yaml.Node, name: str) -> None:
        for field in ("for", "keep_firing_for", "annotations"):
            if field in fields:
                self._doc.fault(fields[field], f'field "{field}" is illegal on a recording rule')
        if not _METRIC_NAME.fullmatch(name):
            self._doc.fault(node, f'invalid recording rule name "{name}"')

    def _labels(self, fields: Fields, what: str) -> Texts:
        return self._texts(fields, "labels", what)

    def _texts(self, fields: Fields, field: str, what: str) -> Texts:
        texts = self._doc.texts(fields.get(field), what)
        for node, name, _ in texts:
            if not _LABEL_NAME.fullmatch(name) or (field == "labels" and name == "__name__"):
                self._doc.fault(node, f'invalid name "{name}" in {what}')
        return texts

    def _templates(self, texts: Texts, what: str) -> Templates:
        read = [(name, self._doc.checked(node, Template, text, f'"{name}" in {what}: ')) for node, name, text in texts]
        return tuple((name, template) for name, template in read if template is not None)


def _merged(of_group: Texts, of_rule: Texts) -> Texts:
    """Sorted by name; the rule's own win."""
    merged = {name: (node, name, text) for node, name, text in (*of_group, *of_rule)}
    return [merged[name] for name in sorted(merged)]
