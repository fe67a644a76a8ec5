"""`python -m tests.chaos`: numbered lines are written while the daemons are killed; the store is then counted.

make chaos ARGS="--lines 1000000 --seeds 3"
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from tests.chaos.rows import ROWS, run


@click.command()
@click.option("--lines", default=1_000_000, show_default=True, help="Numbered lines in each row.")
@click.option("--per-s", default=40_000.0, show_default=True, help="Lines written a second.")
@click.option("--seeds", default=1, show_default=True, help="Runs of each row, with other moments.")
@click.option("--row", "chosen", default="", help="Only rows whose name holds this text.")
def main(lines: int, per_s: float, seeds: int, chosen: str) -> None:
    print(f"{'row':34}{'seed':>5}{'sent':>10}{'stored':>10}{'lost':>7}{'repeated':>10}{'seconds':>9}")
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


if __name__ == "__main__":
    main()
