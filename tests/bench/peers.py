"""The same file through other shippers, where their binaries are given: FLUENT_BIT=path VECTOR=path.

    FLUENT_BIT=/opt/fluent-bit/bin/fluent-bit python -m tests.bench.peers [--size 200MB]

Each tails the docker-json file from its beginning, parses it as its documentation has it for containers, and posts JSON
lines to a sink of ours on loopback. What is printed is MB of the file per CPU second of the peer's process (user and
system) until the sink has every line, and its peak memory; what our own agent does stands in agent_throughput.
"""

from __future__ import annotations

import gzip
import http.server
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import yaml
import zstandard

from tests.bench.generate import parse_size, write_docker_json


class Sink(http.server.ThreadingHTTPServer):
    """Takes POSTs (gzip, zstd or as they are) and counts their lines."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lines = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        with self.server.lock:
            self.server.lines += sum(1 for line in body.split(b"\n") if line.strip())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class Figures(msgspec.Struct, frozen=True):
    mb_per_cpu_s: float
    peak_mib: float
    lines: int


def fluent_bit(binary: str, log: Path, folder: Path, port: int) -> list[str]:
    """Tail input with the docker parser, HTTP output with gzip."""
    parsers = folder / "parsers.conf"
    parsers.write_text(
        "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L\n"
    )
    tail = ["-i", "tail", "-p", f"path={log}", "-p", "parser=docker", "-p", "read_from_head=on"]
    post = ["-o", "http", "-p", "host=127.0.0.1", "-p", f"port={port}", "-p", "uri=/", "-p", "format=json_lines"]
    return [binary, "-q", "-f", "1", "-R", str(parsers), *tail, *post, "-p", "compress=gzip", "-m", "*"]


def vector(binary: str, log: Path, folder: Path, port: int) -> list[str]:
    """File source, JSON parsed by a remap transform, HTTP sink with newline-delimited JSON, zstd."""
    config = folder / "vector.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "data_dir": str(folder),
                "sources": {"log": {"type": "file", "include": [str(log)], "read_from": "beginning"}},
                "transforms": {
                    "docker": {"type": "remap", "inputs": ["log"], "source": ". |= object!(parse_json!(.message))"}
                },
                "sinks": {
                    "out": {
                        "type": "http",
                        "inputs": ["docker"],
                        "uri": f"http://127.0.0.1:{port}/",
                        "encoding": {"codec": "json"},
                        "framing": {"method": "newline_delimited"},
                        "compression": "zstd",
                    }
                },
            }
        )
    )
    return [binary, "--quiet", "--config", str(config)]


Command = Callable[[str, Path, Path, int], list[str]]
PEERS: dict[str, Command] = {"FLUENT_BIT": fluent_bit, "VECTOR": vector}


def measure(command: list[str], log: Path, sink: Sink, timeout_s: float = 600.0) -> Figures:
    """Until the sink has as many lines as the file; raises TimeoutError or RuntimeError where that never comes."""
    expected = log.read_bytes().count(b"\n")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + timeout_s
    try:
        while sink.lines < expected:
            if process.poll() is not None:
                raise RuntimeError(
                    f"{command[0]} ended with {process.returncode} after {sink.lines} of {expected} lines"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command[0]} sent {sink.lines} of {expected} lines in {timeout_s:.0f} s")
            time.sleep(0.05)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak_kib = int(status.split("VmHWM:")[1].split()[0])
        return Figures(log.stat().st_size / 1e6 / max(cpu_s, 0.01), peak_kib / 1024, sink.lines)
    finally:
        process.terminate()
        process.wait(30)


@click.command()
@click.option("--size", default="200MB", show_default=True)
def main(size: str) -> None:
    given = {name: os.environ[name] for name in PEERS if os.environ.get(name)}
    if not given:
        print(f"no peers: give paths of binaries in {' or '.join(PEERS)}")
        return
    with tempfile.TemporaryDirectory(prefix="deckwatch-bench-") as name:
        log = Path(name) / "bench-json.log"
        write_docker_json(log, size_bytes=parse_size(size), seed=11)
        for peer, binary in given.items():
            folder = Path(name) / peer
            folder.mkdir()
            sink = Sink()
            try:
                figures = measure(PEERS[peer](binary, log, folder, sink.port), log, sink)
            finally:
                sink.shutdown()
                sink.server_close()
            print(f"{peer:12}{figures.mb_per_cpu_s:8.1f} MB per CPU second, {figures.peak_mib:.0f} MiB peak")


if __name__ == "__main__":
    main()
