"""What a selector takes is remembered; series that come later are found all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.metrics.promql.parser import parse_selector
from collector.metrics.tsdb.tenant import Tenant
from deckwatch.wire.model import Column, Samples, Target


@pytest.mark.parametrize(
    ("selector", "want"),
    [("m", [1, 2, 3]), ('m{late=""}', [1, 2, 2]), ('m{late="x"}', [0, 0, 1]), ('m{name=~"[ac]"}', [1, 1, 2])],
)
def test_series_that_come_later_are_found(tmp_path: Path, selector: str, want: list[int]) -> None:
    tenant = Tenant(tmp_path)
    found = []
    for second, labels in enumerate([(("name", "a"),), (("name", "b"),), (("late", "x"), ("name", "c"))]):
        target = Target(labels, 0, b"\0" * 8)
        tenant.take("h", Samples(f"s{second}", second * 1_000_000_000, "default", ((Column("m"),),), (target,)))
        selection = tenant.select(parse_selector(selector), 0, 10_000)
        assert list(selection.labels) == sorted(set(selection.labels))
        found.append(len(selection.labels))
    assert found == want


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.metrics.tsdb.tenant._KEPT_SERIES", 5)
    tenant = Tenant(tmp_path)
    targets = tuple(Target((("name", str(number)),), 0, b"\0" * 8) for number in range(4))
    tenant.take("h", Samples("s", 0, "default", ((Column("m"),),), targets))
    for name in ("m", 'm{name=~".+"}', 'm{name!="9"}'):
        assert len(tenant.select(parse_selector(name), 0, 10).labels) == 4
    assert len(tenant._matches) == 1
