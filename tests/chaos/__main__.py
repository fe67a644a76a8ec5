"""`python -m tests.chaos`: numbered lines are written while harm is done; the store is then counted.

make chaos ARGS="--lines 1000000 --seeds 3 --markdown table.md"
make chaos ARGS="--row 'kill -9' --lines 100000"
FLUENT_BIT=/opt/fluent-bit/bin/fluent-bit make chaos      # the same rows with it, in the same table
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos.container import Moments, run_container
from tests.chaos.peer import PEER, run_peer
from tests.chaos.row import Outcome, Row, run
from tests.chaos.rows import ROWS
from tests.chaos.table import heading, line, markdown
from tests.fixtures.docker_engine import engine_of_our_own


@click.command()
@click.option("--lines", default=1_000_000, show_default=True, help="Numbered lines in each row.")
@click.option("--per-s", default=40_000.0, show_default=True, help="Lines written a second.")
@click.option("--seeds", default=1, show_default=True, help="Runs of each row, with other moments.")
@click.option("--first-seed", default=0, show_default=True, help="Seed of the first run.")
@click.option("--row", "chosen", default="", help="Only rows whose name holds this text.")
@click.option("--short", is_flag=True, help="Only the rows that `make test` runs too.")
@click.option("--markdown", "target", type=click.Path(path_type=Path), help="Write the table to this file, too.")
@click.option("--keep", is_flag=True, help="Keep the folder of a run that went wrong.")
@click.option("--docker", is_flag=True, help="Only the row with a real container of a real engine.")
def main(
    lines: int,
    per_s: float,
    seeds: int,
    first_seed: int,
    chosen: str,
    short: bool,
    target: Path | None,
    keep: bool,
    docker: bool,
) -> None:
    """Exit status 1 where a line was lost or repeated, a gap not declared, or a row could not come to rest."""
    print(heading())
    outcomes: list[Outcome] = []
    peer = os.environ.get("FLUENT_BIT", "")
    rows = [row for row in ROWS if chosen in row.name and (row.in_short or not short)]
    if not rows and not docker:
        raise click.UsageError(f"no row's name holds {chosen!r}; there are: {', '.join(row.name for row in ROWS)}")
    if docker:
        outcomes += _container_row(lines, per_s, seeds)
    for row in rows if not docker else ():
        for seed in range(first_seed, first_seed + seeds):
            outcomes.append(_run(row, lines, per_s, seed, keep))
            print(line(outcomes[-1]), flush=True)
            if peer and row.peers:
                outcomes.append(_run_peer(row, peer, lines, per_s, seed, keep))
                print(line(outcomes[-1]), flush=True)
            if target:
                target.write_text(markdown(outcomes))
    ours = [outcome for outcome in outcomes if not outcome.row.startswith(PEER)]
    bad = [outcome for outcome in ours if not outcome.good]
    print(f"{len(ours)} runs, {len(bad)} of them bad")
    sys.exit(1 if bad else 0)


def _run(row: Row, lines: int, per_s: float, seed: int, keep: bool) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="deckwatch-chaos-"))
    outcome = run(row, folder, lines=lines, per_s=per_s, seed=seed)
    return _tidied(folder, outcome, keep)


def _run_peer(row: Row, binary: str, lines: int, per_s: float, seed: int, keep: bool) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="deckwatch-chaos-"))
    return _tidied(folder, run_peer(row, folder, binary, lines=lines, per_s=per_s, seed=seed), keep)


def _tidied(folder: Path, outcome: Outcome, keep: bool) -> Outcome:
    if keep and not outcome.good:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def _container_row(lines: int, per_s: float, seeds: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with engine_of_our_own() as engine, tempfile.TemporaryDirectory(prefix="deckwatch-chaos-") as name:
        for seed in range(seeds):
            folder = Path(name) / str(seed)
            folder.mkdir()
            started = time.monotonic()
            moments = Moments(agent=5, collector=5)
            found, kills = run_container(engine, folder, lines=lines, per_s=per_s, seed=seed, moments=moments)
            outcomes.append(
                Outcome(
                    f"real container, {kills} x kill -9",
                    seed,
                    sent=found.sent,
                    stored=found.stored,
                    lost=found.lost,
                    repeated=found.repeated,
                    seconds=time.monotonic() - started,
                )
            )
            print(line(outcomes[-1]), flush=True)
    return outcomes


if __name__ == "__main__":
    main()
