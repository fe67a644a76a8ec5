"""The example of the documentation is a good rule file, to us and to promtool."""

from __future__ import annotations

import re
from pathlib import Path

from alerting.rules.files import load_rules
from tests.fixtures.promtool import promtool

DOCS = Path(__file__).parents[2] / "docs" / "alerting.md"


def test_the_example_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "rules.yml").write_text(example)
    rules = load_rules([str(tmp_path / "rules.yml")], default_interval_ns=60_000_000_000)
    assert [metric.name for metric in rules.log_metrics] == ["log_errors_total"]
    assert [len(group.rules) for group in rules.groups] == [1, 1]
    (tmp_path / "prometheus.yml").write_text(example[example.index("groups:") :])
    assert promtool("check", "rules", "prometheus.yml", cwd=tmp_path).returncode == 0
