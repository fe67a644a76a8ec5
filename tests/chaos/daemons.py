"""The real daemons as processes of their own, to be killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO


class Daemon:
    """A `deckwatch` command that listens; what it prints goes to `<folder>/<name>.log`."""

    def __init__(
        self,
        name: str,
        folder: Path,
        arguments: Sequence[str],
        address_file: Path,
        *,
        command: Sequence[str] = (),
    ) -> None:
        """`command`: another program altogether."""
        self.name = name
        self.folder = address_file.parent
        self._command = tuple(command) or (sys.executable, "-P", "-m", "deckwatch.cli", *arguments)
        self._log_path = folder / f"{name}.log"
        self._address_file = address_file
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._peak_bytes = 0
        self.kills = 0

    def precede_with(self, *words: str) -> None:
        """Another command that starts it."""
        self._command = (*words, *self._command)

    def append(self, *words: str) -> None:
        """Further options; the last word holds."""
        self._command = (*self._command, *words)

    def run_by(self, script: Path, *words: str) -> None:
        """That script runs the `deckwatch` command with the same arguments, behind `words` of its own."""
        self._command = (sys.executable, "-P", str(script), *words, *self._command[4:])

    def start(self, *, wait: bool = True) -> None:
        self._address_file.unlink(missing_ok=True)
        self._log = self._log_path.open("ab")
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.printed()}")
            with contextlib.suppress(OSError):
                if self._address_file.exists() and self.get("/healthz"):
                    return
            time.sleep(0.02)
        raise TimeoutError(f"{self.name} was not ready in {timeout_s} s:\n{self.printed()}")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return self._address_file.read_text().strip()

    def printed(self) -> str:
        return self.log_text()[-4000:]

    def log_text(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def kill(self) -> None:
        """kill -9, as nobody can prepare for."""
        self.peak_rss_bytes()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._close()
        self.kills += 1

    def stop(self, timeout_s: float = 60.0) -> int:
        """SIGTERM; the exit status."""
        if self._process is None:
            return 0
        if self.process.poll() is None:
            self.peak_rss_bytes()
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._close()
        return status

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()
        self._process = None

    def get(self, path: str, timeout_s: float = 60.0, **query: str) -> str:
        text = f"?{urllib.parse.urlencode(query)}" if query else ""
        with urllib.request.urlopen(f"{self.url}{path}{text}", timeout=timeout_s) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """The sum of a metric's series; raises KeyError where it has none."""
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        if not values:
            raise KeyError(name)
        return sum(map(float, values))

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self, *, peak: bool = False) -> int:
        name = "VmHWM" if peak else "VmRSS"
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(rf"{name}:\s+(\d+) kB", status)
        if match is None:
            raise RuntimeError(f"{self.name}: no {name} in its status")
        return int(match[1]) * 1024

    def peak_rss_bytes(self) -> int:
        """The most that any process of this daemon has had so far, those that were killed included."""
        with contextlib.suppress(RuntimeError, OSError):  # it has ended: what was seen before stands
            self._peak_bytes = max(self._peak_bytes, self.rss_bytes(peak=True))
        return self._peak_bytes


class Pair:
    """An agent and a collector on this machine, the collector always at the same port."""

    def __init__(
        self,
        folder: Path,
        *,
        logs: Sequence[str] = (),
        docker: bool = False,
        agent: Sequence[str] = (),
        collector: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = port = free_port()
        data, state = folder / "collector", folder / "agent"
        self.collector = Daemon(
            "collector",
            folder,
            ["collector", "--data-dir", str(data), "--listen", f"127.0.0.1:{port}", *collector],
            data / "address",
        )
        globs = [word for glob in logs for word in ("--logs", glob)]
        self._agent_words = ["--listen", "127.0.0.1:0", *globs, *([] if docker else ["--no-docker"]), *agent]
        self.agent = self.another_agent("agent", state)

    def another_agent(self, name: str, state: Path) -> Daemon:
        """With the same options, but for its state folder; not started."""
        words = ["agent", "--collector", f"http://127.0.0.1:{self.port}", "--state-dir", str(state)]
        return Daemon(name, self.folder, [*words, *self._agent_words], state / "address")

    def start(self) -> None:
        self.collector.start()
        self.agent.start()

    def stop(self) -> None:
        self.agent.stop()
        self.collector.stop()

    def wait_drained(self, timeout_s: float = 300.0, agents: Sequence[Daemon] = (), *, every_s: float = 0.1) -> None:
        """Until the agents (else our own) have nothing that is not acked and the collector nothing that is not
        searchable. To ask costs both some milliseconds: whoever measures their CPU asks seldom (`every_s`)."""
        agents = agents or [self.agent]
        deadline = time.monotonic() + timeout_s
        calm = 0
        while calm < 3:
            if time.monotonic() > deadline:
                told = "\n".join(daemon.printed() for daemon in (*agents, self.collector))
                raise TimeoutError(f"not drained in {timeout_s} s\n{told}")
            try:
                left = sum(agent.metric("deckwatch_agent_lag_bytes") for agent in agents)
                left += self.collector.metric("deckwatch_collector_pending_bytes")
                calm = calm + 1 if left == 0 else 0
            except (OSError, KeyError):
                calm = 0
            time.sleep(every_s)

    def records(self, query: str = "") -> Iterator[dict[str, object]]:
        """Every record that matches, as the API streams it."""
        text = urllib.parse.urlencode({"query": query, "limit": "0", "order": "asc"})
        with urllib.request.urlopen(f"{self.collector.url}/api/v1/logs?{text}", timeout=600) as answer:
            for line in answer:
                yield json.loads(line)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
