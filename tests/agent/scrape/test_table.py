"""What a target's series are over several answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest

from agent.scrape.table import Count, LimitReached, SeriesRules, SeriesTable, merge_labels
from agent.series_frame import BLOCK_COLUMNS
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.relabel_settings import RelabelSettings

NO_LIMITS = SeriesRules()
TARGET = {"job": "j", "instance": "i:1"}


def table(
    rules: SeriesRules = NO_LIMITS, *, soft: dict[str, str] | None = None, relabelling: Sequence[object] = ()
) -> SeriesTable:
    made = tuple(msgspec.convert(rule, RelabelSettings).rule() for rule in relabelling)
    return SeriesTable(TARGET, soft or {}, msgspec.structs.replace(rules, relabelling=made))


def read(table: SeriesTable, text: str, most: int = 1000) -> Count:
    return table.read(text.encode(), openmetrics=False, room=lambda size: size <= most)


def series(table: SeriesTable) -> dict[str, float]:
    """`name{a="x"}` -> value of what the last answer had."""
    columns = [column for block in table.columns() for column in block]
    values = [value for block in table.values() for value in block]
    return {
        column.name + "".join(f" {name}={value}" for name, value in column.labels): value
        for column, value in zip(columns, values, strict=True)
        if not math.isnan(value)
    }


def test_series_come_and_go() -> None:
    one = table()
    assert read(one, "a 1\nb 2\n") == Count(2, 2, 2)
    assert read(one, "a 3\nc 4\n") == Count(2, 2, 1)
    assert series(one) == {"a": 3, "c": 4}
    assert read(one, "b 5\nc 6\n") == Count(2, 2, 1)
    assert series(one) == {"b": 5, "c": 6}


def test_times_behind_values_change_nothing() -> None:
    one = table()
    assert read(one, 'a{x="1"} 1 1395066363000\nb 2 5\n') == Count(2, 2, 2)
    assert read(one, 'a{x="1"} 3 1395066364000\nb 4\n') == Count(2, 2, 0)
    assert series(one) == {"a x=1": 3, "b": 4}
    with pytest.raises(Reject, match="line 1: 'x' is no number"):
        read(one, 'a{x="1"} x 1395066364000\n')


def test_the_first_of_two_alike_counts() -> None:
    one = table()
    assert read(one, 'a{x="1",y="2"} 1\na{y="2",x="1"} 7\n') == Count(2, 2, 1, 1)
    assert series(one) == {"a x=1 y=2": 1}


@pytest.mark.parametrize(
    ("own", "honor", "want"),
    [
        ({"x": "1"}, False, {**TARGET, "x": "1"}),
        ({"job": "own"}, False, {**TARGET, "exported_job": "own"}),
        ({"job": "own"}, True, {**TARGET, "job": "own"}),
        ({"job": "own", "exported_job": "e"}, False, {**TARGET, "exported_job": "e", "exported_exported_job": "own"}),
        ({"job": ""}, False, TARGET),
        ({"job": ""}, True, {"instance": "i:1"}),
    ],
)
def test_whose_label_counts(own: dict[str, str], honor: bool, want: dict[str, str]) -> None:
    assert merge_labels(own, TARGET, TARGET, honor=honor) == want


def test_identity_gives_way_to_the_series_own() -> None:
    one = table(soft={"name": "web-1"})
    read(one, 'a{name="pool"} 1\nb 2\n')
    assert series(one) == {"a name=pool": 1, "b": 2}


def test_a_label_of_the_target_that_relabelling_drops_is_taken_away() -> None:
    one = table(relabelling=[{"regex": "instance", "action": "labeldrop"}])
    read(one, "a 1\n")
    assert series(one) == {"a instance=": 1}


def test_metric_relabelling() -> None:
    drop = {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"}
    rename = {"source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1"}
    one = table(relabelling=[drop, rename])
    assert read(one, "go_x 1\nold_y 2\nz 3\n") == Count(3, 2, 2)
    assert series(one) == {"new_y": 2, "z": 3}
    assert read(one, "go_x 1\nold_y 2\nz 3\n") == Count(3, 2, 0)


@pytest.mark.parametrize(
    ("rules", "text", "says"),
    [
        (SeriesRules(sample_limit=2), "a 1\nb 1\nc 1\n", "3 samples are more than sample_limit 2"),
        (SeriesRules(label_limit=4), 'a{x="1",y="2"} 1\n', "a has 5 labels, more than label_limit 4"),
        (SeriesRules(label_name_length_limit=8), 'a{toolonglabel="1"} 1\n', "label_name_length_limit"),
        (SeriesRules(label_value_length_limit=4), 'a{x="12345"} 1\n', "the value of label x is longer"),
    ],
)
def test_limits(rules: SeriesRules, text: str, says: str) -> None:
    one = table(rules)
    with pytest.raises(LimitReached, match=says):
        read(one, text)
    assert series(one) == {}
    one.tidy()
    assert len(one) == 0


def test_samples_that_relabelling_drops_count_for_no_limit() -> None:
    one = table(
        SeriesRules(sample_limit=1), relabelling=[{"source_labels": ["__name__"], "regex": "b", "action": "drop"}]
    )
    assert read(one, "a 1\nb 1\n").kept == 1


def test_room_for_series_ends() -> None:
    one = table()
    with pytest.raises(LimitReached, match="max_series"):
        read(one, "a 1\nb 1\nc 1\n", most=2)
    one.tidy()
    read(one, "d 1\ne 1\n", most=2)  # what filled it before is let go
    assert series(one) == {"d": 1, "e": 1}


def test_a_bad_answer_leaves_nothing_of_itself() -> None:
    one = table()
    read(one, "a 1\n")
    with pytest.raises(Reject, match="line 2"):
        read(one, "a 2\nb x\n")
    assert series(one) == {}
    read(one, "a 3\n")
    assert series(one) == {"a": 3}


def test_names_that_are_new_each_time_do_not_pile_up() -> None:
    one = table()
    for number in range(100):
        read(one, "".join(f'a{{n="{number}-{each}"}} 1\n' for each in range(50)))
        one.tidy()
    assert len(one) < 700


def test_texts_that_relabelling_drops_do_not_pile_up() -> None:
    one = table(relabelling=[{"source_labels": ["n"], "regex": ".+", "action": "drop"}])
    for number in range(100):
        read(one, "".join(f'a{{n="{number}-{each}"}} 1\n' for each in range(50)))
        one.tidy()
    assert len(one._places) < 1500


def test_full_blocks_stay_the_same_when_series_come() -> None:
    one = table()
    read(one, "".join(f"m{n} 1\n" for n in range(BLOCK_COLUMNS + 5)))
    before = one.columns()
    read(one, "".join(f"m{n} 1\n" for n in range(BLOCK_COLUMNS + 9)))
    after = one.columns()
    assert after[0] is before[0]
    assert [len(block) for block in after] == [BLOCK_COLUMNS, 9]
    assert [len(block) for block in one.values()] == [BLOCK_COLUMNS, 9]
