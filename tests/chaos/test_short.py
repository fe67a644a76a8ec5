"""The short version of `make chaos`: every row once, with few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.container import Moments, run_container
from tests.chaos.rows import ROWS, Row, run
from tests.fixtures.docker_engine import Engine


@pytest.mark.timeout(300)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_number_is_stored_exactly_once(row: Row, tmp_path: Path) -> None:
    result = run(row, tmp_path, lines=60_000, per_s=12_000, seed=1)
    assert result.balances, f"{result}: lost {result.lost[:10]}, repeated {result.repeated[:10]}"


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_each_number_of_a_real_container_is_stored_exactly_once(private_docker_engine: Engine, tmp_path: Path) -> None:
    # An engine of our own: other containers of the host would never let the pipeline come to rest.
    moments = Moments(agent=2, collector=2, max_size="1m", max_file=20)
    result, kills = run_container(private_docker_engine, tmp_path, lines=60_000, per_s=12_000, seed=7, moments=moments)
    assert kills == 4
    assert result.balances, f"{result}: lost {result.lost[:10]}, repeated {result.repeated[:10]}"
