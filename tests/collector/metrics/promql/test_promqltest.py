"""Prometheus' own test scripts: one case for each eval. `-s` shows the table."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from tests.collector.metrics.promql.runner import DURATION, INFO, NATIVE, check, excluded
from tests.collector.metrics.promql.script import FOLDER, Eval, evals

CASES = evals()
EXCLUDED = {case.name: reason for case in CASES if (reason := excluded(case)) is not None}

if not CASES:
    pytest.skip(f"no promqltest scripts in {FOLDER}", allow_module_level=True)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.skip(reason=EXCLUDED[case.name])] if case.name in EXCLUDED else [],
        )
        for case in CASES
    ],
)
def test_eval(case: Eval) -> None:
    failure = _failure(case)
    if failure is not None:
        raise failure


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """By file: passed, excluded by reason, failed."""
    table: dict[str, Counter[str]] = {}
    for case in CASES:
        table.setdefault(case.file, Counter())[_outcome(case)] += 1
    columns = ("passed", NATIVE, INFO, DURATION, "failed")
    with capsys.disabled():
        print(f"\n{'promqltest':24}" + "".join(f"{column:>22}" for column in columns))
        for file, counts in table.items():
            print(f"{file:24}" + "".join(f"{counts[column]:>22}" for column in columns))
        total = sum(table.values(), Counter())
        print(f"{'all':24}" + "".join(f"{total[column]:>22}" for column in columns))
    assert total["failed"] == 0


def _outcome(case: Eval) -> str:
    if case.name in EXCLUDED:
        return EXCLUDED[case.name]
    return "passed" if _failure(case) is None else "failed"


@cache
def _failure(case: Eval) -> AssertionError | None:
    """Each eval is run once for both tests."""
    try:
        check(case)
    except AssertionError as failure:
        return failure
    return None
