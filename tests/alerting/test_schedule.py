from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alerting.rules.schedule import next_slot, slot_offset_s
from tests.alerting.test_app import Desk


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 15.0, 60.0, 3600.0])
@pytest.mark.parametrize("now_s", [0.0, 1_700_000_000.25, 1_700_000_059.999])
def test_a_slot_is_in_the_next_interval_and_always_at_the_same_offset(interval_s: float, now_s: float) -> None:
    offset_s = slot_offset_s("default;a.yml;g", interval_s)
    slot = next_slot(offset_s, interval_s, now_s).timestamp()
    assert 0 < slot - now_s <= interval_s + 1e-6
    later = next_slot(offset_s, interval_s, now_s + 10 * interval_s).timestamp()
    assert later - slot == pytest.approx(10 * interval_s, abs=1e-3)


def test_slots_of_groups_differ() -> None:
    offsets = {slot_offset_s(f"default;a.yml;g{number}", 60) for number in range(50)}
    assert len(offsets) == 50
    assert max(offsets) - min(offsets) > 30
    assert all(0 <= offset < 60 for offset in offsets)


TWO = """
log_metrics:
- {name: a_total, query: a}
- {name: b_total, query: b}
groups:
- {name: on-a, interval: 1h, rules: [{alert: A, expr: "increase(a_total[1m]) > 0"}]}
- {name: on-b, interval: 1h, rules: [{alert: B, expr: "b_total{x='y'} > 0"}]}
- {name: any, interval: 1h, rules: [{alert: C, expr: "{__name__=~'.*_total'} > 5"}]}
- {name: fast, interval: 200ms, rules: [{alert: D, expr: up}]}
"""


async def test_only_groups_that_name_a_metric_are_evaluated_on_arrival(tmp_path: Path) -> None:
    from tests.alerting.record_frames import Line, record_frame

    desk = Desk(tmp_path, None, TWO)
    groups = {run.group.name: run for run in desk.alerting._evaluator.groups.values()}
    assert [name for name, run in groups.items() if run.asks_for({"a_total"})] == ["on-a", "any"]
    async with desk.open():
        desk.alerting.consumers().consume(record_frame(0, [Line("a a")]))
        await asyncio.sleep(0.7)
        assert groups["on-a"].evaluated_ns > 0
        assert groups["any"].evaluated_ns > 0
        assert groups["on-b"].evaluated_ns == 0
        first_ns = groups["fast"].evaluated_ns
        assert first_ns > 0
        await asyncio.sleep(0.5)
        assert groups["fast"].evaluated_ns > first_ns


async def test_a_busy_stretch_is_evaluated_at_most_once_in_the_gap(tmp_path: Path) -> None:
    from tests.alerting.record_frames import Line, record_frame

    desk = Desk(tmp_path, None, TWO, arrival_gap_s=0.3)
    async with desk.open():
        for seq in range(40):
            desk.alerting.consumers().consume(record_frame(seq, [Line("b")]))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.4)
        count = desk.registry.get_sample_value("deckwatch_alerting_rule_evaluations_total", {"outcome": "ok"})
    assert count is not None
    by_interval = 0.8 / 0.2 + 3
    assert count <= 2 * (0.8 / 0.3 + 2) + by_interval + 4


async def test_missed_slots_are_counted(tmp_path: Path) -> None:
    import time

    desk = Desk(tmp_path, None, "groups: [{name: g, interval: 100ms, rules: [{alert: A, expr: up}]}]\n")
    async with desk.open():
        await asyncio.sleep(0.3)
        time.sleep(1.5)  # noqa: ASYNC251 - the loop is held up: that is the point
        await asyncio.sleep(0.3)
        missed = desk.registry.get_sample_value("deckwatch_alerting_group_slots_missed_total")
    assert missed is not None
    assert 13 <= missed <= 16
