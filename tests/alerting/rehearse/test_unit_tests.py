"""Rule unit tests: our verdict, and promtool's on the same files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from alerting.rehearse.series import parse_series, parse_values
from alerting.rehearse.unit_files import read_tests
from alerting.rehearse.unit_tests import run_tests
from alerting.rules.files import BadRules
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.source import STALE
from deckwatch.cli import run
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels
from tests.fixtures.promtool import promtool

RULES = """
groups:
- name: second
  rules:
  - {record: job:up:sum, expr: sum by (job) (up)}
  - alert: JobDown
    expr: job:up:sum == 0
    for: 2m
    keep_firing_for: 3m
    labels: {severity: page, cluster: '{{ $externalLabels.cluster }}'}
    annotations:
      summary: >-
        {{ $labels.job }} is down: {{ $value | humanize }} of
        {{ with query "count(up)" }}{{ . | first | value }}{{ end }} at {{ $externalURL }}
- name: first
  interval: 5m
  rules:
  - {record: total, expr: sum(up)}
  - {record: total:rate, expr: 'rate(total[5m])', labels: {kind: rate}}
  - {alert: Vanished, expr: 'absent(up{job="a"})'}
  - {alert: Active, expr: 'count(ALERTS{alertstate="firing", alertname="JobDown"}) > 0', labels: {alertname: ignored}}
- name: windows
  rules:
  - {alert: ManyErrors, expr: 'increase(errors_total[5m]) > 4', annotations: {n: '{{ printf "%.2f" $value }}'}}
  - {alert: Offset, expr: 'errors_total offset 3m > 0 unless errors_total < 5'}
  - {record: 'errors:avg', expr: 'avg_over_time(errors_total[10m:1m])'}
"""

GOOD = """
rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second, windows]
tests:
- name: down
  interval: 1m
  external_labels: {cluster: lab}
  external_url: http://prometheus:9090
  input_series:
  - {series: 'up{job="a", instance="x"}', values: '1 1 0x4 _x3 1 stale _ 1+0x3'}
  - {series: 'up{job="b"}', values: '1+0x20'}
  alert_rule_test:
  - {eval_time: 3m, alertname: JobDown}
  - eval_time: 4m
    alertname: JobDown
    exp_alerts:
    - exp_labels: {job: a, severity: page, cluster: lab}
      exp_annotations: {summary: 'a is down: 0 of 2 at http://prometheus:9090'}
  - eval_time: 4m30s
    alertname: JobDown
    exp_alerts:
    - exp_labels: {job: a, severity: page, cluster: lab}
      exp_annotations: {summary: 'a is down: 0 of 2 at http://prometheus:9090'}
  - {eval_time: 15m, alertname: JobDown}
  - {eval_time: 12m, alertname: Vanished, exp_alerts: [{exp_labels: {job: a}}]}
  - {eval_time: 9m, alertname: Vanished}
  - eval_time: 5m
    alertname: Active
    exp_alerts: [{exp_labels: {}}]
  promql_expr_test:
  - expr: job:up:sum
    eval_time: 3m
    exp_samples:
    - {labels: 'job:up:sum{job="a"}', value: 0}
    - {labels: '{__name__="job:up:sum", job="b"}', value: 1}
  - {expr: 'up{job="a"}', eval_time: 12m}
  - {expr: 'sum(up) * 2.5', eval_time: 0, exp_samples: [{labels: '{}', value: 5}]}
  - {expr: '5 > bool 3', eval_time: 1m, exp_samples: [{value: 1}]}
  - expr: ALERTS{alertname="JobDown"}
    eval_time: 3m
    exp_samples:
    - labels: ALERTS{alertname="JobDown", alertstate="pending", cluster="lab", job="a", severity="page"}
      value: 1
  - expr: ALERTS_FOR_STATE{alertname="JobDown"}
    eval_time: 5m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname="JobDown", cluster="lab", job="a", severity="page"}', value: 120}
- interval: 30s
  input_series:
  - {series: errors_total, values: '0+1x10 10+0x10'}
  alert_rule_test:
  - {eval_time: 3m, alertname: ManyErrors, exp_alerts: [{exp_annotations: {n: '6.00'}}]}
  - {eval_time: 1m, alertname: ManyErrors}
  - {eval_time: 5m, alertname: Offset, exp_alerts: [{}]}
  promql_expr_test:
  - {expr: 'errors:avg', eval_time: 5m, exp_samples: [{labels: 'errors:avg', value: 5}]}
  - {expr: 'errors_total', eval_time: 90s, exp_samples: [{labels: errors_total, value: 3}]}
  - {expr: 'timestamp(errors_total)', eval_time: 10m, exp_samples: [{labels: '{}', value: 600}]}
