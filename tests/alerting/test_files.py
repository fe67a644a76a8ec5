"""Rule files: what they say when they are right, all that is wrong with them when not; and promtool's opinion."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.rules.files import BadRules, load_rules, rule_paths
from alerting.rules.model import AlertRule, RecordingRule, RuleSet
from tests.fixtures.promtool import promtool

MINUTE_NS = 60_000_000_000

GOOD = """
groups:
- name: containers
  interval: 15s
  limit: 10
  rules:
  - alert: MemoryHigh
    expr: container_memory_usage_bytes{name=~"web.*"} > 1e9
    for: 5m
    labels: {severity: warning, n: 5}
    annotations:
      summary: '{{ $labels.name }} uses {{ $value | humanize1024 }}B'
  - record: web_memory
    expr: container_memory_usage_bytes{name="web"}
    labels: {team: blue}
  - &errors
    alert: Errors
    expr: increase(log_errors_total[1m]) > 0
    for: 0s
  - <<: *errors
    alert: ErrorsAgain
- name: empty
  rules: []
- name: other
"""


def load(tmp_path: Path, *texts: str) -> RuleSet:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yml").write_text(text)
    return load_rules([str(tmp_path / "*.yml")], default_interval_ns=MINUTE_NS)


def faults(tmp_path: Path, *texts: str) -> list[str]:
    with pytest.raises(BadRules) as caught:
        load(tmp_path, *texts)
    return [str(fault).removeprefix(str(tmp_path) + "/") for fault in caught.value.faults]


def test_a_good_file(tmp_path: Path) -> None:
    rules = load(tmp_path, GOOD)
    first, empty, other = rules.groups
    assert (first.name, first.interval_ns, first.limit, first.tenant) == ("containers", MINUTE_NS // 4, 10, "default")
    assert (empty.rules, other.rules, other.interval_ns) == ((), (), MINUTE_NS)
    memory, record, errors, again = first.rules
    assert isinstance(memory, AlertRule)
    assert (memory.name, memory.for_ns) == ("MemoryHigh", 5 * MINUTE_NS)
    assert [(name, template.text) for name, template in memory.labels] == [("n", "5"), ("severity", "warning")]
    assert memory.text == 'container_memory_usage_bytes{name=~"web.*"} > 1e9'
    assert isinstance(record, RecordingRule)
    assert record.labels == (("team", "blue"),)
    assert isinstance(errors, AlertRule)
    assert isinstance(again, AlertRule)
    assert (again.name, again.text) == ("ErrorsAgain", errors.text)


def test_log_metrics_and_tenant(tmp_path: Path) -> None:
    text = """
tenant: blue
log_metrics:
- name: log_errors_total
  query: level:>=error
  by: [host, container, trace.id]
  help: Error lines.
- name: log_lines_total
  query: ""
  by: {name: container.name}
"""
    first, second = load(tmp_path, text).log_metrics
    assert first.by == (("host", "host.name"), ("container", "container.name"), ("trace_id", "trace.id"))
    assert (first.tenant, first.help) == ("blue", "Error lines.")
    assert second.by == (("name", "container.name"),)
    assert first.identity != second.identity


def test_only_the_first_document_counts_and_an_empty_file_is_fine(tmp_path: Path) -> None:
    assert load(tmp_path, "groups: []\n---\nnonsense: 1\n", "", "# nothing\n") == RuleSet()


def test_paths_of_globs(tmp_path: Path) -> None:
    (tmp_path / "a.yml").touch()
    (tmp_path / "b.yml").touch()
    assert rule_paths([f"{tmp_path}/*.yml", f"{tmp_path}/a.yml"]) == [tmp_path / "a.yml", tmp_path / "b.yml"]
    assert rule_paths([f"{tmp_path}/c*.yml"]) == []
    with pytest.raises(BadRules, match=r"gone\.yml: can't be read: No such file"):
        load_rules([f"{tmp_path}/gone.yml"], default_interval_ns=MINUTE_NS)


BAD_GROUPS = """
groups:
- name: a
  interval: 15x
  foo: 1
  rules:
  - alert: X
    expr: up ==
    for: 5
  - record: bad-name
    expr: up
    for: 1m
  - alert: Y
    record: z
    expr: up
  - expr: up
  - alert: NoExpr
- name: a
  limit: many
  rules:
  - alert: T
    expr: up == 1
    annotations:
      x: "{{ $labels.foo "
  - alert: L
    expr: nope(up)
    expr: up
    labels: {"b-ad": x, __name__: y}
