"""`deckwatch up` with the real daemons: written lines are found, each once, whatever is killed in between."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Deckwatch:
    """One `deckwatch up` over a data directory, and what it wrote."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.logs = folder / "app.log"
        self.out = folder / f"out-{time.monotonic_ns()}"
        command = [sys.executable, "-P", "-m", "deckwatch.cli", "up", "--data-dir", str(self.data)]
        command += ["--listen", "127.0.0.1:0", "--logs", str(self.logs), "--no-docker", *options]
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def text(self) -> str:
        return self.out.read_text()

    def until(self, seen: Callable[[], object], what: str, limit_s: float = 60) -> None:
        deadline = time.monotonic() + limit_s
        while not seen():
            assert self.process.poll() is None, f"ended while waiting for {what}:\n{self.text()}"
            assert time.monotonic() < deadline, f"no {what} after {limit_s} s:\n{self.text()}"
            time.sleep(0.1)

    def ready(self) -> str:
        self.until(lambda: "curl http" in self.text(), "start")
        return (self.data / "address").read_text().strip()

    def count(self, query: str) -> int:
        url = f"{self.ready()}/api/v1/logs/count?query={urllib.parse.quote(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(json.load(answer)["count"])

    def write(self, first: int, last: int) -> None:
        with self.logs.open("a") as file:
            file.writelines(f"2026-01-02T03:04:05Z INFO line number{n} of the test\n" for n in range(first, last))

    def children(self) -> dict[str, int]:
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        words = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids}
        return {("agent" if b"agent" in line else "collector"): pid for pid, line in words.items()}

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Deckwatch]]:
    started: list[Deckwatch] = []

    def start(*options: str) -> Deckwatch:
        started.append(Deckwatch(tmp_path, *options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def test_lines_are_found_and_the_stop_says_what_was_drained(up: Callable[..., Deckwatch]) -> None:
    watch = up()
    watch.write(0, 1000)
    watch.until(lambda: watch.count("") >= 1000, "first lines")
    watch.write(1000, 1500)
    watch.until(lambda: watch.count("level:info") >= 1500, "further lines")
    assert watch.count("number1234") == 1
    assert watch.stop() == 0
    text = watch.text()
    assert re.search(r"found +cgroups: cgroup", text), text
    assert re.search(r"stopping +agent(.|\n)*stopping +collector", text), text
    assert re.search(r"drained +.*\b1,500 lines|drained +.*kB", text), text
    assert "error" not in text, text


@pytest.mark.parametrize("victim", ["agent", "collector"])
def test_each_line_once_whoever_is_killed(up: Callable[..., Deckwatch], victim: str) -> None:
    watch = up()
    address = watch.ready()
    for round_ in range(3):
        watch.write(round_ * 500, round_ * 500 + 500)
        os.kill(watch.children()[victim], signal.SIGKILL)
        watch.until(lambda n=round_: watch.text().count(f"{victim}: info: is back") > n, "return")  # type: ignore[misc]
    watch.until(lambda: watch.count("") >= 1500, "all lines")
    assert watch.count("") == 1500
    assert watch.ready() == address
    assert watch.stop() == 0
    again = up()
    assert again.count("") == 1500
    assert again.stop() == 0


def test_status_lines_without_a_terminal(up: Callable[..., Deckwatch]) -> None:
    watch = up()
    watch.write(0, 100)
    watch.until(lambda: re.search(r"lines/s .* lag 0 B  lost 0", watch.text()), "status line")
    assert watch.stop() == 0


def test_a_second_one_on_the_same_directory_is_refused(up: Callable[..., Deckwatch]) -> None:
    watch = up()
    watch.ready()
    second = up()
    assert second.process.wait(30) == 2
    assert f"in use by process {watch.process.pid}; stop it" in second.text()
    assert watch.stop() == 0
