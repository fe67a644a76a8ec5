"""How long a line takes: from being written to being found, and from being written to a webhook.

    python -m tests.bench.latency [--lines 100]

A quiet system, one line at a time; a log metric rule with `for: 0s` pages. Prints the median, p99 and maximum in ms.
"""

from __future__ import annotations

import http.server
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path

import click

from tests.chaos.daemons import Pair
from tests.chaos.writer import DockerWriter

RULES = """
log_metrics:
  - name: tickets_total
    query: ticket
    by: [container.id]
groups:
  - name: tickets
    rules:
      - alert: TicketSeen
        expr: increase(tickets_total[1m]) > 0
"""


class Receiver(http.server.ThreadingHTTPServer):
    """Notes when each webhook came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[float, str, str]] = []  # when (monotonic), status, name of the alert
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((time.monotonic(), str(body["status"]), str(body["groupLabels"]["alertname"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class OneLine(DockerWriter):
    def say(self, text: str) -> float:
        """Write one line; the moment at which it was written."""
        self._file.write(f'{{"log":"{text}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}}\n'.encode())
        return time.monotonic()


def until_found(pair: Pair, word: str, since: float, timeout_s: float = 20.0) -> float:
    while time.monotonic() - since < timeout_s:
        if json.loads(pair.collector.get("/api/v1/logs/count", query=word))["count"]:
            return (time.monotonic() - since) * 1e3
        time.sleep(0.005)
    raise TimeoutError(f"{word} was not found in {timeout_s} s")


def until_called(receiver: Receiver, known: int, since: float, timeout_s: float = 20.0) -> float:
    while time.monotonic() - since < timeout_s:
        if len(receiver.told) > known:
            return (receiver.told[known][0] - since) * 1e3
        time.sleep(0.005)
    raise TimeoutError(f"no webhook came in {timeout_s} s")


def show(name: str, values_ms: list[float]) -> None:
    ordered = sorted(values_ms)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    print(f"{name:24} median {statistics.median(ordered):6.0f} ms, p99 {p99:6.0f} ms, max {ordered[-1]:6.0f} ms")


@click.command()
@click.option("--lines", default=100, show_default=True)
@click.option("--webhooks", default=10, show_default=True, help="Runs of line to webhook, each from a fresh container.")
def main(lines: int, webhooks: int) -> None:
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        folder = Path(name)
        (folder / "rules.yml").write_text(RULES)
        receiver = Receiver()
        collector = ["--rules", str(folder / "rules.yml"), "--webhook", receiver.url]
        pair = Pair(folder, logs=[str(folder / "logs/*.log")], collector=collector)
        (folder / "logs").mkdir()
        writer = OneLine(folder / "logs" / "quiet.log")
        try:
            pair.start()
            writer.say("first words")
            pair.wait_drained()
            found = []
            for number in range(lines):
                found.append(until_found(pair, f"token{number}x", writer.say(f"hello token{number}x")))
                time.sleep(0.03)
            show("written to found", found)
            called = []
            for number in range(webhooks):
                fresh = folder / f"r{number}"
                called.append(_one_webhook(fresh))
            show("written to webhook", called)
        finally:
            pair.stop()
            receiver.shutdown()


def _one_webhook(folder: Path) -> float:
    folder.mkdir()
    (folder / "rules.yml").write_text(RULES)
    receiver = Receiver()
    collector = ["--rules", str(folder / "rules.yml"), "--webhook", receiver.url]
    pair = Pair(folder, logs=[str(folder / "quiet.log")], collector=collector)
    writer = OneLine(folder / "quiet.log")
    try:
        pair.start()
        writer.say("first words")
        pair.wait_drained()
        return until_called(receiver, len(receiver.told), writer.say("a ticket was opened"))
    finally:
        pair.stop()
        receiver.shutdown()


if __name__ == "__main__":
    main()
