"""What a row of the table acts upon: logs and their writers, both daemons, a proxy between them, small disks."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.daemons import Daemon, Pair
from tests.chaos.ledger import Ledger
from tests.chaos.proxy import Fault, FaultyProxy
from tests.chaos.shifted import set_offset
from tests.chaos.writer import DockerWriter, LogWriter, Paced

SHIFTED = Path(__file__).with_name("shifted.py")
DRAIN_S = 180.0


class CannotRun(Exception):
    """Why a row can't run here."""


class Stage:
    """One run of one row. Everything that it starts ends with `close`."""

    def __init__(self, folder: Path, *, lines: int, per_s: float, seed: int) -> None:
        self.folder = folder
        self.lines = lines
        self.per_s = per_s
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.pair: Pair | None = None
        self.agents: list[Daemon] = []
        self.instances: set[str] = set()
        self.proxy: FaultyProxy | None = None
        self.ending = ExitStack()

    def close(self) -> None:
        self.ending.close()

    # Logs -------------------------------------------------------------------------------------------------------

    def docker_log(self, name: str = "c0ffee", **options: Any) -> DockerWriter:
        writer = DockerWriter(self.logs / f"{name}-json.log", self.ledger, **options)
        self.ending.callback(writer.close)
        return writer

    def plain_log(self, name: str = "app", **options: Any) -> LogWriter:
        writer = LogWriter(self.logs / f"{name}.log", self.ledger, **options)
        self.ending.callback(writer.close)
        return writer

    @contextlib.contextmanager
    def writing(self, *writers: LogWriter, lines: int = 0, per_s: float = 0.0) -> Iterator[Paced]:
        """Lines are written in the background meanwhile; at its end all of them are written."""
        paced = Paced(writers[0], lines or self.lines, per_s or self.per_s, *writers[1:])
        paced.start()
        try:
            yield paced
            paced.join()
        finally:
            paced.stop()

    def nap(self, least_s: float, most_s: float) -> None:
        time.sleep(self.rng.uniform(least_s, most_s))

    def nap_within(self, paced: Paced, moments: int) -> None:
        """So long that `moments` of these naps fit into what is still to be written, about."""
        self.nap(0.05, max(0.1, 1.5 * paced.remaining_s / (moments + 1)))

    # Daemons ----------------------------------------------------------------------------------------------------

    @property
    def agent(self) -> Daemon:
        return self.agents[0]

    @property
    def collector(self) -> Daemon:
        return self._pair.collector

    @property
    def _pair(self) -> Pair:
        if self.pair is None:
            raise RuntimeError("the row has not started its daemons")
        return self.pair

    @property
    def is_up(self) -> bool:
        """Does the collector answer?"""
        return self.pair is not None and self.collector.running

    @property
    def data_dir(self) -> Path:
        return self.folder / "collector"

    @property
    def state_dir(self) -> Path:
        return self.folder / "agent"

    def build(
        self,
        *,
        agent: Mapping[str, Any] | None = None,
        collector: Mapping[str, Any] | None = None,
        globs: Sequence[str] = (),
        faults: Sequence[Fault] = (),
        chance: float = 0.3,
    ) -> None:
        """The daemons, not started. `agent`, `collector`: their sections of a configuration file. With `faults` a proxy
        stands between them."""
        config = self.configure({"agent": dict(agent or {}), "collector": dict(collector or {})})
        words = ["--config", str(config)]
        self.pair = Pair(self.folder, logs=globs or [str(self.logs / "*.log")], agent=words, collector=words)
        self.agents = [self.pair.agent]
        if faults:
            self.proxy = FaultyProxy(self.pair.port, faults, chance=chance, rng=self.rng)
            self.proxy.start()
            self.ending.callback(self.proxy.stop)
            self.agent.append("--collector", self.proxy.url)
        self.ending.callback(self.collector.stop)
        self.ending.callback(self.agent.stop)

    def configure(self, sections: Mapping[str, Mapping[str, Any]], name: str = "deckwatch.yml") -> Path:
        """Writes a configuration file; daemons read theirs when they start."""
        brisk = {"sample": {"interval_s": 5.0}, "ship": {"retry_most_s": 2.0}}
        path = self.folder / name
        path.write_text(yaml.safe_dump({**sections, "agent": {**brisk, **sections.get("agent", {})}}))
        return path

    def start(self, **options: Any) -> None:
        self.build(**options)
        self.collector.start()
        self.agent.start()

    def second_agent(self, state_dir: Path, *words: str) -> Daemon:
        """With the first one's options, but for its state and `words`."""
        second = self._pair.another_agent("agent-2", state_dir)
        second.append(*words)
        self.agents.append(second)
        self.ending.callback(second.stop)
        return second

    def restart(self, daemon: Daemon, *, wait: bool = True) -> None:
        """kill -9, a moment, and again."""
        daemon.kill()
        self.nap(0, 0.4)
        daemon.start(wait=wait)

    def stop(self) -> None:
        """SIGTERM to all; the collector seals what it has. Raises RuntimeError where one ends in another way."""
        self.note_instances()
        for daemon in (*self.agents, *([self.collector] if self.pair else [])):
            if daemon.running and (status := daemon.stop()):
                raise RuntimeError(f"{daemon.name} ended with {status}:\n{daemon.printed()}")

    def note_instances(self) -> None:
        """Ids of the agents, for whoever wants to know their streams; to be asked before a state folder goes."""
        for state in {self.state_dir, *(agent.folder for agent in self.agents)}:
            with contextlib.suppress(OSError):
                made = json.loads((state / "instance.json").read_bytes())
                self.instances.add(f"{made['machine'] or 'none'}-{made['random']}")

    def ready(self) -> None:
        """All of them run and answer."""
        for daemon in (self.collector, *self.agents):
            if not daemon.running:
                daemon.start(wait=False)
            daemon.wait_ready()

    def source_of(self, path: str) -> str:
        """The name of a log's source. Below a host root, paths are the host's."""
        for host in self.folder.glob("host-*"):
            path = path.removeprefix(str(host))
        return path

    def tracebacks(self) -> list[str]:
        """Daemons that met a fault of their own."""
        daemons = (self.collector, *self.agents) if self.pair else ()
        return [daemon.name for daemon in daemons if "Traceback (most recent call last)" in daemon.log_text()]

    def wait_drained(self, timeout_s: float = DRAIN_S) -> None:
        """Until no agent has anything that is not acked and the collector nothing that is not searchable."""
        self._pair.wait_drained(timeout_s, agents=self.agents)

    def wait_acked(self, timeout_s: float = DRAIN_S) -> None:
        """Until what is written is read and acked."""
        deadline = time.monotonic() + timeout_s
        while self.agent.metric("deckwatch_agent_lag_bytes"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not acked in {timeout_s} s:\n{self.agent.printed()}")
            time.sleep(0.05)

    def retry_dead_letters(self) -> None:
        """What was refused stream by stream is kept: tried again, each of its lines is a record as any other."""
        self.ready()
        url = f"{self.collector.url}/api/v1/dead-letters/retry?all=true"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=300) as answer:
            if (failed := json.loads(answer.read())["failed"]) > 0:
                raise RuntimeError(f"{failed} dead letters stay")

    # The world around them --------------------------------------------------------------------------------------

    def small_disk(self, folder: Path, size_bytes: int) -> None:
        """A file system of its own. Raises CannotRun where it can't be mounted."""
        if os.geteuid() != 0:
            raise CannotRun("mounting a small tmpfs takes root")
        folder.mkdir(mode=0o700, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "deckwatch-chaos", str(folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise CannotRun(f"a small tmpfs can't be mounted: {made.stderr.strip()}")
        self.ending.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)

    def shift_clock(self, daemon: Daemon) -> Path:
        """Its wall clock can be moved from now on, by `set_offset` of the path."""
        offset = self.folder / f"{daemon.name}.offset"
        set_offset(offset, 0)
        daemon.run_by(SHIFTED, str(offset))
        return offset


def fill(folder: Path) -> Path:
    """Take all space of a file system; the file is to be removed again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast
