"""The short version of `make chaos`, first half: daemons that are killed, identities and clocks; a real container."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.chaos import rows_identity, rows_kill
from tests.chaos.account import account
from tests.chaos.container import Moments, run_container
from tests.chaos.daemons import Pair
from tests.chaos.row import Row
from tests.chaos.short import check_row, short
from tests.chaos.stored import by_api
from tests.chaos.writer import DockerWriter
from tests.fixtures.docker_engine import Engine


@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", short(rows_kill.ROWS, rows_identity.ROWS), ids=lambda row: row.name)
def test_each_number_is_stored_exactly_once(row: Row, tmp_path: Path) -> None:
    check_row(row, tmp_path)


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_each_number_of_a_real_container_is_stored_exactly_once(private_docker_engine: Engine, tmp_path: Path) -> None:
    # An engine of our own: other containers of the host would never let the pipeline come to rest.
    moments = Moments(agent=2, collector=2, max_size="1m", max_file=20)
    result, kills = run_container(private_docker_engine, tmp_path, lines=60_000, per_s=12_000, seed=7, moments=moments)
    assert kills == 4
    assert result.balances, f"{result}: lost {result.lost[:10]}, repeated {result.repeated[:10]}"


@pytest.mark.timeout(200)
def test_a_burst_that_rotates_faster_than_anybody_looks_leaves_nothing_half_read(tmp_path: Path) -> None:
    """What the engine deleted before it could be opened is gone; what was opened is read to its end, whatever became of
    its name, and the lag comes to rest."""
    log = tmp_path / "burst-json.log"
    writer = DockerWriter(log, max_bytes=20_000, max_files=3)
    pair = Pair(tmp_path, logs=[str(log)])
    try:
        pair.start()
        writer.write(50)
        pair.wait_drained()
        for _ in range(400):
            writer.write(100)
            time.sleep(0.002)
        writer.close()
        pair.wait_drained(timeout_s=60)
        result = account(writer.written, by_api(pair.collector.url))
    finally:
        pair.stop()
    assert result.repeated == ()
    assert result.stored > 50
    assert writer.written - 1 not in result.lost