"""

BROKEN = {
    "another value": ("humanize", "humanize1024 }}{{ 1"),
    "an alert too early": ("for: 2m", "for: 1m"),
    "kept too long": ("keep_firing_for: 3m", "keep_firing_for: 30m"),
    "a label more": ("severity: page,", "severity: page, more: x,"),
    "another severity": ("severity: page,", "severity: info,"),
    "not absent any more": ('absent(up{job="a"})', 'absent(up{job="b"})'),
    "a limit": (
        "- name: windows\n",
        "- {name: limited, limit: 1, rules: [{alert: L, expr: up}]}\n- name: windows\n",
    ),
    "an error of the expression": ("sum(up)}", "'up * on (x) up'}"),
    "a bad template": ("$value | humanize }}", "$value | nope }}"),
    "no rule": ("alert: Offset", "alert: Other"),
    "another alert": ('alertname="JobDown"}) > 0', 'alertname="Vanished"}) > 0'),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "test.yml").write_text(GOOD)
    return tmp_path


def ours(folder: Path, settings: PromqlSettings = PromqlSettings()) -> list[str]:  # noqa: B008 - frozen
    return [one.problem for one in run_tests(read_tests(folder / "test.yml"), settings)]


def theirs(folder: Path) -> tuple[bool, str]:
    done = promtool("test", "rules", "test.yml", cwd=folder)
    return done.returncode == 0, (done.stdout + done.stderr).decode()


def test_a_good_file_passes_with_both(folder: Path) -> None:
    assert ours(folder) == []
    passed, said = theirs(folder)
    assert passed, said


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_fails_with_both(folder: Path, name: str) -> None:
    before, after = BROKEN[name]
    text = RULES.replace(before, after)
    assert text != RULES
    (folder / "rules.yml").write_text(text)
    try:
        failed = bool(ours(folder))
    except BadRules:
        failed = True
    passed, said = theirs(folder)
    assert (failed, not passed) == (True, True), said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value: 5}]}", "value: 5.0000001}]}"),
        ("exp_alerts: [{exp_labels: {job: a}}]", "exp_alerts: []"),
        ("{eval_time: 9m, alertname: Vanished}", "{eval_time: 11m, alertname: Vanished}"),
        ("{eval_time: 1m, alertname: ManyErrors}", "{eval_time: 4m, alertname: ManyErrors}"),
        ("values: '0+1x10 10+0x10'", "values: '0+2x5 10+0x15'"),
        ("value: 120", "value: 60"),
        ("{value: 1}", "{value: 0}"),
        ('job="b"}\', value: 1}', 'job="c"}\', value: 1}'),
        ("{eval_time: 3m, alertname: JobDown}", "{eval_time: 3m, alertname: JobDown, exp_alerts: [{}]}"),
    ],
)
def test_another_expectation_fails_with_both(folder: Path, before: str, after: str) -> None:
    text = GOOD.replace(before, after, 1)
    assert text != GOOD
    (folder / "test.yml").write_text(text)
    passed, said = theirs(folder)
    assert (bool(ours(folder)), not passed) == (True, True), said


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rule_file: [a]\n", 'unknown field "rule_file" in a file of rule tests'),
        ("tests: [{alert_rule_tests: []}]\n", 'unknown field "alert_rule_tests" in a test'),
        ("tests: [{alert_rule_test: [{eval_time: 1m}]}]\n", "misses required attribute alertname"),
        ("evaluation_interval: 1x\n", "not a duration"),
        ("tests: [{input_series: [{series: 'a{', values: '1'}]}]\n", 'test.yml:1:25: "a{" is no series'),
        ("tests: [{input_series: [{series: a, values: '1 x'}]}]\n", 'values: "x" is no value'),
        ("tests: [{input_series: [{series: a, values: '{{schema:1}}'}]}]\n", "native histograms are not supported"),
        ("group_eval_order: [a, b, a]\n", "group name repeated in evaluation order: a"),
    ],
)
def test_faults_of_a_test_file_have_places_and_promtool_refuses_it_too(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "test.yml").write_text(text)
    with pytest.raises(BadRules) as caught:
        read_tests(tmp_path / "test.yml")
    assert fault in str(caught.value)
    assert "test.yml:1:" in str(caught.value)
    if "schema" not in text and "evaluation_interval" not in text:
        assert not theirs(tmp_path)[0]


def test_what_newer_promtools_know(folder: Path) -> None:
    (folder / "rules.yml").write_text(
        "groups: [{name: g, rules: [{record: r, expr: 'v * 3'}, {record: t, expr: time()}]}]\n"
    )
    (folder / "test.yml").write_text(
        "rule_files: [rules.yml]\nfuzzy_compare: true\ntests:\n"
        "- interval: 1m\n  start_timestamp: 2026-01-01T00:00:00Z\n  input_series: [{series: v, values: 0.1}]\n"
        "  promql_expr_test: [{expr: r, eval_time: 0, exp_samples: [{labels: r, value: 0.3}]},"
        " {expr: t, eval_time: 1m, exp_samples: [{labels: t, value: 1767225660}]}]\n"
    )
    assert ours(folder) == []
    (folder / "test.yml").write_text((folder / "test.yml").read_text().replace("fuzzy_compare: true", ""))
    assert len(ours(folder)) == 1


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "test", str(folder / "test.yml")]) == 0
    assert run(["rules", "check", str(folder / "rules.yml")]) == 0
    assert "rules.yml: 9 rules found" in capsys.readouterr().out
    (folder / "test.yml").write_text(GOOD.replace("value: 120", "value: 60"))
    (folder / "bad.yml").write_text("groups: [{name: a, rules: [{alert: X, expr: up ==}, {record: r, expr: 'x('}]}]\n")
    assert run(["rules", "test", str(folder / "test.yml")]) == 1
    assert run(["rules", "check", str(folder / "bad.yml"), str(folder / "rules.yml")]) == 1
    said = capsys.readouterr()
    assert 'test "down": expr: "ALERTS_FOR_STATE' in said.err
    assert said.err.count("could not parse expression: 1:") == 2
    assert "9 rules found" in said.out


@pytest.mark.parametrize("command", ["check", "check-oncall"])
@pytest.mark.parametrize(
    ("name", "problem"), [("none*.yml", "no file matches this pattern"), ("", "is a folder; name the files in it")]
)
def test_a_check_of_nothing_does_not_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str, problem: str
) -> None:
    assert run(["rules", command, str(tmp_path / name)]) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("up", (("__name__", "up"),)),
        ("up{}", (("__name__", "up"),)),
        ("{}", ()),
        (' up { b="x" , a = \'y"\', } ', (("__name__", "up"), ("a", 'y"'), ("b", "x"))),
        ('{"my.name", `z`="1\\n"}', (("__name__", "my.name"), ("z", "1\n"))),
        ('up{empty=""}', (("__name__", "up"),)),
    ],
)
def test_series(text: str, labels: Labels) -> None:
    assert parse_series(text) == labels


NO_SERIES = ["", "1up", "up{", "up{a}", "up{a=1}", 'up{a="1"} x', 'up{a="1",a="2"}', 'up{a=~"1"}', 'up{a="\\q"}']


@pytest.mark.parametrize("text", NO_SERIES)
def test_what_is_no_series(text: str) -> None:
    with pytest.raises(Reject):
        parse_series(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("1 -2 .5 1e3 0x1", [1, -2, 0.5, 1000, 0, 0]),
        ("1x2", [1, 1, 1]),
        ("1+2x3 -1-1x1", [1, 3, 5, 7, -1, -2]),
        ("_ _x2 3", [None, None, None, 3]),
        ("Inf -Inf", [math.inf, -math.inf]),
    ],
)
def test_values(text: str, values: list[float | None]) -> None:
    assert parse_values(text) == values


def test_stale_and_nan() -> None:
    stale, nan = parse_values("stale NaN")
    assert stale is not None
    assert nan is not None
    import numpy as np

    assert np.array([stale]).view(np.uint64)[0] == STALE.view(np.uint64)
    assert math.isnan(nan)


@pytest.mark.parametrize("text", ["x", "1x", "1+x3", "1y2", "1,2", "_x", "stalex2", "1x99999999"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(Reject):
        parse_values(text)
