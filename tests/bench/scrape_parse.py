"""What reading a scrape costs: our series table, first and later answers, beside prometheus_client's parser.

python -m tests.bench.scrape_parse [--rounds 20] [FILE]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
from prometheus_client.parser import text_string_to_metric_families

from agent.scrape.table import SeriesRules, SeriesTable

NODE = Path(__file__).parents[1] / "recordings" / "node_exporter-1.5.0.prom"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=NODE)
@click.option("--rounds", default=20, show_default=True)
def main(file: Path, rounds: int) -> None:
    body = file.read_bytes()
    samples = table().read(body, openmetrics=False, room=lambda size: True).scraped
    kept = table()
    print(f"{file.name}: {samples} samples, {len(body)} bytes; microseconds of CPU a sample:")
    theirs = cost(rounds, samples, lambda: list(text_string_to_metric_families(body.decode())))
    first = cost(rounds, samples, lambda: table().read(body, openmetrics=False, room=lambda size: True))
    later = cost(rounds, samples, lambda: kept.read(body, openmetrics=False, room=lambda size: True))
    print(f"  prometheus_client's parser     {theirs:6.2f}")
    print(f"  ours, a target's first answer  {first:6.2f}   {theirs / first:.1f} times as fast")
    print(f"  ours, each later answer        {later:6.2f}   {theirs / later:.1f} times as fast")


def table() -> SeriesTable:
    return SeriesTable({"job": "node", "instance": "localhost:9100"}, {}, SeriesRules())


def cost(rounds: int, samples: int, work: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - begun) / rounds / samples * 1e6


if __name__ == "__main__":
    main()
