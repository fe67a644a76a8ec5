"""The same rows with Fluent Bit in the agent's place, where its binary is given: FLUENT_BIT=path make chaos.

It is set up to lose as little as it can, by its documentation: positions in a database, file system buffers, retries
without end. What it sends goes to a sink that keeps it durably before it answers.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.account import account
from tests.chaos.daemons import Daemon, free_port
from tests.chaos.proxy import Fault, FaultyProxy
from tests.chaos.row import Outcome, Row
from tests.chaos.sink import RECEIVED
from tests.chaos.stage import CannotRun, Stage
from tests.chaos.stored import numbers_in

PEER = "Fluent Bit: "
SINK = Path(__file__).with_name("sink.py")
QUIET_S = 8.0
"""Longer than its first retries wait."""


class Peer(Daemon):
    """Says nothing of itself: it is ready as long as it runs."""

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.printed()}")


class PeerStage(Stage):
    """A stage whose agent is the peer and whose collector is the sink."""

    def __init__(
        self, folder: Path, binary: str, *, lines: int, per_s: float, seed: int, quiet_s: float = QUIET_S
    ) -> None:
        super().__init__(folder, lines=lines, per_s=per_s, seed=seed)
        self._binary = binary
        self._quiet_s = quiet_s

    @property
    def collector(self) -> Daemon:
        return self._sink

    def build(self, *, globs: Sequence[str] = (), faults: Sequence[Fault] = (), chance: float = 0.3, **_: Any) -> None:
        self.data_dir.mkdir()
        self.state_dir.mkdir()
        port = target = free_port()
        command = [sys.executable, "-P", str(SINK), str(self.data_dir), str(port)]
        self._sink = Daemon("sink", self.folder, [], self.data_dir / "address", command=command)
        if faults:
            self.proxy = FaultyProxy(port, faults, chance=chance, rng=self.rng)
            self.proxy.start()
            self.ending.callback(self.proxy.stop)
            target = int(self.proxy.url.rpartition(":")[2])
        words = fluent_bit(self._binary, globs or [str(self.logs / "*.log")], self.state_dir, target)
        self.agents = [Peer("peer", self.folder, [], self.state_dir / "address", command=words)]
        self.ending.callback(self.collector.stop)
        self.ending.callback(self.agent.stop)

    def wait_drained(self, timeout_s: float = 180.0) -> None:
        """Until nothing more has come for a while: nobody can ask it."""
        received, deadline = self.data_dir / RECEIVED, time.monotonic() + timeout_s
        size, since = -1, time.monotonic()
        while time.monotonic() - since < self._quiet_s:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the peer still sends after {timeout_s} s")
            if (now := received.stat().st_size) != size:
                size, since = now, time.monotonic()
            time.sleep(0.1)

    def wait_acked(self, timeout_s: float = 180.0) -> None:
        self.wait_drained(timeout_s)

    def retry_dead_letters(self) -> None:
        """Who receives from a peer keeps none."""


def fluent_bit(binary: str, globs: Sequence[str], folder: Path, port: int) -> list[str]:
    tail = {
        "path": ",".join(globs),
        "db": folder / "positions.db",
        "db.sync": "full",
        "read_from_head": "on",
        "refresh_interval": 1,
        "rotate_wait": 60,
        "storage.type": "filesystem",
    }
    http = {"host": "127.0.0.1", "port": port, "uri": "/", "format": "json_lines", "retry_limit": "no_limits"}
    service = ["-f", "1", "-b", str(folder / "buffers"), "-q"]
    return [binary, *service, "-i", "tail", *_properties(tail), "-o", "http", *_properties(http), "-m", "*"]


def _properties(properties: dict[str, Any]) -> list[str]:
    return [word for name, value in properties.items() for word in ("-p", f"{name}={value}")]


def run_peer(
    row: Row, folder: Path, binary: str, *, lines: int, per_s: float, seed: int, quiet_s: float = QUIET_S
) -> Outcome:
    """Its gaps are declared to nobody: whatever is lost counts."""
    started = time.monotonic()
    stage = PeerStage(folder, binary, lines=row.lines_of(lines), per_s=per_s, seed=seed, quiet_s=quiet_s)
    faults: tuple[str, ...] = ()
    try:
        row.act(stage)
        stage.ready()
        stage.wait_drained()
    except CannotRun as why:
        return Outcome(PEER + row.name, seed, skipped=str(why))
    except (TimeoutError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        faults = (f"{type(error).__name__}: {error}",)
    finally:
        rss = max((agent.peak_rss_bytes() for agent in stage.agents), default=0)
        stage.close()
    received = folder / "collector" / RECEIVED
    numbers = numbers_in(received.read_bytes() if received.exists() else b"")
    found = account(stage.ledger.sent, numbers, copied=stage.ledger.copied)
    return Outcome(
        row=PEER + row.name,
        seed=seed,
        sent=found.sent,
        stored=found.stored,
        lost=found.lost,
        repeated=found.repeated,
        agent_rss_bytes=rss,
        seconds=time.monotonic() - started,
        faults=faults,
    )
