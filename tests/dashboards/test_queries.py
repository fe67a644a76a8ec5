"""Every query of every panel, as Grafana asks it, over a collector that real containers' agents fill.

A query must give data. Two tables name those that rightly don't, each with its reason: what this machine or engine
doesn't have at all (then there must be no series under that name), and panels that show only trouble which there
isn't.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.metrics.promql.ast import VectorSelector, walk
from collector.metrics.promql.parser import parse
from tests.bench.latency import Receiver
from tests.chaos.daemons import Pair
from tests.dashboards.written import Asked, all_written, queries, variables
from tests.fixtures.docker_engine import Engine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

CHOSEN = {"container": "shop-web", "workload": "web", "namespace": "shop"}
GIVEN = {"__rate_interval": "1m", "__interval": "15s", "__range": "5m"}
"""A minute: four times the 15 s at which the daemons tell of themselves, as Grafana reckons."""

NOT_HERE = {
    "container_network": "the engine of the tests gives containers no network of their own",
    "workload_network": "the engine of the tests gives containers no network of their own",
    "workload_fs": "the kernel counted no I/O for these cgroups (its blkio files say 0, or there are none)",
    "container_fs": "the kernel counted no I/O for these cgroups (its blkio files say 0, or there are none)",
    "container_memory_kernel_usage": "the kernel doesn't tell it under this cgroup version",
    "container_memory_swap": "no swap accounting in this kernel",
    "container_pressure": "the kernel has no PSI of cgroups",
    "node_pressure": "the kernel has no PSI",
    "node_nf_conntrack": "connection tracking isn't loaded",
    "container_volume_size": "the engine has no volumes",
    "container_build_cache": "the engine tells of no build cache",
    "node_disk": "no disk that the kernel counts for (a container's own)",
}
"""Beginning of a metric's name -> why there may be no series of it on a machine."""

QUIET: dict[tuple[str, ...], str] = {
    ("deckwatch-host", "File systems", "E"): "when they will be full: they may be getting emptier",
    ("deckwatch-host", "Swap used"): "no swap space",
    ("deckwatch-host", "mark Boots"): "nobody boots the machine while it is tested",
    ("deckwatch-itself", "Looks that failed or were late"): "none did",
    ("deckwatch-fleet", "Sick hosts and their symptoms"): "the host may be well",
}

SAY = "n=0; while :; do echo INFO request $n; echo x >/tmp/x; n=$((n+1)); sleep 0.2; done"
RULES = {
    "groups": [{"name": "test", "interval": "5s", "rules": [{"alert": "Always", "expr": "vector(1)", "labels": {}}]}]
}


class Filled:
    """A collector with its agent's samples, and what a panel would ask of it."""

    def __init__(self, pair: Pair, host: str) -> None:
        self._pair = pair
        self.values = {**GIVEN, **CHOSEN, "host": host}

    def ask(self, path: str, **query: str) -> Any:
        try:
            return json.loads(self._pair.collector.get(f"{path}?{urllib.parse.urlencode(query)}"))
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def result(self, asked: Asked, *, since_s: float = 60.0, step_s: float = 5.0) -> list[dict[str, Any]]:
        now = time.time()
        expr = asked.filled(self.values)
        times = {"start": f"{now - since_s:.3f}", "end": f"{now:.3f}", "step": str(step_s)}
        answer = self.ask("/api/v1/query_range", query=expr, **times)
        assert answer["status"] == "success", (asked.where, expr, answer)
        assert not answer.get("warnings"), (asked.where, expr, answer["warnings"])
        rows: list[dict[str, Any]] = answer["data"]["result"]
        return rows

    def has(self, metric: str) -> bool:
        """Of the workload that is looked at: others may come and go on this machine meanwhile."""
        scope = f'{{workload="{CHOSEN["workload"]}"}}' if metric.startswith("workload_") else ""
        return bool(self.ask("/api/v1/query", query=f"count({metric}{scope})")["data"]["result"])

    def may_be_empty(self, asked: Asked) -> bool:
        if (asked.uid, asked.title) in QUIET or (asked.uid, asked.title, asked.ref) in QUIET:
            return True
        names = {node.name for node in walk(parse(asked.filled(self.values)).expr) if isinstance(node, VectorSelector)}
        return any(name.startswith(beginning) and not self.has(name) for name in names for beginning in NOT_HERE)

    def stir(self) -> None:
        """Somebody searches, and somebody sends what isn't a batch."""
        self._pair.collector.get("/api/v1/logs", query="request", limit="5")
        request = urllib.request.Request(f"{self._pair.collector.url}/api/v1/ingest", data=b"no batch")
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30)


