"""`python -m tests.chaos`: numbered lines are written while the daemons are killed; the store is then counted.

make chaos ARGS="--lines 1000000 --seeds 3"
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos.container import Moments, run_container
from tests.chaos.rows import ROWS, run
from tests.fixtures.docker_engine import engine_of_our_own


@click.command()
@click.option("--lines", default=1_000_000, show_default=True, help="Numbered lines in each row.")
@click.option("--per-s", default=40_000.0, show_default=True, help="Lines written a second.")
@click.option("--seeds", default=1, show_default=True, help="Runs of each row, with other moments.")
@click.option("--row", "chosen", default="", help="Only rows whose name holds this text.")
@click.option("--docker", is_flag=True, help="Only the row with a real container of a real engine.")
def main(lines: int, per_s: float, seeds: int, chosen: str, docker: bool) -> None:
    print(f"{'row':34}{'seed':>5}{'sent':>10}{'stored':>10}{'lost':>7}{'repeated':>10}{'seconds':>9}")
    if docker:
        sys.exit(_container_row(lines, per_s, seeds))
    bad = 0
    for row in ROWS:
        for seed in range(seeds) if chosen in row.name else ():
            started = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="deckwatch-chaos-") as folder:
                result = run(row, Path(folder), lines=lines, per_s=per_s, seed=seed)
            bad += not result.balances
            figures = f"{result.sent:10}{result.stored:10}{len(result.lost):7}{len(result.repeated):10}"
            print(f"{row.name:34}{seed:5}{figures}{time.monotonic() - started:9.1f}", flush=True)
            if not result.balances:
                print(f"    lost {result.lost[:5]}... repeated {result.repeated[:5]}...")
    sys.exit(1 if bad else 0)


def _container_row(lines: int, per_s: float, seeds: int) -> int:
    bad = 0
    with engine_of_our_own() as engine, tempfile.TemporaryDirectory(prefix="deckwatch-chaos-") as name:
        for seed in range(seeds):
            folder = Path(name) / str(seed)
            folder.mkdir()
            started = time.monotonic()
            result, kills = run_container(
                engine, folder, lines=lines, per_s=per_s, seed=seed, moments=Moments(agent=5, collector=5)
            )
            bad += not result.balances
            figures = f"{result.sent:10}{result.stored:10}{len(result.lost):7}{len(result.repeated):10}"
            print(f"{f'container, {kills} x kill -9':34}{seed:5}{figures}{time.monotonic() - started:9.1f}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    main()
