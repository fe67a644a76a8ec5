"""The quick start on a real engine: three containers write, and their lines, figures and alerts are found."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench.latency import Receiver
from tests.fixtures.docker_engine import Engine
from tests.fixtures.promtool import check_metrics, unexpected

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

RULES = """
log_metrics:
  - {name: payment_errors_total, query: 'level:error AND "payment failed"', by: [container]}
groups:
  - name: shop
    interval: 2s
    rules:
      - {alert: PaymentErrors, expr: 'increase(payment_errors_total[1m]) > 0'}
      - {alert: MemoryUsed, expr: 'container_memory_usage_bytes{name="shop-web"} > 1000', for: 2s}
"""
COMMAND = "n=0; while :; do echo INFO request $n; echo ERROR payment failed for $n >&2; n=$((n+1)); sleep 0.2; done"
NAMES = ("shop-web", "shop-api", "shop-db")


class Up:
    def __init__(self, folder: Path, engine: Engine, webhook: str) -> None:
        docker = {"socket": str(engine.socket), "containers_dir": str(engine.containers_dir)}
        config = {"agent": {"discover": {"docker": docker}, "sample": {"interval_s": 2}}}
        (folder / "deckwatch.yml").write_text(yaml.safe_dump(config))
        (folder / "rules.yml").write_text(RULES)
        self._folder = folder
        self._out = (folder / "out").open("wb")
        options = ["--config", folder / "deckwatch.yml", "--rules", folder / "rules.yml", "--webhook", webhook]
        self.process = subprocess.Popen(
            self._command("up", "--data-dir", folder / "data", "--listen", "127.0.0.1:0", *options),
            stdout=self._out,
            stderr=self._out,
        )

    def _command(self, *words: object) -> list[str]:
        return [sys.executable, "-P", "-m", "deckwatch.cli", *map(str, words)]

    @property
    def printed(self) -> str:
        return (self._folder / "out").read_text()

    @property
    def address(self) -> str:
        return (self._folder / "data/address").read_text().strip()

    def ask(self, *words: object) -> str:
        done = subprocess.run(
            self._command(*words, "--collector", self.address), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def records(self, *words: object) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ask("logs", "--json", "--since", "15m", *words).splitlines()]

    def metrics(self) -> bytes:
        done = subprocess.run(["curl", "-sf", f"{self.address}/metrics"], capture_output=True, check=True, timeout=30)
        return done.stdout

    def stop(self) -> str:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
        self._out.close()
        return self.printed


def until(condition: Callable[[], object], what: str, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {limit_s} s"
        time.sleep(0.2)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.shutdown()
    made.server_close()


def test_lines_figures_and_alerts(private_docker_engine: Engine, receiver: Receiver, tmp_path: Path) -> None:
    engine = private_docker_engine
    ids = {
        name: engine.run(
            name, COMMAND, labels={"app": name, "secret": "not on the list"}, host_config={"Memory": 1 << 26}
        )
        for name in NAMES
    }
    up = Up(tmp_path, engine, receiver.url)
    try:
        until(lambda: "curl http" in up.printed, "start")
        assert "3 running" in up.printed
        until(lambda: len(up.records("payment", "--limit", "0")) > 30, "lines")
        for name, ident in ids.items():
            record = up.records("level:error", "--container", name, "--limit", "1")[0]
            assert (record["container.name"], record["container.id"]) == (name, ident)
            assert record["container.image.name"] == engine.image
            assert record["container.labels.app"] == name
            assert "container.labels.secret" not in record
            assert (record["log.level"], record["log.iostream"]) == ("error", "stderr")
            assert record["message"].startswith("ERROR payment failed for ")

        until(lambda: up.metrics().count(b"container_memory_usage_bytes{") >= 3, "samples")
        assert unexpected(check_metrics(up.metrics())) == []
        table = up.ask("top", "--once")
        assert all(re.search(rf"^{name} .*/ 64\.0MiB.* running", table, re.MULTILINE) for name in NAMES), table

        until(lambda: len({name for _, status, name in receiver.told if status == "firing"}) == 2, "both alerts")
        assert {name for _, _, name in receiver.told} == {"PaymentErrors", "MemoryUsed"}
    finally:
        printed = up.stop()
        for ident in ids.values():
            engine.rm(ident)
    assert "drained" in printed
    assert up.process.returncode == 0
