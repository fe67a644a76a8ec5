"""Prometheus' own test scripts: one case for each eval. `-s` shows the table."""

from __future__ import annotations

from functools import cache

import pytest

from collector.metrics.promql.faults import QueryError
from tests.collector.metrics.promql.runner import DURATION, INFO, NATIVE, check, may_need
from tests.collector.metrics.promql.script import FOLDER, Eval, evals

CASES = evals()
KNOWN = {NATIVE: 247, INFO: 0, DURATION: 0}
"""Evals that need what isn't there. More of them would be evals that have ceased to pass."""

if not CASES:
    pytest.skip(f"no promqltest scripts in {FOLDER}", allow_module_level=True)


@cache
def _failure(case: Eval) -> AssertionError | QueryError | None:
    """Each eval is run once for all tests."""
    try:
        check(case)
    except (AssertionError, QueryError) as failure:
        return failure
    return None


def outcome(case: Eval) -> str:
    """passed, failed, or what is missing for it."""
    return "passed" if _failure(case) is None else may_need(case) or "failed"


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_eval(case: Eval) -> None:
    failure = _failure(case)
    if failure is not None and (missing := may_need(case)) is not None:
        pytest.skip(f"needs {missing}")
    if failure is not None:
        raise failure


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """By file: passed, excluded by reason, failed; then the lines of what is excluded."""
    columns = ("passed", *KNOWN, "failed")
    counts = dict.fromkeys(columns, 0)
    excluded = []
    with capsys.disabled():
        print(f"\n{'promqltest':22}" + "".join(f"{column:>{len(column) + 3}}" for column in columns))
        for file in sorted({case.file for case in CASES}):
            cases = [(case, outcome(case)) for case in CASES if case.file == file]
            row = {column: sum(found == column for _, found in cases) for column in columns}
            print(f"{file:22}" + "".join(f"{row[column]:>{len(column) + 3}}" for column in columns))
            counts = {column: counts[column] + row[column] for column in columns}
            for reason in KNOWN:
                if lines := [str(case.line) for case, found in cases if found == reason]:
                    excluded.append(f"{file} needs {reason}: {', '.join(lines)}")
        print(f"{'all':22}" + "".join(f"{counts[column]:>{len(column) + 3}}" for column in columns))
        print("\n".join(excluded))
    assert counts["failed"] == 0
    assert {reason: counts[reason] for reason in KNOWN} == KNOWN
