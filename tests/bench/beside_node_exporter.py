"""Agent and collector beside node_exporter on one host with busy containers: what of both is equal, by collector.

python -m tests.bench.beside_node_exporter [--containers 50] [--write]

Our figures are those of the collector's /metrics, the whole way from the agent's look; of each of them the scrapes of
node_exporter just before and just after are known, by both sides' node_time_seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
import yaml

from tests.bench.idle_agent import BUSY
from tests.chaos.daemons import Pair
from tests.fixtures import beside
from tests.fixtures.docker_engine import Engine, engine_of_our_own
from tests.fixtures.node_exporter import Key, NodeExporter, Scrape, node_exporter, parse

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
BEGIN = "<!-- beside: written by `python -m tests.bench.beside_node_exporter --write` -->\n"
END = "<!-- beside ends -->\n"


@click.command()
@click.option("--containers", default=50, show_default=True)
@click.option("--write", is_flag=True, help="Put the table into docs/metrics.md.")
def main(containers: int, write: bool) -> None:
    with ExitStack() as stack:
        engine = stack.enter_context(engine_of_our_own())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deckwatch-bench-")))
        exporter = stack.enter_context(node_exporter(folder / "node_exporter.log"))
        for number in range(containers):
            engine.run(f"busy-{number}", BUSY, labels={"app": "busy"})
        pair = started(engine, folder)
        stack.callback(pair.stop)
        found = beside.compare(*moment(pair, exporter))
    text = document(found, containers)
    print(text)
    if write:
        told = DOCUMENT.read_text()
        DOCUMENT.write_text(told[: told.index(BEGIN) + len(BEGIN)] + text + told[told.index(END) :])


def started(engine: Engine, folder: Path) -> Pair:
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    (folder / "deckwatch.yml").write_text(yaml.safe_dump({"agent": {"discover": {"docker": docker}}}))
    pair = Pair(folder, docker=True, agent=["--config", str(folder / "deckwatch.yml")])
    pair.start()
    return pair


def ours(pair: Pair) -> dict[Key, float]:
    """Of the host, without the labels that the collector adds."""
    series = parse(pair.collector.get("/metrics")).values
    return {
        (name, tuple(label for label in labels if label[0] != "host")): value
        for (name, labels), value in series.items()
    }


def moment(pair: Pair, exporter: NodeExporter, sweeps: int = 6) -> tuple[dict[Key, float], Scrape, Scrape]:
    """A sweep of ours, after some others, and what node_exporter said just before and just after it."""
    seen: set[float] = set()
    scrapes: list[Scrape] = []
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        scrapes.append(exporter.scrape())
        mine = ours(pair)
        seen.add(at_s := mine.get(("node_time_seconds", ()), 0.0))
        before = [scrape for scrape in scrapes if scrape.at_s <= at_s]
        after = [scrape for scrape in scrapes if scrape.at_s >= at_s]
        if len(seen) > sweeps and before and after and after[0].at_s - before[-1].at_s < 3:
            return mine, before[-1], after[0]
        time.sleep(0.5)
    raise TimeoutError("no sweep came between two scrapes of node_exporter")


def document(found: beside.Beside, containers: int) -> str:
    counters = [one for one in found.differences if one.counter]
    outside = [one.name for one in counters if one.parts > beside.TOLERANCE]
    over = sorted(set(outside))
    return "\n".join(
        [
            f"One host, {os.cpu_count()} CPUs, {containers} busy containers, node_exporter 1.5 (Debian) with its own "
            "defaults: our figures from the collector's `/metrics` between two scrapes of it, half a second to three "
            "seconds apart. *worst of them*: by how much a counter lies outside of the two.",
            "",
            *beside.table(found),
            "",
            f"{len(counters)} counters compared, {len(counters) - len(outside)} "
            f"within 1 %{': not ' + ', '.join(over) if over else ''}; {len(found.types)} types differ.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
