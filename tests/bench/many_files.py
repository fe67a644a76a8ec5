"""The agent's memory by the number of files that it follows: while it reads them, at rest, and started anew.

python -m tests.bench.many_files [--files 5000]
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

import click
import msgspec

from tests.bench.agent_throughput import start_sink, stop, wait_for
from tests.chaos.daemons import Daemon

LINES = 10
LINE = "2026-01-02T03:04:05.678Z INFO request {} of the series, status=200 path=/item/97\n"


class Figures(msgspec.Struct, frozen=True):
    files: int
    resting_bytes: int  # when all is read
    peak_bytes: int
    restarted_bytes: int  # the peak of a second life, that finds all in its checkpoint
    cpu_s: float  # of the first life

    def __str__(self) -> str:
        rest, peak, again = (size / 1e6 for size in (self.resting_bytes, self.peak_bytes, self.restarted_bytes))
        return (
            f"{self.files:6} files: {rest:5.1f} MB at rest, {peak:5.1f} MB at most, {again:5.1f} MB at most after a"
            f" restart; {self.cpu_s:.1f} CPU s"
        )


def measure(files: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        folder = Path(name)
        logs = [folder / "logs" / f"app-{number:05}.log" for number in range(files)]
        logs[0].parent.mkdir()
        size = _write(logs[: files // 2])  # half of them are there before it
        sink, url = start_sink()
        state = folder / "state"
        words = ["agent", "--no-docker", "--collector", url, "--state-dir", str(state), "--listen", "127.0.0.1:0"]
        agent = Daemon("agent", folder, [*words, "--logs", f"{folder}/logs/*.log"], state / "address")
        try:
            agent.start()
            size += _write(logs[files // 2 :]) + _write(logs)
            wait_for(sink, size, 300)
            resting, peak, cpu_s = _at_rest(agent), agent.rss_bytes(peak=True), agent.cpu_s()
            agent.kill()
            agent.start()
            _at_rest(agent)
            return Figures(files, resting, peak, agent.rss_bytes(peak=True), cpu_s)
        finally:
            agent.stop()
            stop(sink)


def _write(logs: list[Path]) -> int:
    text = "".join(LINE.format(number) for number in range(LINES))
    for log in logs:
        with log.open("a") as file:
            file.write(text)
    return len(text) * len(logs)


def _at_rest(agent: Daemon) -> int:
    """Resident bytes when nothing is left to be sent; it is scraped meanwhile, as in production."""
    while not re.search(r"^deckwatch_agent_lag_bytes 0\.0$", agent.get("/metrics"), re.MULTILINE):
        time.sleep(0.2)
    time.sleep(6)
    agent.get("/metrics")
    return agent.rss_bytes()


@click.command()
@click.option("--files", default=5000, show_default=True)
def main(files: int) -> None:
    one, many = measure(2), measure(files)
    print(one)
    print(many)
    print(f"a file: {(many.resting_bytes - one.resting_bytes) / (files - 2):,.0f} bytes at rest")


if __name__ == "__main__":
    main()
