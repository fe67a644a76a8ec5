"""Files of rule unit tests -> UnitTestFile, or every fault of the file with its place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import yaml

from alerting.rehearse.model import AlertTest, ExpectedAlert, ExprTest, InputSeries, RuleTest, UnitTestFile
from alerting.rehearse.series import parse_series, parse_values
from alerting.rules.document import Document, Fields
from alerting.rules.files import BadRules, read_rule_text
from alerting.rules.state import ALERTNAME
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

_TOP = ("rule_files", "evaluation_interval", "fuzzy_compare", "group_eval_order", "tests")
_TEST = (
    *("interval", "name", "start_timestamp", "input_series", "alert_rule_test", "promql_expr_test"),
    *("external_labels", "external_url"),
)
_MINUTE_NS = 60_000_000_000


def read_tests(path: Path) -> UnitTestFile:
    """Raises BadRules with all faults of the file."""
    doc = Document(str(path), read_rule_text(path))
    read = _Reader(doc, path).file(doc.root) if doc.root is not None else None
    if doc.faults:
        raise BadRules(doc.faults)
    return read or UnitTestFile(str(path), (), _MINUTE_NS, False, (), ())


class _Reader:
    def __init__(self, doc: Document, path: Path) -> None:
        self._doc = doc
        self._path = path

    def file(self, root: yaml.Node) -> UnitTestFile:
        doc = self._doc
        fields = doc.mapping(root, "a file of rule tests", _TOP)
        interval_ns = doc.duration_ns(fields.get("evaluation_interval"), "evaluation_interval") or _MINUTE_NS
        order = [doc.text(node, "a name") for node in doc.items(fields.get("group_eval_order"), "group_eval_order")]
        for name in {name for name in order if order.count(name) > 1}:
            doc.fault(fields["group_eval_order"], f"group name repeated in evaluation order: {name}")
        globs = [doc.text(node, "a rule file") for node in doc.items(fields.get("rule_files"), "rule_files")]
        return UnitTestFile(
            str(self._path),
            tuple(str(self._path.parent / pattern) for pattern in globs),
            interval_ns,
            self._truth(fields.get("fuzzy_compare")),
            tuple(order),
            tuple(self._test(node, interval_ns) for node in doc.items(fields.get("tests"), "tests")),
        )

    def _test(self, node: yaml.Node, interval_ns: int) -> RuleTest:
        doc = self._doc
        fields = doc.mapping(node, "a test", _TEST)
        name = doc.text(fields.get("name"), "name")
        with doc.group(name):
            external = doc.texts(fields.get("external_labels"), "external_labels")
            return RuleTest(
                name,
                node.start_mark.line + 1,
                doc.duration_ns(fields.get("interval"), "interval") or interval_ns,
                self._time_ns(fields.get("start_timestamp")),
                tuple(self._series(each) for each in doc.items(fields.get("input_series"), "input_series")),
                tuple(self._alert(each) for each in doc.items(fields.get("alert_rule_test"), "alert_rule_test")),
                tuple(self._expr(each) for each in doc.items(fields.get("promql_expr_test"), "promql_expr_test")),
                {label: text for _, label, text in external},
                doc.text(fields.get("external_url"), "external_url"),
            )

    def _series(self, node: yaml.Node) -> InputSeries:
        doc = self._doc
        fields = doc.mapping(node, "an input series", ("series", "values"))
        labels = doc.checked(node, parse_series, doc.text(fields.get("series"), "series"))
        where = fields.get("values", node)
        values = doc.checked(where, parse_values, doc.text(fields.get("values"), "values"), "values: ")
        return InputSeries(labels or (), tuple(values or ()))

    def _alert(self, node: yaml.Node) -> AlertTest:
        doc = self._doc
        fields = doc.mapping(node, "an alert_rule_test", ("eval_time", "alertname", "exp_alerts"))
        name = doc.text(fields.get("alertname"), "alertname")
        if not name:
            doc.fault(node, "an item under alert_rule_test misses required attribute alertname")
        expected = [self._expected(each, name) for each in doc.items(fields.get("exp_alerts"), "exp_alerts")]
        return AlertTest(self._eval_ns(fields), name, tuple(expected), node.start_mark.line + 1)

    def _expected(self, node: yaml.Node, alertname: str) -> ExpectedAlert:
        fields = self._doc.mapping(node, "an expected alert", ("exp_labels", "exp_annotations"))
        labels = self._labels(fields, "exp_labels")
        return ExpectedAlert(
            tuple(sorted({**dict(labels), ALERTNAME: alertname}.items())), self._labels(fields, "exp_annotations")
        )

    def _labels(self, fields: Fields, what: str) -> Labels:
        return tuple((name, text) for _, name, text in self._doc.texts(fields.get(what), what))

    def _expr(self, node: yaml.Node) -> ExprTest:
        doc = self._doc
        fields = doc.mapping(node, "a promql_expr_test", ("expr", "eval_time", "exp_samples"))
        samples = [self._sample(each) for each in doc.items(fields.get("exp_samples"), "exp_samples")]
        return ExprTest(
            self._eval_ns(fields), doc.text(fields.get("expr"), "expr"), tuple(samples), node.start_mark.line + 1
        )

    def _sample(self, node: yaml.Node) -> tuple[Labels, float]:
        doc = self._doc
        fields = doc.mapping(node, "an expected sample", ("labels", "value", "histogram"))
        if "histogram" in fields:
            doc.fault(fields["histogram"], "native histograms are not supported")
        text = doc.text(fields.get("labels"), "labels")
        labels = doc.checked(fields.get("labels", node), parse_series, text, "labels: ") if text else ()
        value = doc.checked(
            fields.get("value", node), _number, doc.text(fields.get("value"), "value") or "0", "value: "
        )
        return labels or (), 0.0 if value is None else value

    def _eval_ns(self, fields: Fields) -> int:
        return self._doc.duration_ns(fields.get("eval_time"), "eval_time")

    def _truth(self, node: yaml.Node | None) -> bool:
        text = self._doc.text(node, "fuzzy_compare")
        if text not in ("", "true", "false"):
            self._doc.fault(node, "fuzzy_compare must be true or false")
        return text == "true"

    def _time_ns(self, node: yaml.Node | None) -> int:
        if node is None:
            return 0
        return self._doc.checked(node, _time_ns, self._doc.text(node, "start_timestamp"), "start_timestamp: ") or 0


def _number(text: str) -> float:
    try:
        return float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".nan", "nan").replace(".NaN", "nan"))
    except ValueError:
        raise Reject(f'"{text}" is not a number') from None


def _time_ns(text: str) -> int:
    """RFC 3339, or Unix seconds."""
    try:
        return round(float(text) * 1e9)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Reject(f'"{text}" is no time; expected RFC 3339 or Unix seconds') from None
    if moment.tzinfo is None:
        raise Reject(f'"{text}" has no time zone')
    return round(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000
