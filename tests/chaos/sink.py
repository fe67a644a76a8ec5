"""A receiver for peers: keeps what is posted in a file, durably, and answers then. `python -P sink.py FOLDER PORT`."""

from __future__ import annotations

import gzip
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECEIVED = "received"


class Sink(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.lock = threading.Lock()
        self.file = (folder / RECEIVED).open("ab")
        (folder / "address").write_text(f"http://127.0.0.1:{port}\n")

    def keep(self, body: bytes) -> None:
        with self.lock:
            self.file.write(body + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keep(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"ok\n")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Sink(Path(sys.argv[1]), int(sys.argv[2])).serve_forever()