- rules: nothing
"""


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    assert faults(tmp_path, BAD_GROUPS, "groups: {}\n", "a: [\n", "log_metrics: [{}]\n") == [
        '0.yml:5:3: unknown field "foo" in a group; known are name, interval, query_offset, limit, labels, rules',
        '0.yml:8:11: group "a", rule 1 "X": could not parse expression: 1:6: parse error: unexpected end of input',
        '0.yml:9:10: group "a", rule 1 "X": for: not a duration: "5"; expected a number and a unit'
        " (ms, s, m, h, d, w, y), such as 1h30m",
        '0.yml:12:10: group "a", rule 2 "bad-name": field "for" is illegal on a recording rule',
        '0.yml:10:5: group "a", rule 2 "bad-name": invalid recording rule name "bad-name"',
        '0.yml:13:5: group "a", rule 3 "Y": a rule needs either alert or record, not both',
        '0.yml:16:5: group "a", rule 4 "": a rule needs either alert or record',
        '0.yml:17:5: group "a", rule 5 "NoExpr": expr is missing',
        '0.yml:4:13: group "a": interval: not a duration: "15x"; expected a number and a unit'
        " (ms, s, m, h, d, w, y), such as 1h30m",
        '0.yml:18:3: the group name "a" is repeated in the same file',
        '0.yml:24:10: group "a", rule 1 "T": "x" in annotations: unclosed action at character 1',
        '0.yml:27:5: group "a": field "expr" stands twice in a rule',
        '0.yml:26:11: group "a", rule 2 "L": could not parse expression: 1:1: parse error:'
        ' unknown function with name "nope"',
        '0.yml:28:35: group "a", rule 2 "L": invalid name "__name__" in labels',
        '0.yml:28:22: group "a", rule 2 "L": invalid name "b-ad" in labels',
        '0.yml:19:10: group "a": limit must be a whole number',
        "0.yml:29:3: a group needs a name",
        "0.yml:29:10: rules must be a list",
        "1.yml:1:9: groups must be a list",
        "2.yml:2:1: not valid YAML: expected the node content, but found '<stream end>'",
        '3.yml:1:15: log metric "": invalid metric name ""',
        '3.yml:1:15: log metric "": query is missing ("" counts every line)',
    ]


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ("{name: errors, query: a}", '"errors" is a counter: its name must end in _total'),
        ("{name: container_cpu_usage_seconds_total, query: a}", "is the name of another metric already"),
        ("{name: a_total, query: 'a:('}", "could not parse query"),
        ("{name: a_total, query: a, kind: gauge}", 'kind must be "counter"'),
        ("{name: a_total, query: a, by: [host, host.name]}", 'the label "host" stands twice in by'),
        ("{name: a_total, query: a, by: [overflow]}", '"overflow" can\'t be the label'),
        ("{name: a_total, query: a, by: [message]}", "message has a value of its own in each record"),
        ("{name: a_total, query: a, by: {x-y: host}}", '"x-y" can\'t be the label of host.name'),
        ("{name: a_total, query: a, by: [a,b,c,d,e,f,g,h,i]}", "by has 9 fields; at most 8 are taken"),
        ("{name: a_total, query: a, group: b}", 'unknown field "group" in a log metric'),
    ],
)
def test_faults_of_log_metrics(tmp_path: Path, metric: str, problem: str) -> None:
    found = faults(tmp_path, f"log_metrics: [{metric}]\n")
    assert any(problem in fault for fault in found), found


def test_a_log_metric_has_one_definition(tmp_path: Path) -> None:
    one = "log_metrics: [{name: a_total, query: a}]\n"
    assert "defined 2 times" in faults(tmp_path, one, one)[0]
    load(tmp_path / "", one, "tenant: blue\n" + one)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRules, match="can't be read: 'utf-8' codec"):
        load_rules([str(tmp_path / "x.yml")], default_interval_ns=MINUTE_NS)


def rule(text: str) -> str:
    return f"groups:\n- name: a\n  rules:\n  - {text}\n"


AGREED = [
    GOOD,
    "",
    "groups:\n",
    "groups: []\n",
    rule("{alert: A, expr: up == 0, labels: {a: '{{ $labels.job }}'}}"),
    rule("{alert: A, expr: 1, annotations: {b: 5, c: true, d: null}}"),
    rule("{alert: A, expr: up, foo: 1}"),
    rule("{alert: A, expr: 'up ='}"),
    rule("{alert: A}"),
    rule("{alert: A, expr: up, for: 5}"),
    rule("{alert: A, expr: up, for: 1h30m}"),
    rule("{alert: A, expr: up, labels: {a: '{{ nope }}'}}"),
    rule("{alert: A, expr: up, annotations: {a: '{{ $nope }}'}}"),
    rule("{alert: A, expr: up, annotations: {a: '{{ if $value }}x'}}"),
    rule("{alert: A, expr: up, annotations: {a: '{{ range query \"up\" }}{{ . }}{{ end }}'}}"),
    rule("{alert: A, record: b, expr: up}"),
    rule("{record: a:b, expr: up, labels: {x: '{{'}}"),
    rule("{record: a-b, expr: up}"),
    rule("{record: ab, expr: up, annotations: {a: b}}"),
    rule("{record: ab, expr: up, keep_firing_for: 5m}"),
    rule("{alert: A, expr: 'up{a=~\"(\"}'}"),
    rule("{alert: A, expr: '{a=~\".*\"}'}"),
    rule("{alert: A, expr: 'rate(up)'}"),
    rule("{alert: A, expr: '1 == 1'}"),
    rule("{alert: A, expr: 'rate(up[5m]) > bool 5'}"),
    rule("{alert: A, expr: 'up', labels: {__name__: a}}"),
    rule("{alert: A, expr: 'up', labels: {a-b: a}}"),
    "groups:\n- name: a\n- name: a\n",
    "groups:\n- name: ''\n",
    "groups:\n- interval: 5m\n",
    "groups:\n- name: a\n  limit: x\n",
    "other: 1\n",
    "groups: {a: b}\n",
    "- a\n",
    "a: [\n",
    "groups:\n- name: a\n  rules: [{alert: A, expr: up}]\n---\nnonsense: 1\n",
]


@pytest.mark.parametrize("text", AGREED)
def test_promtool_agrees(tmp_path: Path, text: str) -> None:
    """On whether the file can be used; the words are each one's own."""
    (tmp_path / "rules.yml").write_text(text)
    theirs = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    try:
        load_rules([str(tmp_path / "rules.yml")], default_interval_ns=MINUTE_NS)
        ours = ""
    except BadRules as error:
        ours = str(error)
    assert (ours == "") == (theirs.returncode == 0), f"ours: {ours}\ntheirs: {(theirs.stdout + theirs.stderr).decode()}"
