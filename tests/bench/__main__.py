"""`make bench`: every measurement, one table after the other. ARGS="--quick" for a few minutes' worth.

FLUENT_BIT= and VECTOR= (paths to binaries) put those peers into the same table.
"""

from __future__ import annotations

import subprocess
import sys

import click

FULL = (
    ("Peers, where their binaries are given", ["tests.bench.peers"]),
    ("The agent alone, file to acked", ["tests.bench.agent_throughput"]),
    ("Agent and collector, generated lines", ["tests.bench.pipeline_speed", "--size", "200MB"]),
    ("Agent and collector, real lines", ["tests.bench.pipeline_speed", "--size", "200MB", "--kind", "real"]),
    ("The store, 20 million generated lines", ["tests.bench.store_speed", "--lines", "20M"]),
    ("The store, real lines", ["tests.bench.store_speed", "--lines", "2M", "--kind", "real"]),
    ("Parsing, step by step", ["tests.bench.parse_speed"]),
    ("A sweep over 50 containers", ["tests.bench.sample_sweep"]),
    ("Reading a scrape", ["tests.bench.scrape_parse"]),
    ("The history of samples", ["tests.bench.history"]),
    ("Remote write, in", ["tests.bench.remote_write_speed"]),
    ("Remote write, out", ["tests.bench.remote_write_out_speed"]),
    ("Containers that live for a moment", ["tests.bench.short_lived"]),
    ("The idle agent among 50 containers", ["tests.bench.idle_agent"]),
    ("The agent among 50 busy containers", ["tests.bench.idle_agent", "--busy"]),
    ("Beside node_exporter", ["tests.bench.beside_node_exporter"]),
    ("Line written to found, to webhook", ["tests.bench.latency"]),
    ("Memory behind a backlog of 2 GB", ["tests.bench.backlog"]),
    ("Memory by the number of followed files", ["tests.bench.many_files"]),
    ("A start behind a large journal", ["tests.bench.recovery"]),
    ("PromQL, ours and Prometheus'", ["tests.bench.promql_speed"]),
    ("Rules", ["tests.bench.rules_speed"]),
)
QUICK = (
    ("Agent and collector, generated lines", ["tests.bench.pipeline_speed", "--size", "50MB", "--runs", "1"]),
    ("The store, generated lines", ["tests.bench.store_speed", "--lines", "500000"]),
    ("A sweep over 50 containers", ["tests.bench.sample_sweep"]),
)


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, one run each.")
def main(quick: bool) -> None:
    failed = 0
    for title, module in QUICK if quick else FULL:
        print(f"\n== {title}: python -m {' '.join(module)}", flush=True)
        failed += subprocess.run([sys.executable, "-m", *module], check=False).returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