@pytest.fixture(scope="module")
def filled(private_docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    engine, folder = private_docker_engine, tmp_path_factory.mktemp("filled")
    run_containers(engine)
    receiver = Receiver()
    log = folder / "plain.log"
    log.write_text("".join(f"line {n}\n" for n in range(1000)))
    pair = Pair(
        folder,
        docker=True,
        logs=[str(log)],
        agent=["--config", str(config(folder, engine))],
        collector=["--rules", str(rules(folder)), "--webhook", receiver.url],
    )
    pair.start()
    try:
        wait_for_line(pair, "line 999")
        pair.agent.stop()
        lose_lines(log)
        pair.agent.start()
        made = Filled(pair, "")
        made.values["host"] = host_of(made)
        yield made
    finally:
        pair.stop()
        receiver.shutdown()
        receiver.server_close()


def run_containers(engine: Engine) -> None:
    limits = {"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 100}
    for service in ("web", "db"):
        labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": service}
        engine.run(f"shop-{service}", SAY, labels=labels, host_config=limits)
    engine.run("failed", "exit 3")


def config(folder: Path, engine: Engine) -> Path:
    docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
    sample = {"interval_s": 2, "process_interval_s": 4, "unit_interval_s": 4}
    agent = {"discover": {"docker": docker}, "sample": sample, "own_metrics": {"interval_s": 5}}
    path = folder / "deckwatch.yml"
    path.write_text(yaml.safe_dump({"agent": agent}))
    return path


def rules(folder: Path) -> Path:
    path = folder / "rules.yml"
    path.write_text(yaml.safe_dump(RULES))
    return path


def wait_for_line(pair: Pair, line: str) -> None:
    deadline = time.monotonic() + 240  # a fresh checkout compiles the parser's kernels first
    while not pair.collector.get("/api/v1/logs", query=f'"{line}"'):
        assert time.monotonic() < deadline, pair.agent.printed()
        time.sleep(0.2)


def lose_lines(log: Path) -> None:
    """Cut while nobody reads: a declared gap."""
    with log.open("ab") as appended:
        appended.write(b"nobody will read this\n" * 1000)
    log.write_text("another beginning\n")


def host_of(made: Filled) -> str:
    deadline = time.monotonic() + 60
    while not (found := made.ask("/api/v1/label/host/values")["data"]):
        assert time.monotonic() < deadline, "no sample came"
        time.sleep(0.2)
    return str(found[0])


def test_every_query_gives_data(filled: Filled, private_docker_engine: Engine) -> None:
    """Asked again until it does: what the daemons tell of themselves takes a while, rates take two samples."""
    left = [asked for board in all_written() for asked in queries(board)]
    deadline = time.monotonic() + 180
    restarted = False
    while True:
        left = [asked for asked in left if not filled.result(asked)]
        if not any(not filled.may_be_empty(asked) for asked in left):
            return
        assert time.monotonic() < deadline, "\n".join(
            f"{asked.where}: {asked.filled(filled.values)}" for asked in left if not filled.may_be_empty(asked)
        )
        filled.stir()
        if not restarted:
            restart(private_docker_engine, "shop-web")
            restarted = True
        time.sleep(5)


def restart(engine: Engine, name: str) -> None:
    engine.api.post(f"/containers/{name}/restart?t=1")


def test_the_sick_one_is_on_top(filled: Filled) -> None:
    (asked,) = (
        asked
        for board in all_written()
        for asked in queries(board)
        if (asked.uid, asked.title) == ("deckwatch-fleet", "Sick containers and their symptoms")
    )
    rows = filled.result(asked)
    found = {(row["metric"]["name"], row["metric"]["symptom"]) for row in rows}
    assert ("failed", "ended with a failure") in found
    assert not {symptom for name, symptom in found if name == "shop-db"} & {"restarted", "unhealthy", "OOM-killed"}


@pytest.mark.parametrize("board", all_written(), ids=lambda board: str(board["uid"]))
def test_variables_offer_what_is_there(filled: Filled, board: dict[str, Any]) -> None:
    for name, variable in variables(board).items():
        if variable["type"] != "query":
            continue
        asked = Asked(board["uid"], name, "values", variable["query"]["query"])
        selector, _, label = (
            asked.filled(filled.values).removeprefix("label_values(").removesuffix(")").rpartition(", ")
        )
        answer = filled.ask(f"/api/v1/label/{label}/values", **{"match[]": selector})
        assert filled.values[name] in answer["data"], (name, selector, answer)
